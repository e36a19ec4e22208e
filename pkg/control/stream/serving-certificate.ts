import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { certificateFacts, createKeyRequest } from '../../pki/index.ts';
import type { StreamAuthority } from './ports.ts';

/** The controller's own certificate, by which sidecars know it. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface ServingOptions {
  readonly authority: StreamAuthority;
  /** `sidegate-controller.NAMESPACE.svc` and what else it is called. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with each new one, the first apart. */
  readonly onChange: (certificate: ServingCertificate) => void;
}

/**
 * Issues one and keeps it fresh: at two thirds of its life by the wall clock, looked at each minute, and when the authority
 * changes. Where issuing fails, the standing one stays and the next minute tries again.
 *
 * @throws PkiError when the first cannot be issued.
 */
export async function keepServingCertificate(
  options: ServingOptions,
): Promise<{ current(): ServingCertificate; close(): void }> {
  const { authority, names, clock, logger, onChange } = options;
  const issue = async (): Promise<ServingCertificate> => {
    const { key, csr } = createKeyRequest();
    return { key, cert: await authority.sign({ purpose: 'server', csr, dnsNames: names }) };
  };
  let current = await issue();
  let signedUnder = authority.bundle();
  let issuing = false;
  let closed = false;

  const due = (): boolean => {
    const { notBefore, notAfter } = certificateFacts(current.cert);
    const now = clock.now();
    return signedUnder !== authority.bundle() || now < notBefore || now >= notBefore + ((notAfter - notBefore) * 2) / 3;
  };
  const look = async (): Promise<void> => {
    if (issuing || closed || !due()) return;
    issuing = true;
    const under = authority.bundle();
    try {
      const next = await issue();
      if (closed) return;
      current = next;
      signedUnder = under;
      onChange(next);
    } catch (error) {
      logger.error("the controller's own certificate was not renewed", { error: describeError(error) });
    } finally {
      issuing = false;
    }
  };
  const timer = clock.every(60_000, () => void look());
  const stop = authority.subscribe(() => void look());
  return {
    current: () => current,
    close() {
      closed = true;
      timer.cancel();
      stop();
    },
  };
}
