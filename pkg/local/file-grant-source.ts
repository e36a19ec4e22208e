import { open, readdir, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { profiles } from '../core/index.ts';
import type { Grant, GrantSource, PolicySource, Snapshot } from '../core/index.ts';
import { isOurs } from './ownership.ts';
import { settledFolder } from './settled-folder.ts';

/**
 * Grants from a folder of files, for a sidecar that runs on its own. Who may write the folder gives access, as who may write the policy does;
 * taking a file away takes it back.
 *
 * Promise: what cannot be read, is not understood, may be written by others, is dated in the future or lasts longer than the policy's `maxGrant`
 * gives nothing, and neither does a folder that is not there.
 */
export interface FileGrantSource extends GrantSource {
  /** Looks now instead of at the next poll. Never rejects. */
  check(): Promise<void>;
  close(): void;
}

export interface FileGrantOptions {
  readonly folder: string;
  readonly policy: Pick<PolicySource, 'current'>;
  readonly parse: (
    text: string,
    file: string,
  ) => {
    readonly grants: readonly Grant[];
    readonly faults: readonly { readonly path: string; readonly message: string }[];
  };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 250 ms. */
  readonly pollMs?: number;
}

const grantFile = /^[^.].*\.(?:ya?ml|json)$/;
const mostFiles = 1_000;
const mostBytes = 1024 * 1024;
/** Clocks of file servers run ahead a little. */
const clockSkewMs = 1_000;

/** Milliseconds. Also a policy that names nobody who decides has one, by its profile: whoever may write the folder decides. */
function longestGrant(snapshot: Snapshot | undefined): number {
  if (snapshot === undefined) return 0;
  return snapshot.approvals?.maxGrantMs ?? profiles[snapshot.profile]['approvals.maxGrantMs'];
}

/** A file as last read. */
interface Known {
  readonly signature: string;
  readonly grants: readonly Grant[];
  /** When it was written, wall clock, milliseconds: its grants count as given then. */
  readonly givenAt: number;
}

export async function fileGrantSource(options: FileGrantOptions): Promise<FileGrantSource> {
  const { folder, policy, clock, logger } = options;
  const listeners = new Set<() => void>();
  let known = new Map<string, Known>();
  let grants: readonly Grant[] = [];
  let text = '[]';
  let problem = '';
  let useless = '';
  let confirmedAt = clock.monotonic();
  let looking: Promise<void> | undefined;
  let closed = false;

  const read = async (file: string): Promise<Known> => {
    // A pipe must not be waited for.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { dev, ino, size, mtimeNs, ctimeNs, mode, uid } = await handle.stat({ bigint: true });
      const signature = `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
      const before = known.get(file);
      if (before?.signature === signature) return before;
      const refuse = (why: string): Known => {
        logger.error('a grant is not taken', { file, why });
        return { signature, grants: [], givenAt: 0 };
      };
      if ((mode & 0o170000n) !== 0o100000n) return refuse('it is no file');
      if (!isOurs(uid, mode)) return refuse('others may write it (chmod go-w)');
      if (size > mostBytes) return refuse('it is larger than 1 MiB');
      const parsed = options.parse(await handle.readFile('utf8'), file);
      const [fault] = parsed.faults;
      if (fault !== undefined) return refuse(`${fault.path}: ${fault.message}`);
      return { signature, grants: parsed.grants, givenAt: Number(mtimeNs / 1_000_000n) };
    } finally {
      await handle.close();
    }
  };
  const look = async (): Promise<void> => {
    const now = new Map<string, Known>();
    const place = await settledFolder(folder);
    const { uid, mode } = await stat(place, { bigint: true });
    if (!isOurs(uid, mode)) throw new Error('others may write the folder (chmod go-w)');
    const names = (await readdir(place)).filter((name) => grantFile.test(name)).sort();
    if (names.length > mostFiles) throw new Error(`more than ${mostFiles} files`);
    for (const name of names) {
      const file = join(place, name);
      try {
        now.set(file, await read(file));
      } catch (error) {
        // Taken away meanwhile, or not ours to read: it gives nothing.
        const why = describeError(error);
        if (known.get(file)?.signature !== why) logger.error('a grant is not taken', { file, why });
        now.set(file, { signature: why, grants: [], givenAt: 0 });
      }
    }
    known = now;
    problem = '';
  };
  const whyUseless = (grant: Grant, givenAt: number, ofItsName: number, longest: number): string | undefined => {
    if (ofItsName !== 1) return 'its name stands twice';
    // It would hold from now on, and for longer than `maxGrant`.
    if (givenAt > clock.now() + clockSkewMs) return 'its file is dated in the future';
    if (grant.until - Math.max(grant.from, givenAt) > longest) return 'it is longer than maxGrant';
    return undefined;
  };
  const put = (): void => {
    const longest = longestGrant(policy.current());
    const all = [...known.values()].flatMap((file) => file.grants.map((grant) => ({ grant, givenAt: file.givenAt })));
    const names = Map.groupBy(all, ({ grant }) => grant.name);
    const next: Grant[] = [];
    const without: string[] = [];
    for (const { grant, givenAt } of all) {
      const why = whyUseless(grant, givenAt, names.get(grant.name)?.length ?? 0, longest);
      if (why === undefined) next.push(grant);
      else without.push(`${grant.name}: ${why}`);
    }
    if (without.join() !== useless) {
      useless = without.join();
      if (useless !== '') logger.error('grants give nothing', { grants: without });
    }
    const nextText = JSON.stringify(next);
    if (nextText === text) return;
    text = nextText;
    grants = next;
    logger.info('grants read', { grants: next.map(({ name }) => name) });
    for (const listener of [...listeners]) {
      try {
        listener();
      } catch (error) {
        logger.error('a part did not take the grants', { error: describeError(error) });
      }
    }
  };
  const run = async (): Promise<void> => {
    try {
      await look();
    } catch (error) {
      const why = describeError(error);
      if (why !== problem) logger.error('no grant is taken', { folder, why });
      problem = why;
      known = new Map();
    }
    if (closed) return;
    confirmedAt = clock.monotonic();
    put();
  };
  const check = async (): Promise<void> => {
    while (looking !== undefined) await looking;
    looking = run().finally(() => (looking = undefined));
    await looking;
  };
  const timer = clock.every(options.pollMs ?? 250, () => {
    if (looking === undefined) void check();
  });
  await check();

  return {
    current: () => grants,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ageMs: () => clock.monotonic() - confirmedAt,
    check,
    close() {
      closed = true;
      timer.cancel();
    },
  };
}
