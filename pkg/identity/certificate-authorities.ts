import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { SecretRef } from '../core/index.ts';
import type { ReadSecret } from './http-get.ts';

/** Between two readings of the file. */
const reloadMs = 30_000;

export interface AuthoritiesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly secret: ReadSecret;
}

/**
 * The authorities in a PEM file or a Secret, taken again when they change. Of what cannot be read as authorities the last good ones are
 * kept; before the first good ones there are none, and nobody is proven. So it is where the Secret is gone: whoever takes it away takes
 * away whom it proved. Each change is a new list: what an old list proved can be told by identity.
 */
export class CertificateAuthorities {
  readonly #from: SecretRef;
  readonly #logger: Logger;
  readonly #secret: ReadSecret;
  readonly #timer: Timer | undefined;
  /** As last read, good or not: told of once. */
  #pem: string | undefined = undefined;
  #anchors: readonly X509Certificate[] | undefined = undefined;

  constructor(from: SecretRef, { clock, logger, secret }: AuthoritiesOptions) {
    this.#from = from;
    this.#logger = logger;
    this.#secret = secret;
    if (from.kind === 'Secret') return;
    const { path } = from;
    // Read at once: the first request after a policy change must not find an empty list. One small file per change.
    try {
      this.#take(readFileSync(path, 'utf8'));
    } catch (error) {
      this.#failed(error);
    }
    this.#timer = clock.every(reloadMs, () => void this.#reload(path));
  }

  /** Undefined while none could be read. */
  get anchors(): readonly X509Certificate[] | undefined {
    if (this.#from.kind === 'Secret') this.#look(this.#from);
    return this.#anchors;
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** What was received is at hand: a comparison, with each request. */
  #look(from: SecretRef): void {
    const pem = this.#secret(from);
    if (pem === this.#pem) return;
    if (pem === undefined) {
      this.#pem = undefined;
      this.#anchors = undefined;
      return;
    }
    try {
      this.#take(pem);
    } catch (error) {
      this.#pem = pem;
      this.#failed(error);
    }
  }

  async #reload(path: string): Promise<void> {
    try {
      this.#take(await readFile(path, 'utf8'));
    } catch (error) {
      this.#failed(error);
    }
  }

  #take(pem: string): void {
    if (pem === this.#pem) return;
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new TypeError('no certificate in it');
    // Only authorities: a leaf that lies in it by mistake must not vouch for others.
    const anchors = blocks.map((block) => new X509Certificate(block)).filter((one) => one.ca);
    if (anchors.length === 0) throw new TypeError('no authority in it');
    this.#anchors = anchors;
    this.#pem = pem;
  }

  #failed(error: unknown): void {
    const from = this.#from;
    this.#logger.error('client certificate authorities could not be read', {
      from: from.kind === 'File' ? from.path : `Secret ${from.name}, key ${from.key}`,
      error: describeError(error),
      kept: this.#anchors?.length ?? 0,
    });
  }
}
