import { X509Certificate, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JsonNode } from '../base/index.ts';
import type { SignatureEvent } from '../core/index.ts';
import { createLeafReader } from '../pki/index.ts';
import type { KnownLeaf, LeafReader } from '../pki/index.ts';

/**
 * A sidecar's signature over a point of its chain, and so over every line up to it. It stands in the chain itself, with the
 * certificate of the key: who has the authorities of that time can check it without asking anybody.
 */
const textOf = (chain: string, sequence: number, hash: string): Buffer =>
  Buffer.from(`sidegate-chain-signature/1\n${chain}\n${sequence}\n${hash}\n`);

/** @param certificate PEM of the identity, leaf first. */
export function signPoint(
  chain: string,
  point: { readonly sequence: number; readonly hash: string },
  key: KeyObject,
  certificate: string,
): SignatureEvent {
  const { sequence, hash } = point;
  return {
    type: 'signature',
    chain,
    sequence,
    over: hash,
    certificate: new X509Certificate(certificate).raw.toString('base64'),
    value: sign('sha256', textOf(chain, sequence, hash), { key, dsaEncoding: 'ieee-p1363' }).toString('base64'),
  };
}

export interface ReadSignature {
  readonly chain: string;
  readonly sequence: number;
  readonly over: string;
  readonly certificate: KnownLeaf;
}

/** The signature of a line, where it is one and its certificate's key made it. Whose certificate it is is the caller's to judge. */
export type SignatureReader = (root: JsonNode) => ReadSignature | undefined;

/** One that reads a certificate once, however many signatures it has made. */
export function createSignatureReader(read: LeafReader = createLeafReader()): SignatureReader {
  return (root) => {
    const chain = root.get('chain')?.string ?? '';
    const sequence = root.get('sequence')?.number ?? -1;
    const over = root.get('over')?.string ?? '';
    const value = root.get('value')?.string ?? '';
    try {
      const certificate = read(Buffer.from(root.get('certificate')?.string ?? '', 'base64'));
      const key = { key: certificate.publicKey, dsaEncoding: 'ieee-p1363' } as const;
      const good = verify('sha256', textOf(chain, sequence, over), key, Buffer.from(value, 'base64'));
      return good ? { chain, sequence, over, certificate } : undefined;
    } catch {
      return undefined;
    }
  };
}
