import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';

/** Between two readings of the file. */
const reloadMs = 30_000;

/**
 * The authorities in a PEM file, read again when it changes. The last good ones are kept; before the first good ones
 * there are none, and nobody is proven. Each change is a new list: what an old list proved can be told by identity.
 */
export class CertificateAuthorities {
  readonly #file: string;
  readonly #logger: Logger;
  readonly #timer: Timer;
  #pem: string | undefined = undefined;
  #anchors: readonly X509Certificate[] | undefined = undefined;

  constructor(file: string, clock: Clock, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
    // Read at once: the first request after a policy change must not find an empty list. One small file per change.
    try {
      this.#take(readFileSync(file, 'utf8'));
    } catch (error) {
      this.#failed(error);
    }
    this.#timer = clock.every(reloadMs, () => void this.#reload());
  }

  /** Undefined while none could be read. */
  get anchors(): readonly X509Certificate[] | undefined {
    return this.#anchors;
  }

  close(): void {
    this.#timer.cancel();
  }

  async #reload(): Promise<void> {
    try {
      this.#take(await readFile(this.#file, 'utf8'));
    } catch (error) {
      this.#failed(error);
    }
  }

  #take(pem: string): void {
    if (pem === this.#pem) return;
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new TypeError('no certificate in the file');
    // Only authorities: a leaf that lies in the file by mistake must not vouch for others.
    const anchors = blocks.map((block) => new X509Certificate(block)).filter((one) => one.ca);
    if (anchors.length === 0) throw new TypeError('no authority in the file');
    this.#anchors = anchors;
    this.#pem = pem;
  }

  #failed(error: unknown): void {
    this.#logger.error('client certificate authorities could not be read', {
      file: this.#file,
      error: describeError(error),
      kept: this.#anchors?.length ?? 0,
    });
  }
}
