import { errorCode } from '../base/index.ts';
import { PolicyError, compileSnapshot } from '../core/index.ts';
import type { Policy, PolicyNotice } from '../core/index.ts';
import { checkScanRules } from './compile-scanner.ts';
import { idlePatterns } from './idle-patterns.ts';

/** Whether a policy that is valid can be carried out. */
export type CarriedOut =
  | { readonly kind: 'can'; readonly notices: readonly PolicyNotice[] }
  /** In words for its author. */
  | { readonly kind: 'cannot'; readonly fault: string };

const codes: readonly string[] = ['invalid_pattern', 'unknown_detector', 'invalid_word', 'invalid_field_path'];

/**
 * Judges the policy as a sidecar will. What a sidecar could not put into force is known so before it is stored (admission), and before
 * it is sent (controller). Nothing that searches is built: both have others to answer, and a policy may hold words for seconds of that.
 */
export function carriedOut(policy: Policy): CarriedOut {
  try {
    const { notices, scanRules } = compileSnapshot([policy], { revision: 0 });
    checkScanRules(scanRules);
    return { kind: 'can', notices: [...notices, ...idlePatterns(policy)] };
  } catch (error) {
    if (error instanceof PolicyError || (error instanceof Error && codes.includes(errorCode(error) ?? '')))
      return { kind: 'cannot', fault: error.message };
    throw error;
  }
}
