import { CodedError } from '../base/index.ts';

export type PolicyErrorCode = 'reserved_namespace' | 'mixed_namespaces' | 'unknown_detector';

/** Policies that cannot be compiled at all: the last good snapshot stays. Thrown by compileSnapshot. */
export class PolicyError extends CodedError<PolicyErrorCode> {
  constructor(code: PolicyErrorCode, message: string) {
    super(code, message);
    this.name = 'PolicyError';
  }
}
