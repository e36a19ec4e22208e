// What the recorder answers to the console: the shapes of `/console/…` and of the API (pkg/recorder/api/openapi.ts).

export interface SessionInfo {
  readonly person: { readonly name: string; readonly issuer: string; readonly subject: string };
  readonly role: 'auditor' | 'investigator';
  /** `["*"]`: all. */
  readonly namespaces: readonly string[];
  /** Goes along with everything that is not GET, as `x-sidegate-csrf`. */
  readonly csrf: string;
  /** RFC 3339. */
  readonly expires: string;
  /** Whether there is a decision endpoint. */
  readonly approvals: boolean;
  readonly policies: boolean;
}

export interface SessionSummary {
  readonly session: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly source: string;
  readonly namespace: string;
  readonly pod: string;
  readonly chain: string;
  readonly sequence: number;
  readonly provider: string | null;
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly groups: readonly string[];
  readonly peer: string;
  readonly method: string;
  readonly path: string;
  readonly dialect: string;
  readonly operation: string;
  readonly model: string | null;
  /** Absent: it goes on, or its end has not come. */
  readonly end?: SessionEnd;
}

export interface SessionEnd {
  readonly outcome: string;
  readonly status: number;
  readonly code: string | null;
  readonly tags: readonly string[];
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly durationMs: number;
}

export interface SearchPage {
  readonly sessions: readonly SessionSummary[];
  readonly cursor: string | null;
  readonly unsearched: number;
  /** Ids of sessions that may be among what is asked for, and are not found. */
  readonly partly: readonly string[];
  /** There are, or may be, more of these. */
  readonly partlyMore: boolean;
  /** How many sessions have sealed texts, of which a search by text knows no word. */
  readonly sealed: { readonly sessions: number; readonly more: boolean };
}

export interface SessionLines {
  readonly sessions: readonly SessionSummary[];
  readonly lines: readonly string[];
  /** For the next page; null: this was all. */
  readonly next: string | null;
}

export interface SessionProof {
  readonly head: string;
  readonly blocks: readonly {
    readonly index: number;
    readonly entry: string;
    readonly lines: string;
    readonly hidden?: readonly string[];
    readonly path: readonly string[];
  }[];
  readonly unsigned: number;
  readonly more?: number;
}

export interface Approvals {
  readonly approvals: readonly Approval[];
  /** False: there may be more than these. */
  readonly complete: boolean;
}

export interface Approval {
  readonly namespace: string;
  readonly name: string;
  /** Subject, which two issuers may give to two people. */
  readonly caller: string;
  readonly issuer: string;
  /** What waits: `Request` or `Answer`. */
  readonly direction: string;
  readonly operation: string;
  readonly model: string | null;
  readonly rule: string;
  readonly excerpt: string;
  /** RFC 3339, as `expires`. */
  readonly created: string;
  readonly expires: string;
  readonly required: number;
  readonly decided: number;
  readonly state: string;
}

export interface Policies {
  readonly policies: readonly PolicyHealth[];
  /** False: of the day the newest sessions alone were looked at. */
  readonly complete?: boolean;
  /** False: the controller does not say how they are. Absent: it is not asked. */
  readonly health?: boolean;
}

export interface PolicyHealth {
  /** Null: the platform's. */
  readonly namespace: string | null;
  readonly name: string;
  readonly generation: number;
  /** Of the last 24 h. */
  readonly sessions: number;
  /** RFC 3339. */
  readonly lastSeen: string | null;
  /** Generation that the conditions are about; null: none yet. Absent, as the conditions: nobody says, or it is no longer the newest. */
  readonly observed?: number | null;
  readonly conditions?: readonly Condition[];
}

/** Of a policy (docs/kubernetes.md). */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** One line of the record; which members stand in it, its type says (pkg/core/audit.ts). */
export interface Line {
  readonly type: string;
  readonly time: string;
  readonly seq: number;
  readonly [member: string]: unknown;
}

export interface RuleAct {
  readonly rule: string;
  readonly act: string;
  readonly by?: readonly string[];
  readonly count?: number;
  /** How certain what was found is, and why. */
  readonly found?: readonly { readonly by: string; readonly certainty: string; readonly reason: string }[];
}
