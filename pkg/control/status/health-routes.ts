import type { JsonValue } from '../../base/index.ts';
import { policyHealthPath } from '../../contract/index.ts';
import type { RouteAnswer, Routes } from '../decisions/index.ts';
import type { PolicyEntry } from '../policies/policy-entry.ts';
import type { PolicyIndex } from '../policies/policy-index.ts';

/**
 * How policies are, for the console: name, generation and conditions of each, and nothing of what it says. The recorder has no right to read
 * policies, and asks here with its certificate; what of it a person sees is for their role there to say.
 */
const mostNamespaces = 20;
/** Of one condition; what is more stands in the policy's own status. */
const longestMessage = 512;
/** Policies of one answer, and bytes, so that whoever asks reads it whole. */
const mostPolicies = 1_000;
const mostBytes = 900_000;
const namespaceForm = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

const no = (status: number, error: string, result: RouteAnswer['result']): RouteAnswer => ({
  status,
  body: { error },
  result,
});

export function createHealthRoutes({ index }: { readonly index: Pick<PolicyIndex, 'values'> }): Routes {
  return async (request, { recorder, admitted }) => {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (path !== policyHealthPath) return undefined;
    if (recorder !== true) return admitted() ? no(403, 'not_allowed', 'refused') : no(429, 'too_many', 'limited');
    if (request.method !== 'GET') return no(405, 'method', 'malformed');
    const asked = new URLSearchParams(query);
    const namespaces = asked.getAll('namespace');
    const known =
      [...asked.keys()].every((key) => key === 'namespace') && namespaces.every((one) => namespaceForm.test(one));
    if (!known || namespaces.length > mostNamespaces) return no(400, 'malformed', 'malformed');
    const all = [...index.values()].filter(
      ({ namespace }) => namespace === undefined || namespaces.length === 0 || namespaces.includes(namespace),
    );
    return Promise.resolve({ status: 200, body: { ...healthOf(all) }, result: 'viewed' });
  };
}

function healthOf(entries: readonly PolicyEntry[]): {
  readonly policies: readonly JsonValue[];
  readonly complete: boolean;
} {
  const policies: JsonValue[] = [];
  let bytes = 0;
  for (const { namespace, name, generation, status } of entries) {
    const one: JsonValue = {
      namespace: namespace ?? null,
      name,
      generation,
      observed: status?.observedGeneration ?? null,
      conditions: (status?.conditions ?? []).map(({ type, status: holds, reason, message }) => ({
        type,
        status: holds,
        reason: reason ?? '',
        message: (message ?? '').slice(0, longestMessage),
      })),
    };
    bytes += Buffer.byteLength(JSON.stringify(one));
    if (policies.length >= mostPolicies || bytes > mostBytes) return { policies, complete: false };
    policies.push(one);
  }
  return { policies, complete: true };
}
