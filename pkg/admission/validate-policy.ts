/** Policies, for what the schema and its rules cannot say: patterns that cannot be carried out, names that mean nothing, rules that cannot fire. */
import type { Policy, PolicyNotice } from '../core/index.ts';
import { parsePolicyObject } from '../crd/index.ts';
import { carriedOut, checkPattern } from '../detect/index.ts';
import type { AdmissionMetrics } from './metrics.ts';
import { unexpected } from './mutate.ts';
import { isFields, refusal } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

const kinds: Readonly<Record<string, string>> = {
  inferencepolicies: 'InferencePolicy',
  clusterinferencepolicies: 'ClusterInferencePolicy',
};

const words = ({ field, message }: PolicyNotice): string => `spec.${field} ${message}`;

/** What stands in the way of carrying the policy out, and what its author should know. */
function judge(policy: Policy): { readonly faults: readonly string[]; readonly notices: readonly string[] } {
  const judged = carriedOut(policy);
  if (judged.kind === 'cannot') return { faults: [judged.fault], notices: [] };
  return {
    faults: judged.inert.map(words),
    notices: judged.notices.map(words),
  };
}

/** As a person would have written it: what the server adds is not the author's. */
function documentOf(request: AdmissionRequest): object | undefined {
  const { object } = request;
  if (!isFields(object) || !isFields(object['metadata'])) return undefined;
  const { name } = object['metadata'];
  return {
    apiVersion: object['apiVersion'],
    kind: object['kind'],
    metadata: {
      name: typeof name === 'string' && name !== '' ? name : 'policy',
      ...(request.namespace === '' ? {} : { namespace: request.namespace }),
    },
    spec: object['spec'],
  };
}

export function createValidatePolicy(options: {
  readonly metrics: AdmissionMetrics;
}): (request: AdmissionRequest) => Promise<Verdict> {
  return async (request) => {
    const { group, resource, subResource, operation } = request;
    const kind = kinds[resource];
    const document = documentOf(request);
    const asked = group === 'sidegate.dev' && subResource === '' && (operation === 'CREATE' || operation === 'UPDATE');
    if (!asked || kind === undefined || document === undefined) {
      options.metrics.failed('unexpected');
      return unexpected(request);
    }
    const { policies, faults } = parsePolicyObject(document, kind, {
      local: false,
      checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
    });
    const said = faults.map(({ path, message }) => `${path}: ${message}`);
    const [policy] = policies;
    // One that is there from before works, and can be mended.
    if (operation === 'CREATE' && policy?.kind === 'InferencePolicy' && policy.name === 'cluster')
      said.push('metadata.name: cluster is how providers and rules of the platform begin; choose another');
    if (said.length > 0 || policy === undefined) {
      return refusal(said.join(' | ') || 'there is no policy in it', { status: 422 });
    }
    const judged = judge(policy);
    if (judged.faults.length > 0) return refusal(judged.faults.join(' | '), { status: 422 });
    return { allowed: true, warnings: judged.notices.map((one) => `sidegate: ${one}`) };
  };
}
