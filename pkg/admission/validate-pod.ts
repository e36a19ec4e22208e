/**
 * Labelled pods as they will be stored, after every other webhook: the whole final state, of which the admission policies say
 * in CEL what they can. It does not ask what the mutating webhook did.
 */
import { inferenceLabel } from '../contract/index.ts';
import { checkFinalState, injectedAnnotation } from '../inject/index.ts';
import type { ChartOptions, Violation } from '../inject/index.ts';
import { isPodCreation, namespaceFacts, noAuthority, unexpected } from './mutate.ts';
import type { PodHookOptions } from './mutate.ts';
import { isFields, refusal } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

/** The fewest violations that any accepted options leave: replicas read a change of the options at different times. */
async function violationsOf(
  request: AdmissionRequest,
  hook: PodHookOptions,
  authorities: readonly string[],
): Promise<readonly Violation[]> {
  const accepted = hook.accepted();
  const images = [...new Set(accepted.flatMap((chart) => chart.images))];
  const check = async (chart: ChartOptions): Promise<readonly Violation[]> => {
    const namespace = await namespaceFacts(request, chart, hook.lookup);
    const all = authorities.map((ca) => chart.for(namespace, ca));
    const [options] = all;
    if (options === undefined) return [];
    return checkFinalState(request.object, {
      options,
      images,
      authorities,
      injected: all.map((one) => injectedAnnotation(one)),
    });
  };
  let best: readonly Violation[] | undefined;
  for (const chart of accepted) {
    const found = await check(chart);
    if (found.length === 0) return found;
    // Said in terms of the present options, which come first.
    best ??= found;
  }
  return best ?? [{ rule: 'readable', message: 'there are no options to compare with' }];
}

export function createValidatePod(hook: PodHookOptions): (request: AdmissionRequest) => Promise<Verdict> {
  return async (request) => {
    if (!isPodCreation(request)) {
      hook.metrics.failed('unexpected');
      return unexpected(request);
    }
    const metadata = isFields(request.object) ? request.object['metadata'] : undefined;
    const labels = isFields(metadata) ? metadata['labels'] : undefined;
    if (!isFields(labels) || labels[inferenceLabel] === undefined) {
      hook.metrics.failed('unexpected');
      return unexpected(request);
    }
    const present = hook.trust();
    if (present === undefined) {
      hook.metrics.failed('no_authority');
      return noAuthority;
    }
    const violations = await violationsOf(request, hook, [present, ...(hook.earlierTrust?.() ?? [])]);
    if (violations.length === 0) return { allowed: true };
    return refusal(
      `the pod would not be governed: ${violations.map(({ rule, message }) => `[${rule}] ${message}`).join(' | ')}; fix: find the webhook or controller that changes pods after sidegate, and leave containers, volumes and annotations of Sidegate as they are`,
      { audit: { broken: violations.map(({ rule }) => rule).join(',') } },
    );
  };
}
