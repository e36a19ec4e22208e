import type { Clock } from '../../base/index.ts';
import { Secret } from '../../base/index.ts';
import { PkiError, checkPair } from '../../pki/index.ts';
import type { Pkcs12Content, Pkcs12Opener } from '../../pki/index.ts';
import type { CertificateContent, CertificateOpener, OpenedCertificate } from '../stream/index.ts';

/** Serving certificates of Secrets, opened and judged as the sidecars that serve with them will. */
export interface OpenedCertificates extends CertificateOpener {
  /** What {@link open} would say; undefined: it is being opened, and `onOpened` is called then. */
  known(content: CertificateContent): OpenedCertificate | undefined;
}

export interface OpenedCertificatesOptions {
  readonly pkcs12: Pick<Pkcs12Opener, 'open'>;
  readonly clock: Pick<Clock, 'now' | 'after'>;
  /** It is known now of one more PKCS#12 file what is in it, or that it cannot be opened; or it may be asked for again. Must not throw. */
  readonly onOpened: () => void;
}

/** Of opening a file of which it could not be found out what is in it. */
const mostAttempts = 3;
/** After them. The file may be as good as any, and the machine was short of processors or of memory. */
const retryMs = 5 * 60_000;

type Pkcs12File = Extract<CertificateContent, { kind: 'pkcs12' }>;
type Store = { readonly content: Pkcs12Content } | { readonly fault: string; readonly retryMs?: number };

const unopened = (error: unknown): boolean => error instanceof PkiError && error.code === 'pkcs12_unopened';
/** Its own words alone: a library's message may quote the file. */
const faultOf = (error: unknown): string => (error instanceof PkiError ? error.message : 'it cannot be read');

export function createOpenedCertificates(options: OpenedCertificatesOptions): OpenedCertificates {
  const { pkcs12, clock, onOpened } = options;
  /** By the file as it was read: once for each version of a Secret, however many pods have it. */
  const opening = new WeakMap<Uint8Array, Promise<Store>>();
  const opened = new WeakMap<Uint8Array, Store>();

  const judged = (cert: string, key: string): OpenedCertificate => {
    try {
      checkPair(cert, key, clock.now());
      return { kind: 'usable', certificate: cert, key: new Secret(key) };
    } catch (error) {
      return { kind: 'unusable', why: faultOf(error) };
    }
  };
  const judgedStore = (store: Store): OpenedCertificate =>
    'fault' in store
      ? { kind: 'unusable', why: store.fault, ...(store.retryMs !== undefined && { retryMs: store.retryMs }) }
      : judged(store.content.cert, store.content.key);
  const attempt = (content: Pkcs12File, left: number): Promise<Pkcs12Content> =>
    pkcs12.open(content.file, content.passphrase.reveal(), content.namespace).catch((error: unknown) => {
      if (left <= 1 || !unopened(error)) throw error;
      return attempt(content, left - 1);
    });
  const openStore = (content: Pkcs12File): Promise<Store> => {
    const { file } = content;
    const begun = opening.get(file);
    if (begun !== undefined) return begun;
    const made = attempt(content, mostAttempts)
      .then((found): Store => ({ content: found }))
      .catch((error: unknown): Store => ({ fault: faultOf(error), ...(unopened(error) && { retryMs }) }))
      .then((store) => {
        opened.set(file, store);
        if ('retryMs' in store)
          clock.after(retryMs, () => {
            opening.delete(file);
            onOpened();
          });
        onOpened();
        return store;
      });
    opening.set(file, made);
    return made;
  };

  return {
    async open(content) {
      if (content.kind === 'pem') return judged(content.certificate, content.key.reveal());
      return judgedStore(await openStore(content));
    },
    known(content) {
      if (content.kind === 'pem') return judged(content.certificate, content.key.reveal());
      void openStore(content);
      // What was found out stands while it is tried again.
      const store = opened.get(content.file);
      return store === undefined ? undefined : judgedStore(store);
    },
  };
}
