import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { Policy, PolicySource, Snapshot } from '../core/index.ts';
import { PolicyFilesError, readPolicyFiles, signPolicyFiles } from './policy-files.ts';
import type { PolicyText } from './policy-files.ts';

/**
 * Policy from files beside the process, taken anew when they change.
 *
 * Guarantee: all files are read together and swapped as one, or not at all. A set of files with any fault, an unreadable or
 * empty file among them, changes nothing: the last good snapshot stays, `problem()` and the log say why, and `ageMs()` grows.
 * A change counts only when the files have been still for a moment, so that a half-written file is not taken.
 * Until the first good set there is no snapshot, and everything is denied (`policy_invalid` where there are files that are not good).
 *
 * Limit: polling sees a change after at most `pollMs` + `settleMs`. An empty *folder* is a valid set without policies (it
 * denies everything); a path that does not exist is a fault.
 */

/** One thing that is wrong with a file: where, and what to do. Never quotes a secret. */
export interface FileFault {
  readonly path?: string | undefined;
  readonly message: string;
}

export interface FilePolicyOptions {
  /** Files and folders. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Policies of one file. Any fault refuses the whole set. */
  readonly parse: (
    text: string,
    file: string,
  ) => { readonly policies: readonly Policy[]; readonly faults: readonly FileFault[] };
  /** @throws with a message for the operator when the policies cannot be enforced. */
  readonly compile: (policies: readonly Policy[], revision: number) => Snapshot;
  /** Called when files are not taken, once for each new reason: for a metric. */
  readonly onRefused?: (problem: string) => void;
  /** Default 500 ms. */
  readonly pollMs?: number;
  /** How long the files must have been still; default 50 ms. */
  readonly settleMs?: number;
}

export interface FilePolicySource extends PolicySource {
  /** Looks now instead of at the next poll: for tests and the demo. */
  check(): Promise<void>;
}

/** A set of files that is not taken. The lines are for the operator. */
class SetRefused extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines[0] ?? 'refused');
    this.name = 'SetRefused';
    this.lines = lines;
  }
}

const maxFaults = 50;

function parseAll(texts: readonly PolicyText[], parse: FilePolicyOptions['parse']): readonly Policy[] {
  const policies: Policy[] = [];
  const faults: string[] = [];
  const owners = new Map<string, string>();
  for (const { file, text } of texts) {
    // An editor that truncates and then writes shows an empty file for a moment: that must not remove its policies.
    if (text.trim() === '') {
      faults.push(`${file}: the file is empty`);
      continue;
    }
    const parsed = parse(text, file);
    for (const fault of parsed.faults) {
      faults.push(fault.path === undefined ? `${file}: ${fault.message}` : `${file}: ${fault.path}: ${fault.message}`);
    }
    for (const policy of parsed.policies) {
      const key = `${policy.kind} ${policy.namespace === undefined ? '' : `${policy.namespace}/`}${policy.name}`;
      const owner = owners.get(key);
      if (owner !== undefined) faults.push(`${file}: ${key} stands in ${owner} too`);
      owners.set(key, file);
      policies.push(policy);
    }
  }
  if (faults.length > 0) throw new SetRefused(faults.slice(0, maxFaults));
  return policies;
}

class FileSource implements FilePolicySource {
  readonly #options: FilePolicyOptions;
  readonly #listeners: ((snapshot: Snapshot) => void)[] = [];
  readonly #poll: Timer;
  #settle: Timer | undefined;
  #closed = false;
  #snapshot: Snapshot | undefined;
  #problem: string | undefined;
  #confirmedAt: number;
  /** Signature of the files as last judged, good or bad. */
  #judged: string | undefined;
  /** Digest of the contents as last judged. */
  #digest: string | undefined;
  /** A signature that was seen once and must be seen again. */
  #pending: string | undefined;
  #checking: Promise<void> | undefined;

  constructor(options: FilePolicyOptions) {
    this.#options = options;
    this.#confirmedAt = options.clock.monotonic();
    this.#poll = options.clock.every(options.pollMs ?? 500, () => this.#start());
  }

  current(): Snapshot | undefined {
    return this.#snapshot;
  }

  subscribe(listener: (snapshot: Snapshot) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      const at = this.#listeners.indexOf(listener);
      if (at !== -1) this.#listeners.splice(at, 1);
    };
  }

  ageMs(): number {
    return this.#options.clock.monotonic() - this.#confirmedAt;
  }

  problem(): string | undefined {
    return this.#problem;
  }

  /** Checks do not overlap: one that is asked for while another runs comes after it. */
  async check(): Promise<void> {
    while (this.#checking !== undefined) await this.#checking;
    // Asked for by name: the files are as they are meant to be.
    await this.#run(true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#poll.cancel();
    this.#settle?.cancel();
    await this.#checking;
    this.#listeners.length = 0;
  }

  #start(): void {
    if (this.#checking !== undefined || this.#closed) return;
    void this.#run(false);
  }

  /** Never rejects. */
  #run(atOnce: boolean): Promise<void> {
    const running = this.#look(atOnce).catch((error: unknown) => this.#refuse(error));
    this.#checking = running.finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #look(atOnce: boolean): Promise<void> {
    const { paths, clock, settleMs = 50 } = this.#options;
    const { files, signature } = await signPolicyFiles(paths);
    if (signature === this.#judged) {
      this.#pending = undefined;
      if (this.#problem === undefined) this.#confirmedAt = clock.monotonic();
      return;
    }
    if (!atOnce && signature !== this.#pending) {
      this.#pending = signature;
      this.#settle?.cancel();
      this.#settle = clock.after(settleMs, () => this.#start());
      return;
    }
    this.#pending = undefined;
    const { texts, digest } = await readPolicyFiles(files);
    const after = await signPolicyFiles(paths);
    if (after.signature !== signature) {
      // Swapped while it was read: the next look decides, and until then nothing is known.
      if (atOnce) throw new PolicyFilesError('unstable', 'the policy files changed while they were read');
      this.#settle = clock.after(settleMs, () => this.#start());
      return;
    }
    this.#judged = signature;
    if (digest === this.#digest) {
      // Touched, not changed: the verdict stands.
      if (this.#problem === undefined) this.#confirmedAt = clock.monotonic();
      return;
    }
    this.#digest = digest;
    this.#take(texts);
  }

  #take(texts: readonly PolicyText[]): void {
    const { parse, compile, clock, logger } = this.#options;
    const policies = parseAll(texts, parse);
    const revision = (this.#snapshot?.revision ?? 0) + 1;
    const snapshot = compile(policies, revision);
    const same = snapshot.hash === this.#snapshot?.hash;
    this.#problem = undefined;
    this.#confirmedAt = clock.monotonic();
    if (same) return;
    this.#snapshot = snapshot;
    logger.info('policy read', {
      revision: snapshot.revision,
      generation: snapshot.generation,
      hash: snapshot.hash,
      policies: policies.length,
    });
    for (const listener of [...this.#listeners]) {
      try {
        listener(snapshot);
      } catch (error) {
        // The others must still hear of it; the one that failed keeps what it had.
        logger.error('a part did not take the policy', { error: describeError(error) });
      }
    }
  }

  #refuse(error: unknown): void {
    const lines = error instanceof SetRefused ? error.lines : [describeError(error)];
    const problem = lines.join('\n');
    if (error instanceof PolicyFilesError) {
      // The state of the files is not known: when they come back, they are judged anew.
      this.#judged = undefined;
      this.#digest = undefined;
    }
    if (problem === this.#problem) return;
    this.#problem = problem;
    const kept =
      this.#snapshot === undefined
        ? 'nothing is allowed, and every request is answered policy_invalid until the files are mended'
        : 'the last good policy stays in force';
    this.#options.logger.error(`policy not taken: ${kept}`, { faults: lines });
    this.#options.onRefused?.(problem);
  }
}

/**
 * Resolves after the first look, whatever it found: `current()` is the snapshot, or `problem()` says why there is none.
 */
export async function filePolicySource(options: FilePolicyOptions): Promise<FilePolicySource> {
  const source = new FileSource(options);
  await source.check();
  return source;
}
