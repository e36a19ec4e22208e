import { reasonCodes } from '../inject/index.ts';
import type { Meters } from '../telemetry/index.ts';

export const hooks = ['mutate', 'pods', 'policies', 'decisions', 'connect', 'break-glass'] as const;
export type Hook = (typeof hooks)[number];

export const outcomes = ['allowed', 'patched', 'refused', 'failed'] as const;
export type Outcome = (typeof outcomes)[number];

/** Why an answer is a refusal that no rule gave. */
export const failures = [
  'malformed',
  'too_large',
  'overloaded',
  'deadline',
  'error',
  'unexpected',
  'no_authority',
  'lookup',
] as const;
export type Failure = (typeof failures)[number];

/** What the path of a request that found no page lacks: a key at all, one that counts, or a page behind it. */
export const strangers = ['no_key', 'other_key', 'no_page'] as const;
export type Stranger = (typeof strangers)[number];

export const connectVerbs = ['exec', 'attach', 'portforward', 'proxy'] as const;
/** What the break-glass group does; `debug`: a container put into a pod that runs. */
export const breakGlassVerbs = [...connectVerbs, 'debug', 'approve'] as const;
export type BreakGlassVerb = (typeof breakGlassVerbs)[number];

export interface AdmissionMetrics {
  answered(hook: Hook, outcome: Outcome, seconds: number): void;
  failed(failure: Failure): void;
  /** Answered 404; nothing of the request was read. */
  stranger(why: Stranger): void;
  /** Why pods were skipped or refused, or what their authors were told. */
  reason(code: string): void;
  breakGlass(verb: BreakGlassVerb): void;
  eventDropped(why: 'limit' | 'failed'): void;
  /** Options file or authority: read anew. */
  reloaded(what: 'options' | 'certificate', result: 'accepted' | 'refused'): void;
}

export function admissionMetrics(meters: Meters): AdmissionMetrics {
  const hook = { name: 'webhook', values: hooks };
  const requests = meters.counter('sidegate_admission_requests_total', 'Admission requests answered.', [
    hook,
    { name: 'outcome', values: outcomes },
  ]);
  const seconds = meters.timer('sidegate_admission_seconds', 'From the whole request to its answer.', [hook]);
  const failed = meters.counter('sidegate_admission_failures_total', 'Refusals that no rule gave: alert on any.', [
    { name: 'kind', values: failures },
  ]);
  const unknown = meters.counter(
    'sidegate_webhook_strangers_total',
    'Requests whose path has no page: whoever sent them is not the API server, or asks by a key that has ended.',
    [{ name: 'path', values: strangers }],
  );
  const reasons = meters.counter(
    'sidegate_admission_reasons_total',
    'Why pods were skipped or refused, or what their authors were told.',
    [{ name: 'code', values: [...reasonCodes] }],
  );
  const breakGlass = meters.counter(
    'sidegate_break_glass_total',
    'What the break-glass group did: connections into governed namespaces, debug containers, and approvals.',
    [{ name: 'verb', values: breakGlassVerbs }],
  );
  const dropped = meters.counter(
    'sidegate_webhook_events_dropped_total',
    'Events, and notes of who took a grant back, that were not written: more than 30 at once, or the API server did not take them.',
    [{ name: 'why', values: ['limit', 'failed'] }],
  );
  const reloads = meters.counter('sidegate_webhook_reloads_total', 'Options and certificates that were read anew.', [
    { name: 'what', values: ['options', 'certificate'] },
    { name: 'result', values: ['accepted', 'refused'] },
  ]);
  return {
    answered(name, outcome, took) {
      requests.add([name, outcome]);
      seconds.observe([name], took);
    },
    failed: (failure) => failed.add([failure]),
    stranger: (why) => unknown.add([why]),
    reason: (code) => reasons.add([code]),
    breakGlass: (verb) => breakGlass.add([verb]),
    eventDropped: (why) => dropped.add([why]),
    reloaded: (what, result) => reloads.add([what, result]),
  };
}
