import type { CaptureMode } from '../contract/index.ts';
import type {
  ApprovalDecision,
  ApprovalPhase,
  ApprovalProblem,
  Grant,
  Operation,
  Policy,
  Revocation,
  SourceRef,
} from '../core/index.ts';

/**
 * What sidecar and controller say to each other: one TLS 1.3 connection, `GET /v1/stream` with `Upgrade: sidegate-stream/1`,
 * then frames both ways (frames.ts), each one JSON object with a `type`.
 *
 * The sidecar speaks first (`hello`); the controller answers `welcome`, then what the pod's state is: trust, secrets, snapshot
 * (or `invalid`), certificates as they are asked for. Everything that the controller sends is the whole state of its kind,
 * never a difference, so a message that was skipped because a newer one followed is not missed.
 *
 * A message of a type that the reader does not know ends the stream, unless it says `"optional": true`: that is how approvals
 * and grants are added without a new version.
 */
export const protocolVersion = 1;

export const streamPath = '/v1/stream';
/** Value of `Upgrade` on both sides. */
export const streamProtocol = 'sidegate-stream/1';

/** Newest resourceVersion that the controller's replica had seen when it made a snapshot, by kind (`inferencepolicies`). */
export type SeenVersions = Readonly<Record<string, string>>;

/** Last entry of the pod's record: how many events, and the hash of the last. */
export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
  /** Name of the chain. */
  readonly chain?: string;
  /** True: the last line, but for signatures behind it, says that the sidecar stops. Absent: it does not, or the sidecar or a controller is an older one. */
  readonly ended?: boolean;
}

/** A pod as it names itself. The controller believes none of it: it must be the pod that the connection proved. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Hello {
  readonly type: 'hello';
  readonly version: number;
  readonly pod: PodName;
  /** Model port -> TLS listener, as injection wrote it. */
  readonly portMap: Readonly<Record<string, number>>;
  readonly capture: CaptureMode;
  /** Version of the sidecar, for status. */
  readonly software: string;
  /** Hash of the snapshot in force; null: none. */
  readonly holds: string | null;
  readonly seen: SeenVersions;
  readonly audit: AuditHead | null;
  /** Names in the serving certificate that Sidegate issued, where one is held and not yet due; null: none. */
  readonly serving: readonly string[] | null;
}

/** The policy with this hash is in force. Also said when one that was `unusable` has become it. */
export interface Ack {
  readonly type: 'ack';
  readonly hash: string;
}

/**
 * Why a policy is not in force. `stale`: older than what was seen; `invalid`: it does not compile. The last good one stays. `unusable`: it was
 * taken, and nothing is in force until another comes or what it lacks, such as a credential, is there.
 */
export type NackReason = 'stale' | 'invalid' | 'unusable';

/** The policy with this hash is not in force. */
export interface Nack {
  readonly type: 'nack';
  readonly hash: string;
  readonly reason: NackReason;
  /** For an operator; at most 1,000 characters, no content of requests. */
  readonly message: string;
}

export type CertificatePurpose = 'identity' | 'serving';

/** Asks for a certificate. Its names are the controller's to decide; those in the request are ignored. */
export interface CertificateRequest {
  readonly type: 'csr';
  readonly purpose: CertificatePurpose;
  /** PKCS#10 in PEM, at most 4 KiB. */
  readonly csr: string;
}

/** What has passed through the sidecar since its process began, and what is under way. Numbers alone: nothing of any request. */
export interface Figures {
  readonly uptimeMs: number;
  /** Requests that ended, and those of them that Sidegate refused. */
  readonly requests: number;
  readonly refused: number;
  /** How often rules masked, and how often they held. */
  readonly masked: number;
  readonly held: number;
  /** Requests under way, streamed answers among them, and what waits for people. */
  readonly live: number;
  readonly streams: number;
  readonly waiting: number;
  /** Policies in force, as receipts name them (the first 400 characters); null: none. */
  readonly generation: string | null;
  /** Since they were confirmed to be the newest; null: never. */
  readonly policyAgeMs: number | null;
}

/** Each {@link figuresMs} while they change, else with every third: for whoever looks (`sidegate top`). Nothing is decided by them. */
export interface FiguresMessage extends Figures {
  readonly type: 'figures';
  /** Controllers before it do not know it. */
  readonly optional: true;
  /** What came last, and in how long. */
  readonly recent: { readonly ms: number; readonly requests: number; readonly refused: number };
}

/** In both directions, each `heartbeatMs`. Three missed: the peer counts as gone. */
export interface Beat {
  readonly type: 'beat';
  /** Sidecar only. */
  readonly audit?: AuditHead | null;
}

export type GoodbyeReason =
  /** The connection is old: connect again, now. */
  | 'age'
  /** The process stops: connect again after `afterMs`, elsewhere. */
  | 'shutdown'
  /** A newer stream of the same pod took its place. */
  | 'replaced'
  /** What the peer said is not in the protocol, or in another version of it. */
  | 'protocol'
  /** The peer names another pod than the one that it proved to be. */
  | 'identity'
  /** The pod is gone, or no longer governed. */
  | 'gone'
  /** The peer does not read. */
  | 'slow'
  /** No heartbeat. */
  | 'silent'
  /** What the controller has is older than what the sidecar has seen. */
  | 'stale'
  /** The controller failed. */
  | 'internal';

export interface Goodbye {
  readonly type: 'goodbye';
  readonly reason: GoodbyeReason;
  /** When to connect again, milliseconds from now. */
  readonly afterMs?: number;
}

export interface Welcome {
  readonly type: 'welcome';
  readonly version: number;
  readonly heartbeatMs: number;
  /** After which the controller will say goodbye. */
  readonly maxAgeMs: number;
}

/** All policies of the pod: what it has to enforce. Holds no secret. */
export interface SnapshotMessage {
  readonly type: 'snapshot';
  /** `Snapshot.hash` of what compileSnapshot makes of the policies: the reader compiles and compares. */
  readonly hash: string;
  readonly sources: readonly SourceRef[];
  readonly policies: readonly Policy[];
  readonly seen: SeenVersions;
}

/** What the sidecar said that it holds is the newest. */
export interface ConfirmMessage {
  readonly type: 'confirm';
  readonly hash: string;
  readonly seen: SeenVersions;
}

/** A policy of this pod cannot be translated: what is in force stays, and a pod with nothing in force denies. */
export interface InvalidMessage {
  readonly type: 'invalid';
  readonly message: string;
  readonly seen: SeenVersions;
}

export interface SecretName {
  /** As the policies of the snapshot write it; absent: Sidegate's own. Equal names of two namespaces are two Secrets. */
  readonly namespace?: string;
  readonly name: string;
  readonly key: string;
}

export interface SecretValue extends SecretName {
  readonly value: string;
}

/** All values that the pod's policies name; what is not among them is not there. Never stored by the reader. */
export interface SecretsMessage {
  readonly type: 'secrets';
  readonly values: readonly SecretValue[];
  readonly missing: readonly SecretName[];
}

/** Answers a certificate request. */
export interface CertificateMessage {
  readonly type: 'certificate';
  readonly purpose: CertificatePurpose;
  /** PEM, leaf first. */
  readonly certificate: string;
}

/** Why there is no certificate: `no_names`: no Service selects the pod (yet); `ending`: the pod terminates; `refused`: bad request. */
export interface CertificateRefusal {
  readonly type: 'certificate-refused';
  readonly purpose: CertificatePurpose;
  readonly reason: 'no_names' | 'ending' | 'refused' | 'failed';
}

/** Asks the sidecar for a certificate request now: the names have changed. */
export interface RenewMessage {
  readonly type: 'renew';
  readonly purpose: CertificatePurpose;
}

/** The serving certificate is not Sidegate's: `tls.certificate.secretName`. Null: it is Sidegate's. Never stored by the reader. */
export interface ImportedMessage {
  readonly type: 'imported';
  readonly secretName: string | null;
  /** PEM; null where the Secret is missing or no good: then nothing is served. */
  readonly material: { readonly certificate: string; readonly key: string } | null;
}

/** The authorities by which controllers and sidecars are known from now on, PEM. Replaces what came before. */
export interface TrustMessage {
  readonly type: 'trust';
  readonly bundle: string;
}

/**
 * The server that counts limits of scope `Policy`: sent only to pods with such a limit. Null: none. Never stored by the reader.
 */
export interface LimitStoreMessage {
  readonly type: 'limit-store';
  readonly store: {
    /** `rediss://`, without user and password. */
    readonly url: string;
    readonly username: string | null;
    readonly password: string | null;
    /** PEM. */
    readonly ca: string | null;
  } | null;
}

/**
 * Something is held: opens an approval, or joins the one that is open for the same. Who may decide is the controller's to say; the
 * identities in it are the sidecar's word, as everything that it lets through is.
 */
export interface ApprovalAskMessage {
  readonly type: 'approval-ask';
  /** The sidecar's name for it on this stream; sent again with the same one after a reconnect. */
  readonly id: string;
  readonly direction: 'Request' | 'Response';
  readonly rules: readonly string[];
  readonly requester: ApprovalRequester;
  readonly operation: Operation;
  readonly model: string | null;
  readonly digest: string;
  readonly snapshot: string;
  readonly session: string;
  readonly excerpt: string;
}

export interface ApprovalRequester {
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  readonly kubernetesUser: string | null;
  /** How their provider named them. Absent: not known, also of an older sidecar. */
  readonly naming?: string;
  /** `sub` of their token, where the policy names people by another claim. Absent of an older sidecar, too. */
  readonly sub?: string;
}

/** Follows an approval by name; answered only to its requester. */
export interface ApprovalWatchMessage {
  readonly type: 'approval-watch';
  readonly id: string;
  readonly name: string;
  readonly requester: ApprovalRequester;
}

/** Spends it for this ask's session. Answered by a state: Used with `yours`, or what it is instead. */
export interface ApprovalClaimMessage {
  readonly type: 'approval-claim';
  readonly id: string;
}

/** Nobody waits for this one any more. */
export interface ApprovalLeaveMessage {
  readonly type: 'approval-leave';
  readonly id: string;
  /** Its caller will come back: it stays open until it expires. */
  readonly keep: boolean;
}

/** What became of an ask or a watch: at once, and with each change. */
export interface ApprovalStateMessage {
  readonly type: 'approval-state';
  readonly id: string;
  /** Null: there is none; `problem` says why. */
  readonly state: {
    readonly name: string;
    readonly phase: ApprovalPhase;
    /** Used, and by this ask. */
    readonly yours: boolean;
    /** Milliseconds from now until it expires. */
    readonly leftMs: number;
    readonly decisions: readonly ApprovalDecision[];
  } | null;
  readonly problem: ApprovalProblem | null;
}

/** All approved grants of the pod that have not ended. Refused, as a snapshot is, where `seen` is behind. */
export interface GrantsMessage {
  readonly type: 'grants';
  readonly grants: readonly Grant[];
  readonly seen: SeenVersions;
}

/**
 * The replica has heard nothing of the API server for so long, and goes on to hear nothing until it says 0: what it says until then, it
 * says of a state so old. Never said: what it says is fresh.
 */
export interface CopiesMessage {
  readonly type: 'copies';
  /** Sidecars before it take what they hear for fresh. */
  readonly optional: true;
  /** Milliseconds; 0: it hears again. */
  readonly ageMs: number;
}

/** All revocations that hold. Refused, as a snapshot is, where `seen` is behind. */
export interface RevocationsMessage {
  readonly type: 'revocations';
  /** Sidecars before them do not know it. */
  readonly optional: true;
  readonly revocations: readonly Revocation[];
  readonly seen: SeenVersions;
}

/** Where the record goes, to be said again when it changes. Null: nowhere. */
export interface RecorderMessage {
  readonly type: 'recorder';
  /** Sidecars before it was said do not know it. */
  readonly optional: true;
  readonly recorder: {
    /** `https://HOST:PORT`; its certificate has the host's name. */
    readonly url: string;
  } | null;
}

/** Sidecar to controller. */
export type UpMessage =
  | Hello
  | Ack
  | Nack
  | CertificateRequest
  | ApprovalAskMessage
  | ApprovalWatchMessage
  | ApprovalClaimMessage
  | ApprovalLeaveMessage
  | FiguresMessage
  | Beat
  | Goodbye;

/** Controller to sidecar. */
export type DownMessage =
  | Welcome
  | SnapshotMessage
  | ConfirmMessage
  | InvalidMessage
  | SecretsMessage
  | CertificateMessage
  | CertificateRefusal
  | RenewMessage
  | ImportedMessage
  | TrustMessage
  | LimitStoreMessage
  | RecorderMessage
  | ApprovalStateMessage
  | GrantsMessage
  | RevocationsMessage
  | CopiesMessage
  | Beat
  | Goodbye;

/** Body of an answer other than 101. */
export type ConnectRefusal =
  /** Neither token nor certificate, or one that is not good. */
  | 'unauthenticated'
  /** Proven, but not a live governed pod, or from another address than the pod's. */
  | 'not_allowed'
  /** The controller is not ready yet, or has enough to do. */
  | 'try_again'
  /** Another version of the protocol. */
  | 'version'
  | 'not_found';

/** Largest frame that a sidecar takes, bytes of JSON. */
export const maxDownBytes = 4 * 1024 * 1024;
/** Largest frame that the controller takes. */
export const maxUpBytes = 64 * 1024;
export const heartbeatMs = 15_000;
/** Between two messages with figures. */
export const figuresMs = 5_000;
/** So many heartbeats without a byte, and the peer is gone. */
export const missedBeats = 3;
