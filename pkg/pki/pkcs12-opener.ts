import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/index.ts';
import { PkiError } from './pki-error.ts';
import type { PkiErrorCode } from './pki-error.ts';
import type { Pkcs12Content } from './pkcs12.ts';

/**
 * Opens PKCS#12 files in a thread: the key derivations that a file may ask for take about a second, in which a process that has others to
 * answer must not stand still. One file after the other, each in a thread of its own, which ends with it and with the memory that it took;
 * owners take turns, so that nobody waits for all the files that another has.
 */
export interface Pkcs12Opener {
  /** @throws PkiError pkcs12_unopened (it took longer than 30 s, for one), pkcs12_invalid, passphrase_wrong, key_mismatch */
  open(file: Uint8Array, passphrase: string, owner: string): Promise<Pkcs12Content>;
  /** What waits or is open rejects. */
  close(): void;
}

export interface Pkcs12Question {
  readonly file: Uint8Array;
  readonly passphrase: string;
}

export type Pkcs12Answer =
  { readonly content: Pkcs12Content } | { readonly code: PkiErrorCode; readonly message: string };

/** A processor that is shared with many may give it a second's work in so long. */
const longestMs = 30_000;
/** node-forge takes about 12 MB. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 };

/** @param thread The thread's program: pkcs12-thread.ts, or its bundle. */
export function createPkcs12Opener(
  clock: Pick<Clock, 'after'>,
  thread: URL = new URL('./pkcs12-thread.ts', import.meta.url),
): Pkcs12Opener {
  /** By owner, in the order of their turns. */
  const waiting = new Map<string, (() => void)[]>();
  let busy = false;
  let running: Worker | undefined;
  let closed = false;

  const ask = async (question: Pkcs12Question): Promise<Pkcs12Content> => {
    if (closed) throw new PkiError('pkcs12_unopened', 'nothing is opened any more');
    const answered = Promise.withResolvers<Pkcs12Answer>();
    let worker: Worker | undefined;
    const late = clock.after(longestMs, () => answered.reject(new Error('it took too long')));
    try {
      // Throws where the machine has no thread to give.
      running = worker = new Worker(thread, { workerData: question, resourceLimits, env: {} });
      worker.on('message', (answer: Pkcs12Answer) => answered.resolve(answer));
      worker.on('error', (error) => answered.reject(error));
      worker.on('exit', () => answered.reject(new Error('the thread ended without an answer')));
      const answer = await answered.promise;
      if ('content' in answer) return answer.content;
      throw new PkiError(answer.code, answer.message);
    } catch (cause) {
      if (cause instanceof PkiError) throw cause;
      throw new PkiError('pkcs12_unopened', 'the PKCS#12 file could not be opened in time', { cause });
    } finally {
      late.cancel();
      running = undefined;
      void worker?.terminate();
    }
  };

  const next = (): void => {
    const [first] = waiting;
    busy = first !== undefined;
    if (first === undefined) return;
    const [owner, [begin, ...rest]] = first;
    // Behind all others, with what is left.
    waiting.delete(owner);
    if (rest.length > 0) waiting.set(owner, rest);
    begin?.();
  };

  return {
    open(file, passphrase, owner) {
      const turn = Promise.withResolvers<undefined>();
      waiting.set(owner, [...(waiting.get(owner) ?? []), () => turn.resolve(undefined)]);
      if (!busy) next();
      return turn.promise.then(() => ask({ file, passphrase })).finally(next);
    },
    close() {
      closed = true;
      void running?.terminate();
    },
  };
}
