import type { Policy } from '../../core/index.ts';
import type { PolicyEntry } from './policy-entry.ts';

/** Name of the rule that refuses, as callers and records have it: `POLICY/cannot-be-used`. */
const rule = 'cannot-be-used';

/**
 * What stands in a pod's set for all policies of its namespace where they cannot be carried out: everything is denied. So a
 * namespace can close itself by a mistake, and never hold back what the platform's policies say now.
 *
 * Its generation is 0: nobody counts as enforcing the policy that it is named after. Nothing of a request is recorded but that it
 * was refused, since what is to be masked is not known.
 */
export function standIn({ uid, name, namespace }: PolicyEntry): Policy {
  return {
    kind: 'InferencePolicy',
    uid,
    name,
    namespace,
    generation: 0,
    createdAt: 0,
    spec: {
      selector: { matchLabels: {}, matchExpressions: [] },
      namespaceSelector: undefined,
      mode: 'Enforce',
      profile: undefined,
      upstream: undefined,
      tls: undefined,
      providers: [],
      access: [
        {
          name: rule,
          effect: 'Deny',
          subjects: [],
          operations: [],
          models: [],
          scopes: [],
          tokenInput: undefined,
          limits: undefined,
        },
      ],
      guards: [],
      classification: [],
      approvals: undefined,
      responseLimits: [],
      audit: { content: 'None', onFailure: undefined },
      analyzers: [],
      onUnknown: undefined,
      requestLimits: undefined,
      loopback: undefined,
      maxPolicyAgeMs: undefined,
    },
  };
}
