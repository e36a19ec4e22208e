/** How many grants there may be of a namespace. */
export interface GrantLimits {
  /** Undecided and approved ones that one user has asked for in a namespace. */
  readonly perRequester: number;
  /** Undecided and approved ones of a namespace: as many as a message to a sidecar holds. */
  readonly perNamespace: number;
  /** Those of a namespace that are over and kept: of more, the oldest go first. */
  readonly finishedPerNamespace: number;
}

export const grantLimits: GrantLimits = { perRequester: 100, perNamespace: 1_000, finishedPerNamespace: 2_000 };
