import { X509Certificate, createPrivateKey } from 'node:crypto';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { TlsMaterial } from '../../pki/index.ts';
import { signPoint } from '../signature.ts';
import type { AuditFile } from '../audit-file.ts';
import type { Spool } from './spool.ts';

/**
 * Signs the chain each minute in which something was added to it, and after many lines. A signature that cannot be written is no loss: the next
 * minute signs more.
 */
export interface ChainSigner {
  /** Now, where there is something new and a key. */
  sign(): void;
  close(): void;
}

export interface ChainSignerOptions {
  readonly spool: Spool;
  /** Where the signature's line goes: the spool, or what bounds it. */
  readonly sink: Pick<AuditFile, 'offer'>;
  /** Undefined: there is no certificate now; the next look tries again. */
  readonly identity: () => TlsMaterial | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Lines after which a signature does not wait for the minute; default 1,000. */
  readonly lines?: number;
}

const lookMs = 1_000;
const everyMs = 60_000;

export function createChainSigner(options: ChainSignerOptions): ChainSigner {
  const { spool, sink, identity, clock, logger, lines = 1_000 } = options;
  let chain = spool.chain;
  let signed = spool.record.head().seq;
  /** Another chain is signed from its beginning. */
  const follow = (): void => {
    if (chain !== spool.chain) signed = 0;
    chain = spool.chain;
  };
  let triedAt = clock.monotonic();
  let failed = false;
  const sign = (): void => {
    follow();
    const { seq, hash } = spool.record.head();
    const material = identity();
    if (seq <= signed || material === undefined) return;
    triedAt = clock.monotonic();
    failed = true;
    try {
      // It has to count by the time that the line says.
      if (new X509Certificate(material.cert).validToDate.getTime() - clock.now() < lookMs) return;
      const key = createPrivateKey(material.key);
      sink.offer([signPoint(spool.chain, { sequence: seq, hash }, key, material.cert)]);
      // The signature's own line is nothing new.
      signed = spool.record.head().seq;
      failed = false;
    } catch (error) {
      logger.debug('the chain was not signed', { error: describeError(error) });
    }
  };
  const timer = clock.every(lookMs, () => {
    follow();
    if (clock.monotonic() - triedAt >= everyMs || (!failed && spool.record.head().seq - signed >= lines)) sign();
  });
  return { sign, close: () => timer.cancel() };
}
