import { CodedError } from '../base/index.ts';
import type { AuditEvent } from './audit.ts';
import type { Identity, PresentedCredentials } from './identity.ts';
import type { ReasonCode } from './reasons.ts';
import type { CompiledProvider, Snapshot } from './snapshot.ts';
import type { SecretRef } from './policy.ts';

/**
 * Where policy comes from: a file beside the process, or the controller's stream. The source compiles, keeps the last
 * good snapshot, and says what was wrong with one that it did not take.
 */
export interface PolicySource {
  /** Undefined until the first good one: everything is denied and the sidecar is not ready. */
  current(): Snapshot | undefined;
  /** Called after each swap, in order. Returns how to stop. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void;
  /** Why the newest policy is not in force, for the operator; undefined when it is, or while none has been seen. */
  problem(): string | undefined;
  /**
   * Told by whoever enforces, each time that it put a snapshot into force (undefined) or could not (its code): then everything
   * is denied. Absent: the source answers nobody for it.
   */
  settled?(fault: string | undefined): void;
  /** Milliseconds since the source last confirmed that its snapshot is the newest. */
  ageMs(): number;
  close(): Promise<void>;
}

export type IdentityResult =
  | { readonly kind: 'proven'; readonly identity: Identity }
  /** Nothing was presented. */
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'refused';
      readonly reason: Extract<
        ReasonCode,
        'token_invalid' | 'token_expired' | 'certificate_required' | 'identity_unavailable'
      >;
    };

/** Proves callers against one snapshot's providers. Answers at once, without a promise, when the token is cached. */
export interface IdentityVerifier {
  verify(credentials: PresentedCredentials): IdentityResult | Promise<IdentityResult>;
  /** PEM of the authorities whose client certificates it takes, as last read: what the handshake asks for. Undefined: none. */
  clientAuthorities(): string | undefined;
  close(): void;
}

export type IdentityVerifierFactory = (providers: readonly CompiledProvider[]) => IdentityVerifier;

/** The record could not be handed to the kernel. `cause` is the system's error, for the log. */
export class AuditUnavailableError extends CodedError<'audit_unavailable'> {
  constructor(options?: { readonly cause?: unknown }) {
    super('audit_unavailable', 'the record cannot be written', options);
    this.name = 'AuditUnavailableError';
  }
}

/**
 * Takes the record out of the request's hands. `append` returns only when the kernel has every event (written, not yet
 * synced), in the order given.
 *
 * @throws AuditUnavailableError when it has not: `audit.onFailure` decides what the caller of it does.
 */
export interface AuditSink {
  append(events: readonly AuditEvent[]): void;
  /** Writes what is pending to the disk and stops. */
  close(): Promise<void>;
}

/** A bucket that several pods draw from. */
export interface SharedBucket {
  /** Names it to all of them: a digest that tells nothing of rule or caller. */
  readonly key: string;
  /** What it holds when it is full, and refills in a minute. */
  readonly capacity: number;
}

export interface SharedGrant {
  /** 0, or at least what was asked for. */
  readonly granted: number;
  /** What the bucket holds after it. */
  readonly remaining: number;
  /** Milliseconds until `least` would fit; 0 where something was granted. */
  readonly waitMs: number;
}

/** Budgets that several pods share: one place counts for all. Every promise rejects when it cannot be asked in time. */
export interface LimitStore {
  /** Takes as much as there is, between `least` and `most`, or nothing. Positive whole numbers. */
  take(bucket: SharedBucket, least: number, most: number): Promise<SharedGrant>;
  /** Gives back what was not used; below zero, charges what was used beyond, whatever the bucket holds. */
  settle(bucket: SharedBucket, amount: number): Promise<void>;
  close(): Promise<void>;
}

/** The model's credential, read again when it changes. */
export interface CredentialSource {
  /** The value without prefix, without {@link credentialFault}; undefined when there is none such: requests are refused. */
  read(ref: SecretRef): string | undefined;
  close(): void;
}
