import type { CertificatePurpose, DownMessage, GoodbyeReason, Nack } from '../../wire/index.ts';

/** Why a connection did not become a stream. A closed set: a label of a metric. */
export type RefusalCause =
  /** The caches are not filled yet. */
  | 'not_synced'
  /** The address is no labelled pod's. */
  | 'address_unknown'
  /** More connections wait than may. */
  | 'overloaded'
  /** The handshake failed, or took too long. */
  | 'tls'
  /** No HTTP that asks for a stream. */
  | 'http'
  | 'version'
  | 'no_credential'
  /** TokenReview does not know the token. */
  | 'token'
  | 'token_audience'
  /** Not bound to a pod, or not a service account's. */
  | 'token_unbound'
  /** The API server could not be asked. */
  | 'review_failed'
  /** Not from our authority, not for clients, not now, or without the one name that it must have. */
  | 'certificate'
  /** No such pod, or another one under its name. */
  | 'pod_unknown'
  | 'service_account'
  | 'not_governed'
  | 'no_sidecar'
  /** A first contact of a pod that is ending. */
  | 'terminating'
  | 'finished'
  /** A live pod's proof, from an address that is not that pod's. */
  | 'address_other';

/** What the stream server counts; every method must be cheap and must not throw. */
export interface StreamObserver {
  opened(by: 'token' | 'certificate'): void;
  /** `peer`: the sidecar ended it; `error`: the connection broke. */
  closed(reason: GoodbyeReason | 'peer' | 'error'): void;
  refused(cause: RefusalCause): void;
  pushed(type: DownMessage['type'], bytes: number): void;
  /** One that a sidecar would not take was not sent. */
  unsent(type: DownMessage['type']): void;
  /** Milliseconds from a snapshot's first byte to its ACK. */
  acked(ms: number): void;
  nacked(reason: Nack['reason']): void;
  signed(purpose: CertificatePurpose, outcome: 'signed' | 'refused' | 'failed'): void;
}

export const noObserver: StreamObserver = {
  opened: () => undefined,
  closed: () => undefined,
  refused: () => undefined,
  pushed: () => undefined,
  unsent: () => undefined,
  acked: () => undefined,
  nacked: () => undefined,
  signed: () => undefined,
};
