import { describeError } from '../base/index.ts';
import type { Policy, PolicyNotice } from '../core/index.ts';
import { formatFault, parsePolicies } from '../crd/index.ts';
import { carriedOut } from '../detect/index.ts';
import type { CommandIo } from './command.ts';

export interface ReadPolicies {
  readonly policies: readonly Policy[];
  /** One line each, ready to print. */
  readonly faults: readonly string[];
  /** As of {@link parsePolicies}. */
  readonly notices: readonly PolicyNotice[];
}

/**
 * Policies of several files, and what is wrong with any of them: also that one stands in two files, or that a sidecar could not carry it out.
 *
 * @param cluster default true; false: as a sidecar that runs on its own reads them
 */
export function readPolicies(files: readonly string[], io: CommandIo, cluster = true): ReadPolicies {
  const policies: Policy[] = [];
  const faults: string[] = [];
  const notices: PolicyNotice[] = [];
  const seen = new Map<string, string>();
  for (const file of files) {
    let text: string;
    try {
      text = io.readFile(file);
    } catch (error) {
      faults.push(`${file}: cannot be read (${describeError(error)})`);
      continue;
    }
    const parsed = parsePolicies(text, file, {
      checkPattern: (pattern, maxLength) => io.checkPattern(pattern, maxLength),
      cluster,
    });
    notices.push(...parsed.notices);
    faults.push(...parsed.faults.map(formatFault));
    for (const policy of parsed.policies) {
      const key = `${policy.kind} ${policy.namespace === undefined ? '' : `${policy.namespace}/`}${policy.name}`;
      const before = seen.get(key);
      if (before !== undefined) faults.push(`${file}: ${key} stands in ${before} already`);
      seen.set(key, file);
      const judged = carriedOut(policy);
      if (judged.kind === 'cannot') faults.push(`${file}: ${policy.name}: ${judged.fault}`);
      // A sidecar on its own takes such a policy, and its log says what does nothing.
      else if (cluster)
        faults.push(...judged.inert.map(({ field, message }) => `${file}: ${policy.name}: spec.${field} ${message}`));
      policies.push(policy);
    }
  }
  return { policies, faults, notices };
}
