import { parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { createSignatureReader, createSignerCheck } from '../../record/index.ts';
import type { ReadSignature, SignatureReader, SignerCheck } from '../../record/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { Committer } from './committer.ts';

/**
 * Whether `audit verify` will find that a signature was made with a certificate of this sidecar (pkg/record/verify-signers.ts), so that one that it
 * would not take is not in the record either: of all who verify the whole log, none finds a fault that a sidecar has made.
 */
export interface Signers {
  /** Reads the signature of a line: its certificate is parsed, and its issuer found, once. */
  readonly read: SignatureReader;
  /**
   * Of a signature that its certificate's key has made, in a line that says this of its time (epoch milliseconds). `later`: its authority is good, and its certificate counts from a time on that this
   * recorder's clock has not reached: it is good when it comes again.
   *
   * @throws StoreError
   */
  judge(signature: ReadSignature, writtenAt: number, source: string): Promise<'good' | 'later' | 'false'>;
}

/** A certificate that counts when lines come still counts when they are written. */
const commitMs = 60_000;
const page = 100;

export function createSigners(options: {
  readonly store: Pick<RecordStore, 'allOf' | 'latest'>;
  readonly committer: Pick<Committer, 'add'>;
  /** PEM of the authorities that count; the same text while nothing changed. */
  readonly bundle: () => string;
  readonly clock: Clock;
}): Signers {
  const { store, committer, bundle, clock } = options;
  /** By all authorities that the log has named: what was spooled for long may be signed with one that is gone. */
  const check = createSignerCheck(undefined);
  let next = 0;
  const learn = async (): Promise<void> => {
    for (let entries; (entries = await store.allOf('authorities', next, page)).length > 0;)
      for (const { index, text } of entries) {
        next = index + 1;
        try {
          check.learn(parseJson(text).get('bundle')?.string ?? '');
        } catch {
          // No recorder wrote it: who verifies the log is told of it, and takes none from it either.
        }
      }
  };
  return {
    read: createSignatureReader(),
    async judge(signature, writtenAt, source) {
      const { chain } = signature;
      const receivedAt = Math.max(clock.now(), store.latest());
      const counts = (by: SignerCheck, time: number): boolean =>
        by.fault({ signature, writtenAt, receivedAt: time, source, chain, hashOf: () => undefined }) === undefined;
      const isGood = (by = check): boolean => counts(by, receivedAt) && counts(by, receivedAt + commitMs);
      if (isGood()) return 'good';
      await learn();
      if (isGood()) return 'good';
      const now = bundle();
      const byBundle = createSignerCheck(now);
      if (isGood(byBundle)) {
        // In the log before what they have signed.
        await committer.add({ entry: { type: 'authorities', at: clock.now(), bundle: now } });
        check.learn(now);
        return 'good';
      }
      const begins = signature.certificate.facts.notBefore;
      return begins > receivedAt && (counts(check, begins) || counts(byBundle, begins)) ? 'later' : 'false';
    },
  };
}
