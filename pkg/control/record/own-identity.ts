import { controlPlane } from '../../contract/index.ts';
import type { Clock } from '../../base/index.ts';
import { certificateFacts, createKeyRequest, writeWorkloadId } from '../../pki/index.ts';
import type { TlsMaterial } from '../../pki/index.ts';
import type { StreamAuthority } from '../stream/index.ts';

/** The client certificate by which the recorder knows this controller: made by itself, with the authority that it has. */
export interface OwnIdentity {
  /** @throws PkiError */
  get(): Promise<OwnMaterial>;
  /** The last one, where it still counts; the next one is then made meanwhile. */
  current(): TlsMaterial | undefined;
}

export interface OwnMaterial extends TlsMaterial {
  /** PEM of the authorities when it was made. */
  readonly bundle: string;
}

export interface OwnIdentityOptions {
  readonly authority: Pick<StreamAuthority, 'bundle' | 'sign'>;
  readonly trustDomain: string;
  /** Of Sidegate itself: no governed pod is in it, so that nobody else gets such a certificate. */
  readonly namespace: string;
  /** In place of a pod's uid: the pod's name. */
  readonly replica: string;
  readonly clock: Pick<Clock, 'now'>;
}

export function createOwnIdentity(options: OwnIdentityOptions): OwnIdentity {
  const { authority, trustDomain, namespace, replica, clock } = options;
  let material: OwnMaterial | undefined;
  let making: Promise<OwnMaterial> | undefined;

  /** Made again at half of its life, by the wall clock, and when the authority has changed. */
  const isFresh = (known: OwnMaterial): boolean => {
    const { notBefore, notAfter } = certificateFacts(known.cert);
    return known.bundle === authority.bundle() && clock.now() >= notBefore && clock.now() < (notBefore + notAfter) / 2;
  };
  const make = async (): Promise<OwnMaterial> => {
    const bundle = authority.bundle();
    const { key, csr } = createKeyRequest();
    const id = { namespace, serviceAccount: controlPlane.controller, uid: replica };
    const uri = writeWorkloadId(trustDomain, id);
    material = { key, bundle, cert: await authority.sign({ purpose: 'client', csr, uri }) };
    return material;
  };
  const get = async (): Promise<OwnMaterial> => {
    if (material !== undefined && isFresh(material)) return material;
    making ??= make().finally(() => {
      making = undefined;
    });
    return making;
  };
  return {
    get,
    current() {
      // Who cannot have one asks again.
      get().catch(() => undefined);
      return material !== undefined && clock.now() < certificateFacts(material.cert).notAfter ? material : undefined;
    },
  };
}
