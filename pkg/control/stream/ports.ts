import type { Secret } from '../../base/index.ts';
import type { CaptureMode } from '../../contract/index.ts';
import type { Grant, Policy, Revocation, SourceRef } from '../../core/index.ts';
import type {
  ApprovalAskMessage,
  ApprovalClaimMessage,
  ApprovalLeaveMessage,
  ApprovalStateMessage,
  ApprovalWatchMessage,
  AuditHead,
  FiguresMessage,
  NackReason,
  PodName,
  SeenVersions,
  SecretName,
} from '../../wire/index.ts';

/**
 * What the stream server needs of the rest of the controller. All of it is read from caches and answers at once, but for
 * {@link TokenReviewer} and {@link StreamAuthority}.
 */

/** What is known of a pod that carries the inference label. */
export interface PodRecord extends PodName {
  readonly serviceAccount: string;
  /** It carries the inference label with its value. */
  readonly governed: boolean;
  /** Our sidecar is among its containers. */
  readonly sidecar: boolean;
  /** Its deletion was asked for; what runs in it may go on for as long as its author wrote. */
  readonly terminating: boolean;
  /** Nothing of it runs any more. */
  readonly finished: boolean;
  /** `status.podIPs`, as Kubernetes writes them. */
  readonly addresses: readonly string[];
  /** Its `hostname` and `subdomain`: the cluster's DNS names it `HOSTNAME.SUBDOMAIN`, under the Service SUBDOMAIN. Undefined: it has not both. */
  readonly ownName?: { readonly hostname: string; readonly subdomain: string } | undefined;
}

/**
 * What a pod has to enforce. Pods with equal policies share one object: the server encodes each object once, so a new one
 * must be made exactly when something in it changed (`seen` alone is no change).
 */
export interface PodSnapshot {
  /** `Snapshot.hash` of compileSnapshot over `policies`: exactly those that select the pod. */
  readonly hash: string;
  readonly sources: readonly SourceRef[];
  readonly policies: readonly Policy[];
  /** As the replica had seen when it made the object. */
  readonly seen: SeenVersions;
}

export type PodAnswer =
  /** Nothing can be said yet (caches, the namespace's label): the pod waits, not ready. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'snapshot'; readonly snapshot: PodSnapshot }
  /** A policy of the pod cannot be translated: it keeps its last good snapshot. */
  | { readonly kind: 'invalid'; readonly message: string; readonly seen: SeenVersions };

export interface PodSecrets {
  readonly values: readonly (SecretName & { readonly value: Secret })[];
  readonly missing: readonly SecretName[];
}

/** The server that counts limits of scope `Policy`, as the chart's values name it. */
export interface LimitStoreAddress {
  readonly url: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly ca: string | undefined;
}

/** A serving certificate from a Secret that the pod's policy names. */
export interface ImportedCertificate {
  readonly secretName: string;
  /** Undefined: the Secret is missing, or holds neither. */
  readonly content: CertificateContent | undefined;
}

export type CertificateContent =
  | { readonly kind: 'pem'; readonly certificate: string; readonly key: Secret }
  | {
      readonly kind: 'pkcs12';
      readonly file: Uint8Array;
      readonly passphrase: Secret;
      /** Of the Secret: files of one namespace wait for one another, and not those of others for them. */
      readonly namespace: string;
    };

/** PEM, leaf first; or why it cannot serve, in words without anything of its content. */
export type OpenedCertificate =
  | { readonly kind: 'usable'; readonly certificate: string; readonly key: Secret }
  /** `retryMs`: it could not be found out, and may be in so long; undefined: it is so for good. */
  | { readonly kind: 'unusable'; readonly why: string; readonly retryMs?: number };

export interface CertificateOpener {
  /** Never rejects. */
  open(content: CertificateContent): Promise<OpenedCertificate>;
}

/** What a sidecar has in force, or why not. Told at each ACK and NACK and once when a stream begins. */
export interface PodReport {
  readonly pod: PodName;
  /** Hash of what is in force; undefined: nothing. */
  readonly hash: string | undefined;
  /** Sources of that hash, where this server sent it or sends it now; else undefined. */
  readonly sources: readonly SourceRef[] | undefined;
  /** Why the newest snapshot is not in force; undefined: it is, or the answer stands out. */
  readonly problem: { readonly reason: NackReason; readonly message: string } | undefined;
  readonly portMap: Readonly<Record<string, number>>;
  readonly capture: CaptureMode;
  readonly software: string;
}

export interface PodDirectory {
  /** False until the caches have been filled once: until then nobody is let in. */
  synced(): boolean;
  pod(namespace: string, name: string): PodRecord | undefined;
  podByUid(uid: string): PodRecord | undefined;
  /** Whether any labelled pod has this address (IPv4 dotted, IPv6 in its shortest form): others are turned away before TLS. */
  hasAddress(address: string): boolean;
  answer(pod: PodName): PodAnswer;
  /**
   * Names for Sidegate's serving certificate: `svc.ns`, `svc.ns.svc` and `svc.ns.svc.DOMAIN` of each Service that selects the
   * pod, sorted. Names outside of the pod's namespace are refused by the server. Empty: no Service yet; the server adds the
   * pod's own DNS names (`10-0-0-7.ns.pod.DOMAIN`), so that a pod without a Service becomes ready too.
   */
  servingNames(pod: PodName): readonly string[];
  /**
   * What the pod's policies name. The object must be the same while nothing in it changed. `pending`: it cannot be said yet, since a
   * Secret was not read or the policies are not valid: what the sidecar holds stays.
   */
  secrets(pod: PodName): PodSecrets | 'pending';
  /**
   * Undefined: the policies leave the certificate to Sidegate. Sameness as with `secrets`. `pending`: the Secret was not read yet, or it cannot
   * be read which one a policy names.
   */
  imported(pod: PodName): ImportedCertificate | undefined | 'pending';
  /** Called with a pod when anything above may have changed for it, also when it is gone. Returns how to stop. */
  subscribe(listener: (pod: { readonly namespace: string; readonly name: string }) => void): () => void;
  /** What a sidecar said. Must not throw. */
  report(report: PodReport): void;
  /** The pod has no stream here any more. Must not throw. */
  disconnected(pod: PodName): void;
  /** Last entry of the pod's record, with each heartbeat. Must not throw. */
  auditHead(pod: PodName, head: AuditHead): void;
}

/** What sidecars say of their traffic. Nothing of it throws. */
export interface FigureTaker {
  take(pod: PodName, figures: FiguresMessage): void;
  /** The pod has no stream here any more. */
  forget(pod: PodName): void;
}

/** Where approvals are kept: each stream has a place of its own there. */
export interface ApprovalDesk {
  connect(stream: DeskStream): DeskPlace;
}

export interface DeskStream {
  readonly pod: PodName;
  /** What the pod has to enforce now; undefined: that cannot be said. */
  snapshot(): PodSnapshot | undefined;
  send(message: ApprovalStateMessage): void;
}

/** Nothing of it throws. */
export interface DeskPlace {
  take(message: ApprovalAskMessage | ApprovalWatchMessage | ApprovalClaimMessage | ApprovalLeaveMessage): void;
  /** The stream is gone, and with it all who waited. */
  closed(): void;
}

/** Approved grants of pods. */
export interface GrantFeed {
  /** Undefined: that cannot be said yet. The object must be the same while nothing in it changed. */
  grants(pod: PodName): readonly Grant[] | undefined;
  /** How far this replica has seen. */
  seen(): SeenVersions;
  /** Called with a namespace whose grants may have changed. Returns how to stop. */
  subscribe(listener: (namespace: string) => void): () => void;
}

/** Revocations, the same for all pods. */
export interface RevocationFeed {
  /** Undefined: that cannot be said yet. The object must be the same while nothing in it changed. */
  revocations(): readonly Revocation[] | undefined;
  /** How far this replica has seen. */
  seen(): SeenVersions;
  subscribe(listener: () => void): () => void;
}

/** What the API server says of a token. */
export interface ReviewedToken {
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly username: string;
  /** `status.audiences`: those of the asked ones that the token has. Empty where the API server names none: refused. */
  readonly audiences: readonly string[];
  /** `authentication.kubernetes.io/pod-name` and `-uid` of `status.user.extra`: the pod that the token is bound to. */
  readonly podName: string | undefined;
  readonly podUid: string | undefined;
}

export interface TokenReviewer {
  /**
   * A TokenReview with exactly this audience. Undefined: not authenticated.
   *
   * @throws when the API server cannot be asked: the sidecar is told to try again.
   */
  review(token: Secret, audience: string): Promise<ReviewedToken | undefined>;
}

/** What the server needs of the authority of pkg/pki. */
export interface StreamAuthority {
  /** PEM of every authority that counts now. */
  bundle(): string;
  /** Called after the bundle or the signing authority changed. Returns how to stop. */
  subscribe(listener: () => void): () => void;
  /**
   * A certificate for the key of a request, with these names and nothing of the request's.
   *
   * @throws PkiError request_invalid for a request that is not one, or does not prove its key.
   */
  sign(request: SignRequest): Promise<string>;
}

/** One purpose, never both. */
export type SignRequest =
  | { readonly purpose: 'client'; readonly csr: string; readonly uri: string }
  | { readonly purpose: 'server'; readonly csr: string; readonly dnsNames: readonly string[] };
