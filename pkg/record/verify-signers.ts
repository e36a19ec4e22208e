import type { X509Certificate } from 'node:crypto';
import { checkLeaf, readBundle, sameWorkload } from '../pki/index.ts';
import type { KnownLeaf } from '../pki/index.ts';
import type { ReadSignature } from './signature.ts';

/**
 * Whether the signatures that sidecars put into their chains are theirs: made by the key of a certificate that names the sidecar, that an
 * authority of Sidegate had issued for clients, that counted when the line was written or received, and over the line that they name.
 *
 * The authorities are those that the log itself says it had (entries `authorities`), or, stronger, those that the reader brings: a
 * recorder that was taken over can write an authority of its own into its log, and not into the reader's hands.
 */
export interface SignerCheck {
  /** An `authorities` entry of the log. */
  learn(pem: string): void;
  /** Undefined: it is good. */
  fault(line: SignatureLine): SignerFault | undefined;
}

export type SignerFault = 'signer_forged' | 'signature_forged';

export interface SignatureLine {
  /** Undefined: its certificate's key has not made it. */
  readonly signature: ReadSignature | undefined;
  /** When the line says that it was written, and when the recorder took it in: epoch milliseconds. */
  readonly writtenAt: number;
  readonly receivedAt: number;
  readonly source: string;
  readonly chain: string;
  /** Hash of a line of the chain; undefined: it is not at hand. */
  readonly hashOf: (sequence: number) => string | undefined;
}

/** Clocks of pods and of the recorder differ. */
const skewMs = 5 * 60_000;

/** @param pinned PEM of the authorities that alone count; undefined: those of the log. @throws PkiError for a bundle that is none */
export function createSignerCheck(pinned: string | undefined): SignerCheck {
  const authorities = new Map<string, X509Certificate>();
  const add = (pem: string): void => {
    for (const one of readBundle(pem)) authorities.set(one.fingerprint256, one);
  };
  if (pinned !== undefined) add(pinned);

  const counted = (leaf: KnownLeaf, source: string, at: number): boolean => {
    try {
      const { uris } = checkLeaf(leaf, [...authorities.values()], 'client', at);
      return uris.length === 1 && uris[0] !== undefined && sameWorkload(uris[0], source);
    } catch {
      return false;
    }
  };
  return {
    learn(pem) {
      if (pinned === undefined) add(pem);
    },
    fault({ signature, writtenAt, receivedAt, source, chain, hashOf }) {
      if (signature?.chain !== chain) return 'signature_forged';
      const { certificate, sequence, over } = signature;
      const signed = hashOf(sequence);
      if (signed !== undefined && signed !== over) return 'signature_forged';
      // What was received before its certificate was made was not signed with it.
      if (receivedAt < certificate.facts.notBefore - skewMs) return 'signer_forged';
      const good = counted(certificate, source, writtenAt) || counted(certificate, source, receivedAt);
      return good ? undefined : 'signer_forged';
    },
  };
}
