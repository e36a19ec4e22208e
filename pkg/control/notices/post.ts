import { request } from 'node:https';
import { CodedError, onUnaskedUpgrade } from '../../base/index.ts';

/** How a receiver answered. */
export interface PostAnswer {
  readonly status: number;
  /** Of `Retry-After` in seconds; undefined: it says nothing. */
  readonly againMs: number | undefined;
}

const patienceMs = 10_000;
/** A receiver may not put it off beyond this. */
const mostPatienceMs = 300_000;

/**
 * Posts JSON by HTTPS. Redirects are not followed, and nothing of the answer's body is read: neither is of use to whoever is told.
 *
 * @param ca PEM of authorities beside the public ones.
 * @throws CodedError `unreachable` where there is no answer within 10 s; its message does not hold the address, which may be a secret.
 */
export function postJson(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  options: { readonly ca: string | undefined; readonly signal: AbortSignal },
): Promise<PostAnswer> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(patienceMs)]);
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
        agent: false,
        signal,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      },
      (response) => {
        response.destroy();
        const again = /^[0-9]{1,6}$/.exec(response.headers['retry-after'] ?? '')?.[0];
        resolve({
          status: response.statusCode ?? 0,
          againMs: again === undefined ? undefined : Math.min(mostPatienceMs, Number(again) * 1_000),
        });
      },
    );
    call.on('error', (error: NodeJS.ErrnoException) => {
      reject(new CodedError('unreachable', `no answer from the receiver (${error.code ?? error.name})`));
    });
    onUnaskedUpgrade(call, () => reject(new CodedError('refused', 'the receiver answers 101')));
    call.end(body);
  });
}

/** What an answer means: 2xx is taken, 408, 425, 429 and 5xx may be taken later, all others never will be. */
export function readAnswer({ status, againMs }: PostAnswer): 'sent' | 'refused' | { readonly againMs: number } {
  if (status >= 200 && status < 300) return 'sent';
  if (status < 500 && ![408, 425, 429].includes(status)) return 'refused';
  if (againMs !== undefined) return { againMs };
  throw new CodedError('refused', `the receiver answers ${status}`);
}
