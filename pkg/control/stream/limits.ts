import { heartbeatMs } from '../../wire/index.ts';

const minute = 60_000;

/** What one replica takes on. Times in milliseconds. */
export interface StreamLimits {
  /** TLS handshakes begun in a second: a restart of everything must not become a storm. */
  readonly connectsPerSecond: number;
  /** Handshakes that may begin at once after a quiet time. */
  readonly connectBurst: number;
  /** Handshakes and token reviews under way at once. */
  readonly handshakes: number;
  /** Connections that wait for their turn; more are closed. */
  readonly waiting: number;
  /** Of one address, waiting or in handshake. */
  readonly perAddress: number;
  /** From a connection's turn to its stream's hello. */
  readonly handshakeMs: number;
  readonly heartbeatMs: number;
  /** Age at which a connection is renewed; each a fifth earlier or later. */
  readonly maxAgeMs: number;
  /**
   * Silence of the API server from which on this replica tells its sidecars how old its copies are, and sends each elsewhere, spread
   * over twice as long.
   */
  readonly staleMs: number;
  /** How long a sidecar may leave unread what it was sent. */
  readonly stallMs: number;
  /** Messages of one sidecar: a bucket of so many, filled at a tenth of it each second. */
  readonly messageBurst: number;
  /** Messages of one sidecar about approvals: a bucket of so many, filled at a tenth of it each second. */
  readonly approvalBurst: number;
  /** Certificate requests of one sidecar: a bucket of so many, one more each 10 s. */
  readonly certificateBurst: number;
}

export const streamLimits: StreamLimits = {
  connectsPerSecond: 250,
  connectBurst: 250,
  handshakes: 512,
  waiting: 8_192,
  perAddress: 4,
  handshakeMs: 10_000,
  heartbeatMs,
  maxAgeMs: 30 * minute,
  staleMs: 5 * minute,
  stallMs: 30_000,
  messageBurst: 200,
  approvalBurst: 4_000,
  certificateBurst: 8,
};
