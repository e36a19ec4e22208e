import { Worker } from 'node:worker_threads';
import { CodedError } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import { SamlFault } from './saml-fault.ts';

/**
 * Proves signatures in a thread of its own: whoever posts a document can make us spend some tenths of a second on it, and policies go
 * out by the process's own thread. It begins with the first question; one that died, or took too long, is begun again with the next.
 */
export interface SignatureProver {
  /**
   * The assertion as it was signed.
   *
   * @param response with one assertion, of the shape that signed-shape.ts lets through.
   * @throws SamlFault signature; SignatureProverError when that could not be found out.
   */
  prove(response: string, keys: readonly string[], responseSigned: boolean): Promise<string>;
  close(): void;
}

export interface SignatureQuestion {
  readonly id: number;
  readonly response: string;
  /** PEM. */
  readonly keys: readonly string[];
  readonly responseSigned: boolean;
}

export interface SignatureAnswer {
  readonly id: number;
  readonly text?: string | undefined;
  readonly why?: string;
}

/** Nothing was found out. */
export class SignatureProverError extends CodedError<'busy' | 'ended'> {
  constructor(code: 'busy' | 'ended', options?: { readonly cause?: unknown }) {
    super(
      code,
      code === 'busy' ? 'too many signatures wait to be proven' : 'the thread that proves signatures ended',
      options,
    );
    this.name = 'SignatureProverError';
  }
}

/** Questions that wait; at some tenths of a second for the largest, more would have timed out with whoever asks. */
const mostWaiting = 20;
const longestMs = 10_000;
/** node-saml and its libraries take about 20 MB. */
const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 };

interface Waiting {
  readonly answered: PromiseWithResolvers<string>;
  readonly late: Timer;
}

/** @param thread The thread's program: signature-thread.ts, or its bundle. */
export function createSignatureProver(thread: URL, clock: Pick<Clock, 'after'>): SignatureProver {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let next = 0;

  const forget = (id: number): Waiting | undefined => {
    const found = waiting.get(id);
    found?.late.cancel();
    waiting.delete(id);
    return found;
  };
  const ended = (which: Worker | undefined, cause?: unknown): void => {
    if (which === undefined || which !== worker) return;
    worker = undefined;
    void which.terminate();
    for (const id of [...waiting.keys()]) forget(id)?.answered.reject(new SignatureProverError('ended', { cause }));
  };
  const start = (): Worker => {
    const started = new Worker(thread, { resourceLimits, env: {} });
    started.unref();
    started.on('message', ({ id, text, why }: SignatureAnswer) => {
      const found = forget(id);
      if (text !== undefined) found?.answered.resolve(text);
      else found?.answered.reject(new SamlFault('signature', { cause: why }));
    });
    started.on('error', (error) => ended(started, error));
    started.on('exit', () => ended(started));
    return started;
  };

  return {
    prove(response, keys, responseSigned) {
      if (waiting.size >= mostWaiting) return Promise.reject(new SignatureProverError('busy'));
      worker ??= start();
      const asked = worker;
      const id = next++;
      const answered = Promise.withResolvers<string>();
      waiting.set(id, { answered, late: clock.after(longestMs, () => ended(asked)) });
      asked.postMessage({ id, response, keys, responseSigned } satisfies SignatureQuestion);
      return answered.promise;
    },
    close: () => ended(worker),
  };
}
