import type { Clock, Logger, Secret } from '../base/index.ts';
import type { CaptureMode } from '../contract/index.ts';
import type {
  ApprovalGate,
  CredentialSource,
  GrantSource,
  Policy,
  PolicySource,
  RevocationSource,
  SecretRef,
  Snapshot,
} from '../core/index.ts';
import type { TlsMaterial } from '../pki/index.ts';
import type { AuditHead, Figures, PodName } from '../wire/index.ts';

/** What happened on the sidecar's side of the stream: for metrics. A closed set. */
export type RemoteEvent =
  | 'connected'
  | 'disconnected'
  /** A connection was refused or failed. */
  | 'connect_failed'
  | 'policy_taken'
  | 'policy_stale'
  | 'policy_invalid'
  /** The policy's `maxPolicyAge` is over: everything is denied. */
  | 'policy_expired'
  /** Grants of a controller that lags behind what was seen before: not taken. */
  | 'grants_stale'
  /** Revocations of such a controller. */
  | 'revocations_stale'
  | 'certificate_taken'
  /** A certificate that is not for our key, not from our authority, or not for its purpose. */
  | 'certificate_refused'
  | 'trust_taken'
  | 'trust_refused'
  /** The peer broke the protocol. */
  | 'protocol_fault'
  /** What stood in the state folder was truncated, forged, old or another pod's, and was not used. */
  | 'state_refused'
  /** The state folder could not be written: after a restart nothing is there. */
  | 'state_unwritable';

export interface RemoteOptions {
  /** `https://HOST:PORT` of the controller (`--controller`). */
  readonly url: string;
  /** DNS name that its certificate must have (`--controller-name`). */
  readonly name: string;
  /** PEM: the only authorities by which it is known at first (environment SIDEGATE_CONTROLLER_CA). */
  readonly ca: string;
  readonly pod: PodName;
  /** Model port -> TLS listener. */
  readonly portMap: Readonly<Record<string, number>>;
  readonly capture: CaptureMode;
  /** Version of this build. */
  readonly software: string;
  /** The projected token; read anew for each connection that needs it. */
  readonly tokenFile: string;
  /** The memory volume of this container alone: last good policy, authorities, keys and certificates; never a Secret of the cluster. */
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `compileSnapshot(policies, { revision })`, or what wraps it. */
  readonly compile: (policies: readonly Policy[], revision: number) => Snapshot;
  /** Last entry of the record, for each heartbeat. */
  readonly auditHead?: () => AuditHead | undefined;
  /** What has passed so far, for whoever looks; default: it is not said. */
  readonly figures?: () => Figures;
  readonly onEvent?: (event: RemoteEvent) => void;
  /** A Secret could not be used as the model's credential: once for each value. */
  readonly onCredentialRefused?: () => void;
  /** For jitter, 0 to 1; default the system's generator. */
  readonly random?: () => number;
  /** Local address to connect from; default the system's choice. */
  readonly localAddress?: string;
}

/** The certificate for callers: issued by the controller, or imported from a Secret. Always a pair that TLS took. */
export interface ServingSource {
  /** Undefined until there is one, and when it has expired or its Secret is gone: handshakes are refused. */
  current(): TlsMaterial | undefined;
  /** Called after each change, also to undefined. Connections that stand are not touched. Returns how to stop. */
  subscribe(listener: (material: TlsMaterial | undefined) => void): () => void;
}

/** Where limits are counted over all pods. In memory only. */
export interface LimitStoreTarget {
  readonly url: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  /** PEM. */
  readonly ca: string | undefined;
}

/** Reasons for which the sidecar is not ready. */
export type NotAnswered = 'no_certificate' | 'no_policy_yet' | 'policy_invalid' | 'policy_expired';

export interface Remote {
  readonly policy: PolicySource;
  /** Asks people, by the controller; while there is none, what is asked waits. */
  readonly approvals: ApprovalGate;
  /** In memory only. */
  readonly grants: GrantSource;
  /** Kept over restarts. */
  readonly revocations: RevocationSource;
  /** Header values: Secrets that the policy names, where they can stand in a header. `File` references are not there. */
  readonly credentials: CredentialSource;
  /** A Secret's value as it is, for what is no header (authorities of a TLS upstream). Undefined: missing. */
  secret(ref: SecretRef): Secret | undefined;
  /** Called after Secrets came. Returns how to stop. */
  onSecrets(listener: () => void): () => void;
  readonly serving: ServingSource;
  /** The server that counts limits of scope `Policy`; undefined: none was named, or the policy has no such limit. */
  limitStore(): LimitStoreTarget | undefined;
  /** Called when it has changed. Returns how to stop. */
  onLimitStore(listener: () => void): () => void;
  /** `https://HOST:PORT` of the recorder, as the controller last said; undefined: not named yet, or there is none. */
  recorder(): string | undefined;
  /** Called when it has changed. Returns how to stop. */
  onRecorder(listener: () => void): () => void;
  /** Identity towards controller and recorder; undefined until issued, and when expired. */
  identity(): TlsMaterial | undefined;
  /** PEM of the authorities by which controller and recorder are known. */
  trust(): string;
  /** Readiness: a certificate, and an answer of the controller (also "no policy selects you"), in force and not expired. */
  answered(): { readonly ready: boolean; readonly reasons: readonly NotAnswered[] };
  /** A stream stands, and its peer has said something within three heartbeats. */
  connected(): boolean;
  /** Milliseconds since the controller last said anything; grants end by it. Undefined: never in this process. */
  silentMs(): number | undefined;
  close(): Promise<void>;
}
