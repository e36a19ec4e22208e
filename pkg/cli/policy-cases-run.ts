import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { canonical, explain } from '../core/index.ts';
import type { Operation, Policy } from '../core/index.ts';
import type { Judgement } from '../proxy/index.ts';
import { callerOf } from './policy-caller.ts';
import { judgeContent, promptBody, readRequest } from './policy-explain-content.ts';
import type { GivenRequest, JudgedContent } from './policy-explain-content.ts';
import type { PolicyCase } from './policy-cases.ts';

/** Decides cases by the code of `policy explain`, which is the sidecar's own. */

export interface CaseResult {
  readonly name: string;
  readonly passed: boolean;
  /** What was not as expected; or why it could not be decided. */
  readonly faults: readonly string[];
  readonly decision: 'Allow' | 'Deny' | 'RequireApproval' | undefined;
  /** The rule that decides. */
  readonly rule: string | undefined;
}

interface Decided {
  readonly decision: NonNullable<CaseResult['decision']>;
  /** Rules that decide: of an Allow, all that allow. */
  readonly rules: readonly string[];
  readonly content: JudgedContent;
}

/** @throws PolicyError, CodedError where the policies cannot be compiled */
export async function runCase(policies: readonly Policy[], one: PolicyCase): Promise<CaseResult> {
  const decided = await decide(policies, one);
  if ('fault' in decided)
    return { name: one.name, passed: false, faults: [decided.fault], decision: undefined, rule: undefined };
  const faults = compare(one, decided);
  const { decision, rules } = decided;
  return { name: one.name, passed: faults.length === 0, faults, decision, rule: rules[0] };
}

async function decide(policies: readonly Policy[], one: PolicyCase): Promise<Decided | { readonly fault: string }> {
  const { subject, provider, groups = [], scopes = [] } = one.caller ?? {};
  const found = callerOf({ subject, provider, groups, scopes }, policies);
  if ('fault' in found) return { fault: `caller.provider ${found.fault}` };
  const { caller } = found;
  const operation = one.operation ?? 'Chat';
  const given = requestOf(one, operation);
  if (given !== undefined && 'fault' in given) return given;
  const model = one.model ?? (one.request === undefined ? undefined : given?.request.model);
  const { decision, tokenPrompts } = explain(policies, { caller, operation, model }, { revision: 0 });
  if (decision.kind === 'deny') return { decision: 'Deny', rules: [decision.refusal.rule], content: {} };
  if (given?.request.view.tokenInput === true && tokenPrompts === 'refused')
    return { decision: 'Deny', rules: [], content: { refusal: 'token_input_uninspectable' } };
  const content = (await judgeContent(policies, caller, given?.request, one.answer)) ?? {};
  const both = [content.request, content.answer];
  const blocked = both.flatMap((judged) => judged?.blockedBy ?? []);
  if (blocked.length > 0) return { decision: 'Deny', rules: blocked, content };
  const asking = both.flatMap((judged) => judged?.approvals ?? []);
  if (asking.length > 0) return { decision: 'RequireApproval', rules: asking, content };
  return { decision: 'Allow', rules: decision.rules.map(({ id }) => id), content };
}

function requestOf(
  { prompt, request, model }: PolicyCase,
  operation: Operation,
): { readonly request: GivenRequest } | { readonly fault: string } | undefined {
  if (prompt === undefined && request === undefined) return undefined;
  const body = request ?? promptBody(operation, model ?? 'none', prompt ?? '');
  return readRequest(JSON.stringify(body), operation);
}

function compare({ expect }: PolicyCase, { decision, rules, content }: Decided): readonly string[] {
  const by = rules.join(', ');
  const body = passedOf(content.request);
  const value = body === undefined ? undefined : jsonValue(parseJson(body));
  const message = value === undefined ? undefined : textOf(value);
  const answer = passedOf(content.answer);
  const texts: readonly (readonly [what: string, wanted: string | undefined, came: string | undefined])[] = [
    ['prompt', quoted(expect.prompt), quoted(message)],
    ['request', quoted(expect.request), quoted(value)],
    ['answer', quoted(expect.answer), quoted(answer)],
  ];
  const wrong = texts.filter(([, wanted, came]) => wanted !== undefined && wanted !== came);
  return [
    ...(expect.decision === undefined || expect.decision === decision
      ? []
      : [`decision: expected ${expect.decision}, came ${decision}${by === '' ? '' : ` by ${by}`}`]),
    ...(expect.rule === undefined || rules.includes(expect.rule)
      ? []
      : [`rule: expected ${expect.rule}, came ${by === '' ? 'none' : by}`]),
    ...wrong.map(([what, wanted, came]) => `${what}: expected ${wanted ?? ''}, came ${came ?? 'nothing'}`),
  ];
}

/** What of a request or an answer goes on. */
const passedOf = (judged: Judgement | undefined): string | undefined =>
  judged?.blockedBy === undefined ? judged?.passed : undefined;

/** Equal values are equal texts. */
const quoted = (value: unknown): string | undefined => (value === undefined ? undefined : canonical(value));

/** The one message that promptBody has made. */
function textOf(body: JsonValue): string | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
  const { messages, prompt, input } = body;
  const [message] = Array.isArray(messages) ? messages : [];
  const content =
    typeof message === 'object' && message !== null && !Array.isArray(message) ? message['content'] : (prompt ?? input);
  return typeof content === 'string' ? content : undefined;
}
