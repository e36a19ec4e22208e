import type { CertificatePurpose, CertificateRequest } from '../wire/index.ts';
import type { Certificates } from './certificates.ts';

/**
 * Asks for certificates, one question at a time for each purpose: two for one key would get two answers, of which the second
 * answers nothing any more.
 */
export interface Questions {
  /** A new connection: what was asked on another is not answered here. */
  begin(send: (request: CertificateRequest) => void): void;
  /** No connection: nothing is asked. */
  end(): void;
  /** Asks for what is missing or due. */
  ask(): void;
  /** The controller wants to be asked. */
  renew(purpose: CertificatePurpose): void;
  /** The controller has answered, in whatever sense. */
  answered(purpose: CertificatePurpose): void;
}

export function createQuestions(certificates: Pick<Certificates, 'request' | 'expire'>): Questions {
  let send: ((request: CertificateRequest) => void) | undefined;
  const open = new Set<CertificatePurpose>();
  /** To be asked again: the answer that is on its way may be older than the wish for another. */
  const again = new Set<CertificatePurpose>();

  const ask = (): void => {
    if (send === undefined) return;
    for (const purpose of ['identity', 'serving'] as const) {
      const csr = open.has(purpose) ? undefined : certificates.request(purpose);
      if (csr === undefined) continue;
      open.add(purpose);
      send({ type: 'csr', purpose, csr });
    }
  };
  const forget = (): void => {
    open.clear();
    again.clear();
  };
  return {
    begin(next) {
      forget();
      send = next;
      ask();
    },
    end() {
      forget();
      send = undefined;
    },
    ask,
    renew(purpose) {
      if (open.has(purpose)) return void again.add(purpose);
      certificates.expire(purpose);
      ask();
    },
    answered(purpose) {
      open.delete(purpose);
      if (!again.delete(purpose)) return;
      certificates.expire(purpose);
      ask();
    },
  };
}
