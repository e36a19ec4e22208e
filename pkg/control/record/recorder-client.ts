import { request as httpsRequest } from 'node:https';
import { onUnaskedUpgrade } from '../../base/index.ts';
import { maxListBytes, podsPath, readPodList } from '../../wire/index.ts';
import type { PodReport } from '../../wire/index.ts';
import type { OwnIdentity } from './own-identity.ts';

/** Asks the recorder, with a client certificate that the controller makes for itself. */
export interface RecorderClient {
  /** Resolves when the recorder has it on its disk. @throws Error where it does not take it. */
  report(report: PodReport): Promise<void>;
  /** SPIFFE ids of sidecars of which the recorder has a chain, and has not heard that their pods are gone. @throws Error */
  present(): Promise<readonly string[]>;
}

export interface RecorderClientOptions {
  /** `https://HOST:PORT`. */
  readonly url: string;
  readonly identity: Pick<OwnIdentity, 'get'>;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

export function createRecorderClient(options: RecorderClientOptions): RecorderClient {
  const { identity, timeoutMs = 10_000 } = options;
  const base = new URL(options.url);
  const ask = async (method: 'GET' | 'POST', body?: string): Promise<string> => {
    const { cert, key, bundle } = await identity.get();
    return new Promise((resolve, reject) => {
      const sent = httpsRequest(new URL(podsPath, base), {
        method,
        cert,
        key,
        ca: bundle,
        minVersion: 'TLSv1.3',
        agent: false,
        timeout: timeoutMs,
        ...(body === undefined ? {} : { headers: { 'content-length': Buffer.byteLength(body) } }),
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
      sent.on('error', reject);
      onUnaskedUpgrade(sent, () => reject(new Error('the recorder answers 101')));
      sent.on('response', (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('error', reject);
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > maxListBytes) sent.destroy(new Error('the answer is too long'));
          else parts.push(part);
        });
        response.on('end', () => {
          const { statusCode = 0 } = response;
          if (statusCode === 200 || statusCode === 204) resolve(Buffer.concat(parts).toString());
          else reject(new Error(`the recorder answers ${statusCode}`));
        });
      });
      sent.end(body);
    });
  };
  return {
    async report(report) {
      await ask('POST', JSON.stringify(report));
    },
    present: async () => readPodList(await ask('GET')).sources,
  };
}
