import { errorCode } from '../base/index.ts';
import { PolicyError, compileSnapshot } from '../core/index.ts';
import type { Policy, PolicyNotice } from '../core/index.ts';
import { checkScanRules } from './compile-scanner.ts';
import { idlePatterns } from './idle-patterns.ts';

/** Whether a policy that is valid can be carried out. */
export type CarriedOut =
  /** `inert`: those of rules that do nothing by themselves, whatever other policies there are; the cluster takes no policy that has one. */
  | { readonly kind: 'can'; readonly notices: readonly PolicyNotice[]; readonly inert: readonly PolicyNotice[] }
  /** In words for its author. */
  | { readonly kind: 'cannot'; readonly fault: string };

const codes: readonly string[] = ['invalid_pattern', 'unknown_detector', 'invalid_word', 'invalid_field_path'];

/** How such notices begin. */
const inert = /^never (finds|allows) anything/;

/**
 * Judges the policy as a sidecar will. What a sidecar could not put into force is known so before it is stored (admission), and before
 * it is sent (controller). Nothing that searches is built: both have others to answer, and a policy may hold words for seconds of that.
 */
export function carriedOut(policy: Policy): CarriedOut {
  try {
    const { notices, scanRules } = compileSnapshot([policy], { revision: 0 });
    checkScanRules(scanRules);
    const all = [...notices, ...idlePatterns(policy)];
    const isInert = ({ message }: PolicyNotice): boolean => inert.test(message);
    return { kind: 'can', notices: all.filter((one) => !isInert(one)), inert: all.filter(isInert) };
  } catch (error) {
    if (error instanceof PolicyError || (error instanceof Error && codes.includes(errorCode(error) ?? '')))
      return { kind: 'cannot', fault: error.message };
    throw error;
  }
}
