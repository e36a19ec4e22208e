import { describeError } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import { PkiError } from '../../pki/index.ts';
import type {
  CertificateMessage,
  CertificateRefusal,
  CertificateRequest,
  ImportedMessage,
  PodName,
} from '../../wire/index.ts';
import { workloadId } from './authenticate.ts';
import type { StreamObserver } from './observer.ts';
import { certificateNames } from './pod-names.ts';
import type { CertificateOpener, ImportedCertificate, PodDirectory, PodRecord, StreamAuthority } from './ports.ts';

export interface CertificatesOptions {
  readonly directory: PodDirectory;
  readonly authority: StreamAuthority;
  readonly opener: CertificateOpener;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly logger: Logger;
  readonly observer: StreamObserver;
}

/** What a pod's certificates say, decided from the cluster's state at this moment and never from what the pod asks for. */
export interface Certificates {
  /**
   * Never rejects.
   *
   * @param by what its stream was opened with
   */
  answer(
    pod: PodName,
    by: 'token' | 'certificate',
    request: CertificateRequest,
  ): Promise<CertificateMessage | CertificateRefusal>;
  /** Names that the pod's serving certificate has to have; undefined: the pod is gone, or a name is not its own. */
  names(pod: PodName): readonly string[] | undefined;
  /** Never rejects. `retryMs` as {@link OpenedCertificate}. */
  imported(
    pod: PodName,
    from: ImportedCertificate | undefined,
  ): Promise<{ readonly message: ImportedMessage; readonly retryMs?: number | undefined }>;
}

export function createCertificates(options: CertificatesOptions): Certificates {
  const { directory, authority, opener, trustDomain, clusterDomain, logger, observer } = options;
  const record = (pod: PodName): PodRecord | undefined => {
    const found = directory.podByUid(pod.uid);
    return found?.governed === true && found.sidecar ? found : undefined;
  };
  const namesOf = (pod: PodRecord): readonly string[] | undefined => {
    try {
      return certificateNames(pod, directory.servingNames(pod), clusterDomain);
    } catch (error) {
      logger.error('serving certificate not issued', { pod: podText(pod), error: describeError(error) });
      return undefined;
    }
  };

  return {
    async answer(pod, by, { purpose, csr }) {
      const refuse = (reason: CertificateRefusal['reason']): CertificateRefusal => {
        observer.signed(purpose, reason === 'failed' ? 'failed' : 'refused');
        return { type: 'certificate-refused', purpose, reason };
      };
      const now = record(pod);
      if (now === undefined || now.finished) return refuse('ending');
      // One that drains for longer than its certificates last needs new ones, to hear of its policy; but none begins now.
      if (now.terminating && by === 'token') return refuse('ending');
      const dnsNames = purpose === 'serving' ? namesOf(now) : [];
      if (dnsNames === undefined) return refuse('failed');
      if (purpose === 'serving' && dnsNames.length === 0) return refuse('no_names');
      try {
        const certificate = await authority.sign(
          purpose === 'identity'
            ? { purpose: 'client', csr, uri: workloadId(trustDomain, now) }
            : { purpose: 'server', csr, dnsNames },
        );
        observer.signed(purpose, 'signed');
        return { type: 'certificate', purpose, certificate };
      } catch (error) {
        const bad = error instanceof PkiError && error.code === 'request_invalid';
        logger[bad ? 'warn' : 'error']('certificate not signed', {
          pod: podText(pod),
          purpose,
          error: describeError(error),
        });
        return refuse(bad ? 'refused' : 'failed');
      }
    },
    names(pod) {
      const now = record(pod);
      return now === undefined ? undefined : namesOf(now);
    },
    async imported(pod, from) {
      const { secretName = null, content } = from ?? {};
      const none: ImportedMessage = { type: 'imported', secretName, material: null };
      if (content === undefined) return { message: none };
      const opened = await opener.open(content);
      if (opened.kind === 'usable')
        return { message: { ...none, material: { certificate: opened.certificate, key: opened.key.reveal() } } };
      logger.error('the certificate of a Secret cannot be used', {
        pod: podText(pod),
        secret: secretName,
        why: opened.why,
      });
      return { message: none, retryMs: opened.retryMs };
    },
  };
}

export const podText = (pod: PodName): string => `${pod.namespace}/${pod.name}`;
