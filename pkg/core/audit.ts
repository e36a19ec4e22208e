import type { ApprovalDecision, ApprovalPhase } from './approval.ts';
import type { Certainty, FindingReason } from './certainty.ts';
import type { SourceRef, RuleId } from './snapshot.ts';
import type { Operation } from './operation.ts';
import type { ReasonCode } from './reasons.ts';

/** What happened to a session or to the process, before the chain gives it a sequence number and a hash. */
export type AuditEvent =
  | ProcessEvent
  | SignatureEvent
  | SessionStart
  | SessionTexts
  | SessionSegment
  | SessionApproval
  | SessionEnd
  | ChangeEvent;

export interface ProcessEvent {
  readonly type: 'process';
  /** Drawn when it is written, so that it is found as a session is. */
  readonly session?: string;
  readonly what: 'start' | 'stop' | 'policy' | 'clock_step' | 'gap';
  readonly generation?: string;
  readonly hash?: string;
  readonly sources?: readonly SourceRef[];
  /** Milliseconds that the wall clock moved against the monotonic one; or records lost in a gap. */
  readonly amount?: number;
  /** Of a gap: how many records were lost, if any, nobody knows. The machine crashed. */
  readonly unknown?: true;
}

/** The sidecar's signature over an earlier point of the chain, and so over everything up to it. */
export interface SignatureEvent {
  readonly type: 'signature';
  /** Name of the chain. */
  readonly chain: string;
  /** The point: a line's number, and its hash. */
  readonly sequence: number;
  readonly over: string;
  /** DER of the certificate whose key signed, base64. */
  readonly certificate: string;
  /** ECDSA with SHA-256, as IEEE P1363, base64. */
  readonly value: string;
}

/** Written before the request goes to the model (or with the end, when it was refused before). */
export interface SessionStart {
  readonly type: 'start';
  /** Request id: 128 random bits, hex; in the receipt too. */
  readonly session: string;
  readonly generation: string;
  readonly caller: {
    readonly provider: string;
    readonly issuer: string;
    readonly subject: string;
    readonly groups: readonly string[];
  } | null;
  readonly peer: string;
  readonly protocol: string;
  readonly method: string;
  /** Of a route that no dialect knows the caller's words; with `audit.content: Sealed` those are a text of the request, and this is `…`. */
  readonly path: string;
  readonly dialect: string;
  readonly operation: Operation;
  readonly model: string | null;
  readonly stream: boolean;
  /** Where its caller says to stand in a trace; absent: it said nothing that could be read. */
  readonly trace?: TracePoint;
  /**
   * Texts of the request, masked or sealed, where the policy keeps them and they have at most 16 KiB together, with their names; of more, all follow
   * as {@link SessionTexts} and segments. One line for what nearly every request has costs half of three.
   */
  readonly request?: readonly RecordedText[];
  /** With `audit.content: Full` and `Sealed`. */
  readonly sealed?: RecordedSeal;
}

/** A place in a trace, as its caller names it: nothing proves it. W3C Trace Context, section 3.2.2. */
export interface TracePoint {
  /** 32 hex digits, not all zero. */
  readonly id: string;
  /** Span in which the caller asked: 16 hex digits, not all zero. */
  readonly parent: string;
}

/** What the texts of a session are sealed to. */
export interface RecordedSeal {
  /** Of the form of what is sealed: 3 where all texts are. */
  readonly version: number;
  /** Name of the public key. */
  readonly key: string;
  /** The session's own encapsulated key (HPKE), base64. */
  readonly enc: string;
}

export interface RecordedText {
  /** Which text of the request or answer: `messages[1].content`, `choices[0].delta.content`. */
  readonly lane: string;
  /** Masked for what nobody may see. Absent with `audit.content: Sealed`. */
  readonly text?: string;
  /** In its place: how long it is, in UTF-16 units. */
  readonly length?: number;
  /**
   * Base64 of HPKE's ciphertext: the text as it was, absent where nothing of it was masked, or nothing is sealed; with `audit.content: Sealed` of every
   * text, with what is masked of it.
   */
  readonly sealed?: string;
  /** Number of the sealed text in its session, from 1 on. */
  readonly piece?: number;
}

/** Short texts of the request, 16 KiB together with their names; in order with the segments of the long ones. */
export interface SessionTexts {
  readonly type: 'texts';
  readonly session: string;
  readonly request: readonly RecordedText[];
  /** Milliseconds since the session began. */
  readonly at: number;
}

/** At most 16 KiB of one lane, masked for what nobody may see, or sealed; written before the bytes that it covers leave. */
export interface SessionSegment extends RecordedText {
  readonly type: 'segment';
  readonly session: string;
  readonly direction: 'request' | 'response';
  /** Milliseconds since the session began. */
  readonly at: number;
}

/** What became of the approval that a session waits for; one for each change. */
export interface SessionApproval {
  readonly type: 'approval';
  readonly session: string;
  readonly name: string;
  readonly direction: 'request' | 'response';
  readonly rules: readonly RuleId[];
  readonly phase: ApprovalPhase;
  readonly decisions: readonly ApprovalDecision[];
  /** Milliseconds since the session began. */
  readonly at: number;
}

export interface SessionEnd {
  readonly type: 'end';
  readonly session: string;
  readonly outcome: 'completed' | 'refused' | 'aborted' | 'failed' | 'ended';
  readonly status: number;
  readonly code: ReasonCode | null;
  /** Rules that acted, in order: allowed, masked, flagged, blocked. */
  readonly rules: readonly RuleAct[];
  /** What policies in Observe mode would have done. */
  readonly observed: readonly RuleAct[];
  /** Whether any check was skipped because its failure mode allows it. */
  readonly failedOpen: readonly string[];
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly frames: number;
  /** How many lines the session has, with its start and this one. Not in lines of sidecars that did not say so. */
  readonly lines: number;
  /** Lines that could not be written, and that some of may be there all the same; absent: none. */
  readonly unwritten?: number;
  readonly tokens: { readonly input: number; readonly output: number } | null;
  /**
   * Where texts are sealed: how many, how many of them in lines that could not be written (absent: none; then `head` is that of the start,
   * which may be among them), and an empty text that proves both.
   */
  readonly sealed?: {
    readonly pieces: number;
    readonly lost?: number;
    readonly seal: string;
    readonly head?: RecordedSeal;
  };
  /** Milliseconds from the first byte of the request. */
  readonly timing: {
    readonly toUpstream: number | null;
    readonly firstByte: number | null;
    readonly firstText: number | null;
    readonly total: number;
  };
}

export const changedThings = ['approval', 'grant', 'token', 'revocation'] as const;
export type ChangedThing = (typeof changedThings)[number];

/** What became of something that people decide: by the controller that made it so, one for each change. In no session. */
export interface ChangeEvent {
  readonly type: 'change';
  /** Drawn for it, so that it is found as a session is. */
  readonly session: string;
  readonly what: ChangedThing;
  /** A word: `created`, `approved`, `given`, `revoked`. */
  readonly step: string;
  /** `NAMESPACE/NAME` of an approval or a grant, the id (`jti`) of a token, the key of a revocation. */
  readonly name: string;
  readonly uid?: string;
  /** Whom it is for, or against. Null: a revocation names a token, and nobody. */
  readonly caller: {
    readonly provider: string | null;
    readonly issuer: string;
    readonly subject: string;
    readonly groups?: readonly string[];
  } | null;
  /** Kubernetes user who asked for a grant. */
  readonly requestedBy?: string;
  /** Kubernetes user who took a grant back, as the webhook saw them. Absent: nobody saw it. */
  readonly by?: string;
  readonly rules?: readonly RuleId[];
  /** Of each, why, in the words of who decided. */
  readonly decisions?: readonly (ApprovalDecision & { readonly comment?: string })[];
  /** Session that an approval let through. */
  readonly usedBy?: string;
  /** Issuer and id of a token that was taken back. */
  readonly token?: { readonly issuer: string; readonly id: string };
  /** Address that asked for a token. */
  readonly from?: string;
  /** End of it, RFC 3339. */
  readonly until?: string;
}

export interface RuleAct {
  readonly rule: RuleId | 'default';
  readonly act: 'allowed' | 'denied' | 'masked' | 'blocked' | 'flagged' | 'held' | 'approved' | 'limited';
  /** Detector names, `pattern`, `word` or `field`: never what was matched. */
  readonly by?: readonly string[];
  readonly count?: number;
  /** How certain what it found was, and why; at most {@link mostFoundKinds}, in order. Absent: it found nothing, or a sidecar before this wrote it. */
  readonly found?: readonly FoundKind[];
}

/** Findings of which the same is said: never what was matched. */
export interface FoundKind {
  readonly by: string;
  readonly certainty: Certainty;
  readonly reason: FindingReason;
  readonly count: number;
}

/** Of one act; of further kinds the act's own `count` alone tells. */
export const mostFoundKinds = 32;
