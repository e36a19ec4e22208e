import { foundText } from './found-text.ts';
import type {
  AccessRequest,
  Explanation,
  ExplainedGuard,
  ExplainedLabel,
  MatchedRule,
  RateLimits,
  Refusal,
  RuleAct,
} from '../core/index.ts';
import type { Judgement } from '../proxy/index.ts';
import type { Judged } from './policy-explain-content.ts';

/** An explanation for people: one section for each part of a policy, one line for each rule, in the order in which they act. */

function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((row) =>
    `  ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  ')}`.trimEnd(),
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

const mode = (enforced: boolean): string => (enforced ? 'enforced' : 'observed');

function limitsText(limits: RateLimits | undefined): string {
  const parts = [
    limits?.requestsPerMinute === undefined ? '' : `${limits.requestsPerMinute} requests/min`,
    limits?.tokensPerMinute === undefined ? '' : `${limits.tokensPerMinute} tokens/min`,
    limits?.maxOutputTokens === undefined ? '' : `${limits.maxOutputTokens} output tokens`,
    limits?.concurrentRequests === undefined ? '' : `${limits.concurrentRequests} at one time`,
    limits?.scope === 'Policy' ? 'counted over all pods' : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'no limits' : parts.join(', ');
}

const refusalText = ({ reason, rule }: Refusal): string => `${reason} by ${rule}`;

function verdict({ enforcing }: Explanation, { refusal, allowedBy, observed, request, answer }: Judged): string {
  if (refusal !== undefined) return `DENIED: ${refusalText(refusal)}`;
  const observing = observed.length === 0 ? ': every policy observes' : ' only because every policy observes';
  const asks = (request?.approvals.length ?? 0) > 0 ? ', once it is approved' : '';
  const ends = answer?.refusal === undefined ? '' : `; the answer is not: ${refusalText(answer.refusal)}`;
  return `ALLOWED${enforcing ? ` by ${allowedBy.join(', ')}` : observing}${asks}${ends}`;
}

function callerText(request: AccessRequest): string {
  const { caller } = request;
  if (caller === undefined) return 'nobody proven';
  const groups = caller.groups.length === 0 ? '' : `, groups ${caller.groups.join(' ')}`;
  const scopes = caller.scopes.length === 0 ? '' : `, scopes ${caller.scopes.join(' ')}`;
  return `${caller.subject} by ${caller.provider}${groups}${scopes}`;
}

function chargedText(explanation: Explanation): string[] {
  const { decision } = explanation;
  if (decision.kind === 'deny') return [];
  const row = (rule: MatchedRule): string[] => [rule.id, limitsText(rule.limits)];
  return [
    ...section('limits: the first with budget left is charged', table(decision.rules.map(row))),
    ...(decision.ceilings ?? []).flatMap((rules) =>
      section('and of this cluster policy as well', table(rules.map(row))),
    ),
  ];
}

function observedText({ observed }: Judged): string[] {
  return section(
    'observing policies would refuse it',
    observed.map((one) => `  ${refusalText(one)}`),
  );
}

const guardRow = (guard: ExplainedGuard): string[] => [
  guard.rule,
  `on ${guard.on}`,
  guard.action,
  mode(guard.enforced),
  guard.applies ? 'applies' : 'not to this caller',
  guard.looksFor.join(', '),
];

const labelRow = (label: ExplainedLabel): string[] => [
  label.rule,
  label.outcome,
  label.inRequests === 'passed' ? '' : `${label.inRequests} in requests`,
  mode(label.enforced),
  label.outcome === 'masked' ? `as ${label.replacement}` : '',
  label.looksFor.join(', '),
];

function responseLimitsText(explanation: Explanation): string[] {
  const { maxBytes, maxDurationMs, minDurationMs, padToMultipleOf, cadenceMs } = explanation.responseLimits;
  const rows: [string, number | undefined, string][] = [
    ['longest', maxBytes, 'bytes'],
    ['longest time', maxDurationMs, 'ms'],
    ['shortest time', minDurationMs, 'ms'],
    ['padded to a multiple of', padToMultipleOf, 'bytes'],
    ['frames leave every', cadenceMs, 'ms'],
  ];
  return table(rows.flatMap(([name, value, unit]) => (value === undefined ? [] : [[name, `${value} ${unit}`]])));
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What was found in given content, and what of it goes on. */
function judgedText(what: string, to: string, judged: Judgement | undefined, isIn: boolean): string[] {
  if (judged === undefined) return [];
  const row = (one: RuleAct): string[] => [one.rule, one.act, foundText(one.by ?? [], one.found ?? [])];
  const found = [...judged.acts.map(row), ...judged.observed.map((one) => [...row(one), 'observed'])];
  const { refusal, approvals, passed = '' } = judged;
  const gets = `${isIn ? '' : 'if it were let in, '}${to} gets: ${passed}`;
  const outcome =
    refusal !== undefined
      ? `  REFUSED: ${refusalText(refusal)}`
      : approvals.length > 0
        ? `  waits for an approval, by ${approvals.join(', ')}; then ${gets}`
        : `  ${gets}`;
  return section(what, [...(found.length === 0 ? ['  no rule finds anything'] : table(found)), outcome]);
}

export function explanationText(request: AccessRequest, explanation: Explanation, judged: Judged): string {
  const model = request.model === undefined ? '' : ` on ${request.model}`;
  const isIn = judged.refusal === undefined || judged.refusal === judged.request?.refusal;
  const lines = [
    `${explanation.generation} (${explanation.enforcing ? 'enforcing' : 'observing only'})`,
    `caller   ${callerText(request)}`,
    `request  ${request.operation}${model}`,
    '',
    verdict(explanation, judged),
    ...section(
      'access rules',
      table(
        explanation.access.map((rule) => [
          rule.rule,
          rule.effect,
          mode(rule.enforced),
          rule.matched ? 'matches' : 'no',
          rule.why,
        ]),
      ),
    ),
    ...chargedText(explanation),
    ...observedText(judged),
    ...section('guards', table(explanation.guards.map(guardRow))),
    ...section('classification: for this caller', table(explanation.classification.map(labelRow))),
    ...judgedText('in this request', 'the model', judged.request, isIn),
    ...judgedText('in this answer', 'the caller', judged.answer, isIn),
    ...section('prompts of token ids', [`  ${explanation.tokenPrompts}`]),
    ...section('answers', responseLimitsText(explanation)),
    ...section(
      'values in force',
      table(explanation.effective.map(({ field, value, from }) => [field, `from ${from}`, valueText(value)])),
    ),
    ...section(
      'notices',
      explanation.notices.map(({ policy, field, message }) => `  ${policy}: ${field} ${message}`),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
