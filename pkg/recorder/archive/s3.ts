import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import type { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { HeadObjectCommandOutput, ListObjectVersionsCommandInput } from '@aws-sdk/client-s3';
import { systemClock } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { ArchiveLocation } from './location.ts';
import { maxObjectBytes } from './object-store.ts';
import type { ObjectLock, ObjectStore } from './object-store.ts';
import { listVersions } from './object-versions.ts';
import type { NamedVersions } from './object-versions.ts';
import { ObjectStoreError } from './object-store-error.ts';

/** To connect, and for an answer. */
const connectMs = 5_000;
const answerMs = 60_000;
/** What a server's clock, which counts in seconds, may round away from a lock. */
const lockSlackMs = 1_000;
/** How long ago an object that is there may have been written: since then the time to which a lock would go has moved on. */
const existsSlackMs = 86_400_000;

/** How far the clock here may be from the server's. */
const mostOffMs = 86_400_000;
/** Names whose versions are remembered: whoever reads or compares asks once. */
const mostRecent = 2_000;

/**
 * A bucket of Amazon S3, or of what speaks its protocol with object lock and conditional writes. Credentials are those that the SDK finds by
 * itself: environment, a web identity's token (IRSA, EKS Pod Identity), the shared files, the instance.
 *
 * @param options.stallMs Milliseconds without a byte after which an object that is read is given up, and for a page of names; default one minute.
 */
export function openS3(
  location: ArchiveLocation,
  { clock = systemClock, stallMs = answerMs }: { readonly clock?: Clock; readonly stallMs?: number } = {},
): ObjectStore {
  const { bucket: Bucket, prefix, region, endpoint, pathStyle, ca } = location;
  const authorities = ca === undefined ? undefined : [...getCACertificates('default'), readFileSync(ca, 'utf8')];
  const client = new S3Client({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    // Whoever calls tries again, and counts.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: answerMs,
      throwOnRequestTimeout: true,
      httpsAgent: new Agent({
        keepAlive: true,
        maxSockets: 8,
        ...(authorities === undefined ? {} : { ca: authorities }),
      }),
    },
  });

  /** What the server last said the time was, and when (monotonic). */
  let said: { readonly time: number; readonly at: number } | undefined;
  client.middlewareStack.add(
    (next) => async (args) => {
      const output = await next(args);
      const { headers } = output.response as { readonly headers?: Readonly<Record<string, string>> };
      const time = Date.parse(headers?.['date'] ?? '');
      if (!Number.isNaN(time)) said = { time, at: clock.monotonic() };
      return output;
    },
    { step: 'deserialize', name: 'sidegateServerTime', override: true },
  );
  /** Milliseconds that the clock here is ahead of the server's; undefined: it has not said. */
  const ahead = (): number | undefined =>
    said === undefined ? undefined : clock.now() - (said.time + clock.monotonic() - said.at);
  const isOff = (): boolean => Math.abs(ahead() ?? Infinity) > mostOffMs;
  /** A lock goes by the clock here: one that is off by much would write what is open soon, or what nobody can remove for years. */
  const checkClock = async (key: string): Promise<void> => {
    if (isOff()) await page({ Prefix: prefix + key, MaxKeys: 1 });
    if (!isOff()) return;
    const by = ahead();
    throw new ObjectStoreError(
      'clock',
      by === undefined
        ? 'the archive does not say what time it is: nothing is locked by a clock that cannot be compared'
        : `the clock here is ${Math.round(Math.abs(by) / 3_600_000)} hours ${by > 0 ? 'ahead of' : 'behind'} that of the archive: nothing is written, since it would be locked for another time`,
    );
  };

  const read = async (key: string, VersionId: string | undefined, most?: number): Promise<Uint8Array | undefined> => {
    try {
      const { Body, ContentLength = 0 } = await client.send(
        new GetObjectCommand({
          ...{ Bucket, Key: prefix + key },
          ...(VersionId === undefined ? {} : { VersionId }),
          ...(most === undefined ? {} : { Range: `bytes=0-${most - 1}` }),
        }),
      );
      if (ContentLength > maxObjectBytes && most === undefined) {
        await Body?.transformToWebStream().cancel();
        throw new ObjectStoreError('too_large', 'an object is larger than any that is written');
      }
      return Body === undefined ? undefined : await readBody(Body as Readable, stallMs, most);
    } catch (error) {
      if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return undefined;
      // Of nothing there is no beginning.
      if (statusOf(error) === 416 && most !== undefined) return new Uint8Array();
      throw problem(error);
    }
  };
  const headOf = (key: string, VersionId: string | undefined): Promise<HeadObjectCommandOutput> =>
    client
      .send(
        new HeadObjectCommand({
          Bucket,
          Key: prefix + key,
          ChecksumMode: 'ENABLED',
          ...(VersionId === undefined ? {} : { VersionId }),
        }),
      )
      .catch((error: unknown) => {
        throw problem(error);
      });
  /** What was written is asked for: size, content and lock. */
  const confirm = async (
    key: string,
    version: string | undefined,
    body: Uint8Array,
    checksum: string,
    lock: ObjectLock,
  ): Promise<void> => {
    const head = await headOf(key, version);
    if (head.ContentLength !== body.length)
      throw new ObjectStoreError('not_kept', 'the object is not there as it was written');
    // Some servers keep no checksum.
    const kept = head.ChecksumSHA256 ?? digest((await read(key, version)) ?? new Uint8Array());
    if (kept !== checksum) throw new ObjectStoreError('not_kept', 'the object is not there as it was written');
    if (!isLocked(head, lock, lockSlackMs))
      throw new ObjectStoreError('not_kept', 'the object is not locked: the bucket must have object lock');
  };
  const page = (input: Omit<ListObjectVersionsCommandInput, 'Bucket'>) =>
    client
      .send(new ListObjectVersionsCommand({ Bucket, ...input }), { abortSignal: AbortSignal.timeout(stallMs) })
      .catch((error: unknown) => {
        throw problem(error);
      });
  /** The first version of a name stays the first, while it is there. */
  const recent = new Map<string, NamedVersions>();
  const remember = (one: NamedVersions): void => {
    const [oldest] = recent.size >= mostRecent ? recent.keys() : [];
    if (oldest !== undefined) recent.delete(oldest);
    recent.set(one.key, one);
  };
  const found = async (key: string): Promise<NamedVersions | undefined> => {
    const shown = recent.get(prefix + key);
    if (shown !== undefined) return shown;
    // The first is the name itself, or there is none of that name.
    for await (const one of listVersions(page, prefix + key)) {
      if (one.key !== prefix + key) return undefined;
      remember(one);
      return one;
    }
    return undefined;
  };

  return {
    async put(key, body, lock) {
      await checkClock(key);
      const checksum = digest(body);
      let version: string | undefined;
      try {
        const { VersionId } = await client.send(
          new PutObjectCommand({
            Bucket,
            Key: prefix + key,
            Body: body,
            ContentLength: body.length,
            ChecksumSHA256: checksum,
            IfNoneMatch: '*',
            ObjectLockMode: lock.mode,
            ObjectLockRetainUntilDate: new Date(lock.until),
          }),
        );
        version = VersionId;
      } catch (error) {
        if (statusOf(error) === 412) return 'exists';
        throw problem(error);
      }
      await confirm(key, version, body, checksum, lock);
      return 'written';
    },
    async keep(key, version, lock) {
      await checkClock(key);
      const before = await headOf(key, version);
      if (isLocked(before, lock, existsSlackMs)) return;
      // No server lets a lock become shorter, or less strict.
      const Mode = before.ObjectLockMode === 'COMPLIANCE' ? 'COMPLIANCE' : lock.mode;
      const RetainUntilDate = new Date(Math.max(lock.until, before.ObjectLockRetainUntilDate?.getTime() ?? 0));
      await client
        .send(
          new PutObjectRetentionCommand({
            Bucket,
            Key: prefix + key,
            VersionId: version,
            Retention: { Mode, RetainUntilDate },
          }),
        )
        .catch((error: unknown) => {
          throw problem(error);
        });
      if (!isLocked(await headOf(key, version), lock, lockSlackMs))
        throw new ObjectStoreError(
          'not_kept',
          'an object that is there already is not locked, or not so long: lock it, or delete it',
        );
    },
    async hold(key, version, on) {
      const Status = on ? 'ON' : 'OFF';
      // Without it there is none.
      const is = async (): Promise<boolean> =>
        ((await headOf(key, version)).ObjectLockLegalHoldStatus ?? 'OFF') === Status;
      if (await is()) return;
      await client
        .send(new PutObjectLegalHoldCommand({ Bucket, Key: prefix + key, VersionId: version, LegalHold: { Status } }))
        .catch((error: unknown) => {
          throw problem(error);
        });
      if (!(await is()))
        throw new ObjectStoreError(
          'not_kept',
          'the archive does not say that an object carries a legal hold, or none: s3:GetObjectLegalHold is needed, and object lock',
        );
    },
    async get(key, version, most) {
      const id = version ?? (await found(key))?.ids[0];
      const body = id === undefined ? undefined : await read(key, id, most);
      // What is first there may be another by now.
      if (body === undefined) recent.delete(prefix + key);
      return body;
    },
    async versions(key, listed = false) {
      if (!listed) recent.delete(prefix + key);
      const there = await found(key);
      // Others may write over it at any time.
      recent.delete(prefix + key);
      if (there === undefined) return undefined;
      const { ids, marked } = there;
      if (ids.length > 1) return { ids, covered: 'written' };
      if (!marked) return { ids, covered: undefined };
      // The bucket's own rules delete what no lock keeps.
      const { ObjectLockRetainUntilDate: until } = await headOf(key, ids[0]);
      return { ids, covered: until !== undefined && until.getTime() <= clock.now() ? undefined : 'deleted' };
    },
    async *list(from) {
      for await (const one of listVersions(page, prefix + from)) {
        remember(one);
        yield one.key.slice(prefix.length);
      }
    },
    async folders(from) {
      const found = new Set<string>();
      for (let markers = {}; ;) {
        const {
          CommonPrefixes = [],
          IsTruncated,
          ...next
        } = await page({
          Prefix: prefix + from,
          Delimiter: '/',
          ...markers,
        });
        for (const { Prefix } of CommonPrefixes)
          if (Prefix !== undefined) found.add(Prefix.slice(prefix.length + from.length, -1));
        if (IsTruncated !== true || next.NextKeyMarker === undefined) return [...found].sort();
        markers = { KeyMarker: next.NextKeyMarker, VersionIdMarker: next.NextVersionIdMarker };
      }
    },
    close: () => client.destroy(),
  };
}

/** The SDK's own timeout ends with the head of an answer. @param most Some servers know no ranges. @throws where nothing comes for so long */
async function readBody(body: Readable, stallMs: number, most = Infinity): Promise<Uint8Array> {
  const stalled = (): void =>
    void body.destroy(Object.assign(new Error('it stopped coming'), { name: 'ObjectStalled' }));
  const timer = setTimeout(stalled, stallMs);
  try {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      parts.push(part);
      size += part.length;
      if (size >= most) break;
      timer.refresh();
    }
    return Buffer.concat(parts).subarray(0, most);
  } finally {
    clearTimeout(timer);
  }
}

const isLocked = (head: HeadObjectCommandOutput, lock: ObjectLock, slackMs: number): boolean =>
  (head.ObjectLockMode === lock.mode || head.ObjectLockMode === 'COMPLIANCE') &&
  (head.ObjectLockRetainUntilDate?.getTime() ?? 0) >= lock.until - slackMs;

const digest = (body: Uint8Array): string => hash('sha256', body, 'base64');

interface Failure {
  readonly name?: string;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}
const statusOf = (error: unknown): number | undefined => (error as Failure).$metadata?.httpStatusCode;
const nameOf = (error: unknown): string => (error as Failure).name ?? '';

/** Errors of sockets have no name of their own, but the system's code, such as ECONNRESET. */
function codeOf(error: unknown): string {
  const { code } = error as Failure;
  const name = nameOf(error);
  return name === 'Error' && typeof code === 'string' ? code : name;
}

/** The server's words may hold what it was sent; its code does not. */
function problem(error: unknown): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const status = statusOf(error);
  const name = /^\w{1,60}$/.exec(codeOf(error))?.[0] ?? 'no answer';
  const cause = new Error(`S3: ${name}`);
  if (name === 'CredentialsProviderError')
    return new ObjectStoreError('refused', 'no credentials for the archive were found', { cause });
  // The SDK's own, which has no other name.
  if (error instanceof Error && error.message === 'Region is missing')
    return new ObjectStoreError('refused', 'the region of the archive is not known: give it, or AWS_REGION', { cause });
  if (status === undefined || status === 429 || status >= 500)
    return new ObjectStoreError('unavailable', `the archive does not answer (${name})`, { cause });
  return new ObjectStoreError('refused', `the archive refuses the request (${status} ${name})`, { cause });
}
