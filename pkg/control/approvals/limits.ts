/** How much one replica takes on. */
export interface ApprovalLimits {
  /** Asks and watches of one sidecar at once. */
  readonly perStream: number;
  /** Approvals of one caller in a namespace that are undecided, or that nobody answered and that were opened within `recentMs`. */
  readonly perRequester: number;
  /** Undecided approvals of a namespace. */
  readonly perNamespace: number;
  /** Opening one counts against its caller for so long, unless people answered it; milliseconds. */
  readonly recentMs: number;
  /** Finished approvals that are kept of a namespace, but for denials that stand. */
  readonly finishedPerNamespace: number;
  /** Approvals opened at once: what is more waits for its turn. */
  readonly opening: number;
  /** An approval that nobody waits for is cancelled after so long; milliseconds. */
  readonly lonelyMs: number;
  /** Finished ones are kept so long after their expiry; milliseconds. */
  readonly keepMs: number;
}

export const approvalLimits: ApprovalLimits = {
  perStream: 1_200,
  perRequester: 100,
  perNamespace: 2_000,
  recentMs: 600_000,
  finishedPerNamespace: 2_000,
  opening: 32,
  lonelyMs: 30_000,
  keepMs: 86_400_000,
};
