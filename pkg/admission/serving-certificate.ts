/**
 * The webhook's own serving certificate. The authority is in a Secret that all replicas share; each makes a key of its own in
 * memory and has it signed, so that no leader is needed to serve.
 *
 * Order of each look: the authority (its rotation's step, if one is due), then the configurations that call the webhook, then the
 * certificate: none is served before the API server can know its authority.
 */
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { isConflict, resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import {
  afterStep,
  bundleOf,
  certificateFacts,
  createAuthority,
  createAuthorityPair,
  createKeyRequest,
  dueStep,
  readAuthority,
  rotationTiming,
  writeAuthority,
} from '../pki/index.ts';
import type { Authority, AuthorityState, RotationTiming } from '../pki/index.ts';
import { writeReach } from './client-config.ts';
import { createLookLoop } from './look-loop.ts';
import type { PathKeys } from './path-keys.ts';

export interface ServingMaterial {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Epoch milliseconds. */
  readonly notAfter: number;
}

export interface ServingCertificate {
  current(): ServingMaterial | undefined;
  /** Why the webhook cannot serve yet; fixed words. */
  problems(): readonly ('no_certificate' | 'ca_bundle_not_written')[];
  /** Called with each new certificate. */
  subscribe(listener: (material: ServingMaterial) => void): void;
  /** Looks at everything now, or once more when a look is under way. */
  look(): void;
  /** The same, once in five seconds at most: for what anybody may bring about. */
  lookSoon(): void;
  close(): void;
}

export interface ServingCertificateOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** In the certificate, `SERVICE.NAMESPACE.svc` first. */
  readonly dnsNames: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Learns from the authority, which all replicas share. */
  readonly keys: PathKeys;
  readonly timing?: RotationTiming;
  readonly onIssued?: (result: 'accepted' | 'refused') => void;
}

interface SecretObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const decoded = ({ data = {} }: SecretObject): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
const encoded = (data: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));

/** Starts at once; never rejects: what fails is logged and tried again. */
export function createServingCertificate(options: ServingCertificateOptions): ServingCertificate {
  const { client, namespace, dnsNames, clock, logger, keys, timing = rotationTiming, onIssued } = options;
  const ref = { namespace, name: controlPlane.webhookAuthority };
  const listeners: ((material: ServingMaterial) => void)[] = [];
  let authority: Authority | undefined;
  let material: (ServingMaterial & { readonly issuer: string; readonly renewAt: number }) | undefined;
  let bundleWritten = false;

  /** The state as it is stored, after the step that is due. Of several replicas one takes it: the others meet a conflict. */
  const storedState = async (): Promise<AuthorityState> => {
    const secret = await client.find<SecretObject>(resources.secrets, ref);
    const state = secret === undefined ? undefined : readAuthority(decoded(secret));
    const step = dueStep(state, clock.now(), timing);
    if (step === undefined) {
      if (state === undefined) throw new Error('there is no authority, and none is due');
      return state;
    }
    const fresh = step === 'create' || step === 'publish' ? await createAuthorityPair(clock) : undefined;
    const next = afterStep(state, step, clock.now(), fresh);
    const data = encoded(writeAuthority(next));
    if (secret === undefined) {
      await client.create(
        resources.secrets,
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: ref.name, namespace }, type: 'Opaque', data },
        { namespace },
      );
    } else await client.replace<SecretObject>(resources.secrets, { ...secret, data });
    logger.info('the webhook authority took a step', { step });
    return next;
  };

  const renew = async (signing: Authority, issuer: string): Promise<void> => {
    const now = clock.now();
    if (material?.issuer === issuer && now < material.renewAt) return;
    const { key, csr } = createKeyRequest();
    const cert = await signing.sign({ purpose: 'server', csr, dnsNames });
    const { notAfter } = certificateFacts(cert);
    material = { cert, key, notAfter, issuer, renewAt: now + ((notAfter - now) * 2) / 3 };
    onIssued?.('accepted');
    logger.info('a serving certificate was issued', { until: new Date(notAfter).toISOString() });
    for (const listener of listeners) listener(material);
  };

  const lookOnce = async (): Promise<void> => {
    const state = await storedState();
    if (authority === undefined) authority = createAuthority({ state, clock });
    else authority.replace(state);
    keys.learn([state.current.key, ...(state.next === undefined ? [] : [state.next.key])]);
    try {
      const { changed } = await writeReach(client, { bundle: bundleOf(state), keys });
      bundleWritten = true;
      if (changed > 0) logger.info('authority and paths were written into webhook configurations', { changed });
    } catch (error) {
      bundleWritten = false;
      // A certificate of an authority that the API server trusts already is good whatever else is amiss.
      if (material === undefined || material.issuer === state.current.cert) await renew(authority, state.current.cert);
      throw error;
    }
    await renew(authority, state.current.cert);
  };

  const loop = createLookLoop({
    clock,
    lookOnce,
    failed(error) {
      // Another replica was first: what it wrote is read at the next look.
      if (isConflict(error)) return;
      onIssued?.('refused');
      logger.error('the serving certificate is not in order', { error: describeError(error) });
    },
  });

  return {
    current: () => material,
    problems: () => [
      ...(material === undefined || clock.now() >= material.notAfter ? (['no_certificate'] as const) : []),
      ...(bundleWritten ? [] : (['ca_bundle_not_written'] as const)),
    ],
    subscribe: (listener) => void listeners.push(listener),
    look: () => loop.look(),
    lookSoon: () => loop.lookSoon(),
    close: () => loop.close(),
  };
}
