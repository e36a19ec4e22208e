import type { ImportedCertificate, PodSecrets } from '../stream/index.ts';
import { secretKey } from './secret-store.ts';
import type { SecretStore } from './secret-store.ts';
import type { PlacedCertificate, PlacedSecret } from './secret-names.ts';

/**
 * What pods with one set of policies get of Secrets. While nothing in it changed the object is the same, so that whoever sends it can
 * compare by identity.
 */
export interface SecretViews {
  /** `pending`: one of them was not read yet, so it cannot be said what is there. */
  secrets(setId: string, placed: readonly PlacedSecret[]): PodSecrets | 'pending';
  certificate(setId: string, placed: PlacedCertificate | undefined): ImportedCertificate | undefined | 'pending';
  /** Forgets sets but these. */
  keep(setIds: ReadonlySet<string>): void;
}

/** All values of one pod, bytes of JSON: beside them a message has room for the names. */
const mostTogether = 3 * 1024 * 1024;
/** As many as a sidecar takes. */
const mostValues = 1_000;

type Read = ReturnType<SecretStore['read']>;
type Known = Exclude<Read, 'pending'>;

interface View<T> {
  readonly from: readonly Read[];
  readonly value: T;
}

const certificateKeys = { cert: 'tls.crt', key: 'tls.key' } as const;
const pkcs12Keys = ['keystore.p12', 'tls.p12'] as const;
const passphraseKeys = ['passphrase', 'password'] as const;

/** All that may be read of a Secret that holds a certificate. */
export const keysOfCertificate: readonly string[] = [
  ...Object.values(certificateKeys),
  ...pkcs12Keys,
  ...passphraseKeys,
];

/** What a policy gets of the Secret that holds its serving certificate. */
export function certificateOf({ namespace, name }: PlacedCertificate, content: Known): ImportedCertificate {
  const nothing = { secretName: name, content: undefined };
  if (typeof content === 'string') return nothing;
  const certificate = content.text(certificateKeys.cert);
  const key = content.text(certificateKeys.key);
  if (certificate !== undefined && key !== undefined) {
    const pem = certificate.reveal();
    return pem === '' || key.reveal() === ''
      ? nothing
      : { secretName: name, content: { kind: 'pem', certificate: pem, key } };
  }
  const file = pkcs12Keys.map((one) => content.bytes(one)).find((one) => one !== undefined);
  const passphrase = passphraseKeys.map((one) => content.text(one)).find((one) => one !== undefined);
  if (file === undefined || passphrase === undefined) return nothing;
  return { secretName: name, content: { kind: 'pkcs12', file, passphrase, namespace } };
}

export function createSecretViews(store: SecretStore): SecretViews {
  const secretViews = new Map<string, View<PodSecrets>>();
  const certificateViews = new Map<string, View<ImportedCertificate>>();

  const view = <T>(views: Map<string, View<T>>, id: string, from: readonly Read[], make: () => T): T => {
    const held = views.get(id);
    if (held !== undefined && held.from.length === from.length && held.from.every((one, at) => one === from[at]))
      return held.value;
    const value = make();
    views.set(id, { from, value });
    return value;
  };

  return {
    secrets: (id, all) => {
      const placed = all.slice(0, mostValues);
      const from = placed.map(({ namespace, name }) => store.read(secretKey(namespace, name)));
      if (from.includes('pending')) return 'pending';
      return view(secretViews, id, from, () => {
        let left = mostTogether;
        const found = placed.map(({ as }, at) => {
          const content = from[at];
          const value = content === undefined || typeof content === 'string' ? undefined : content.text(as.key);
          const size = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value.reveal()));
          if (size > left) return { as, value: undefined };
          left -= size;
          return { as, value };
        });
        return {
          values: found.flatMap(({ as, value }) => (value === undefined ? [] : [{ ...as, value }])),
          missing: found.flatMap(({ as, value }) => (value === undefined ? [as] : [])),
        };
      });
    },
    certificate(id, placed) {
      if (placed === undefined) return undefined;
      const content = store.read(secretKey(placed.namespace, placed.name));
      if (content === 'pending') return 'pending';
      return view(certificateViews, id, [content], () => certificateOf(placed, content));
    },
    keep(ids) {
      for (const views of [secretViews, certificateViews])
        for (const id of views.keys()) if (!ids.has(id)) views.delete(id);
    },
  };
}
