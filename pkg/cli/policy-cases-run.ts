import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { canonical } from '../core/index.ts';
import type { Operation, Policy, ReasonCode } from '../core/index.ts';
import { routeAt } from './asked-route.ts';
import type { AskedRoute } from './asked-route.ts';
import { callerOf } from './policy-caller.ts';
import { judge, promptBody, readRequest } from './policy-explain-content.ts';
import type { GivenQuestion, GivenRequest, Judged } from './policy-explain-content.ts';
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
  /** Of a Deny. */
  readonly reason?: ReasonCode;
}

/** What holds of all cases: see `policy-pod.ts`. */
export interface CasesOptions {
  readonly hosted: boolean;
}

interface Decided {
  readonly decision: NonNullable<CaseResult['decision']>;
  /** Rules that decide: of an Allow, all that allow. */
  readonly rules: readonly string[];
  readonly reason?: ReasonCode;
  readonly judged: Judged;
}

/** @throws PolicyError, CodedError where the policies cannot be compiled */
export async function runCase(
  policies: readonly Policy[],
  one: PolicyCase,
  options: CasesOptions,
): Promise<CaseResult> {
  const decided = await decide(policies, one, options);
  if ('fault' in decided)
    return { name: one.name, passed: false, faults: [decided.fault], decision: undefined, rule: undefined };
  const faults = compare(one, decided);
  const { decision, rules, reason } = decided;
  const why = reason === undefined ? {} : { reason };
  return { name: one.name, passed: faults.length === 0, faults, decision, rule: rules[0], ...why };
}

async function decide(
  policies: readonly Policy[],
  one: PolicyCase,
  { hosted }: CasesOptions,
): Promise<Decided | { readonly fault: string }> {
  const { subject, provider, groups = [], scopes = [], certificate = false } = one.caller ?? {};
  const found = callerOf({ subject, provider, groups, scopes }, policies);
  if ('fault' in found) return { fault: `caller.provider ${found.fault}` };
  const question = questionOf(one, policies);
  if ('fault' in question) return question;
  const { operation, model, request } = question;
  const asked = { caller: found.caller, operation, model, certificate: found.certificate || certificate, hosted };
  const judged = await judge(policies, asked, request, one.answer);
  const refusal = judged.refusal ?? judged.answer?.refusal;
  if (refusal !== undefined) return { decision: 'Deny', rules: [refusal.rule], reason: refusal.reason, judged };
  const asking = [judged.request, judged.answer].flatMap((each) => each?.approvals ?? []);
  if (asking.length > 0) return { decision: 'RequireApproval', rules: asking, judged };
  return { decision: 'Allow', rules: judged.allowedBy, judged };
}

/** What is asked for, by its path where one is given. */
function questionOf(one: PolicyCase, policies: readonly Policy[]): GivenQuestion | { readonly fault: string } {
  const route = one.path === undefined ? undefined : routeAt(one.path, policies);
  if (route !== undefined && 'fault' in route) return { fault: `path: ${route.fault}` };
  const at = route?.asked;
  const operation = at?.route.operation ?? one.operation ?? 'Chat';
  const given = requestOf(one, operation, at);
  if (given !== undefined && 'fault' in given) return given;
  const model = one.model ?? (one.request === undefined ? at?.route.model : given?.request.model);
  return { operation, model, request: given?.request };
}

function requestOf(
  { prompt, request, model }: PolicyCase,
  operation: Operation,
  at: AskedRoute | undefined,
): { readonly request: GivenRequest } | { readonly fault: string } | undefined {
  if (prompt === undefined && request === undefined) return undefined;
  const body = request ?? promptBody(operation, model ?? 'none', prompt ?? '');
  return readRequest(JSON.stringify(body), operation, at);
}

function compare({ expect }: PolicyCase, { decision, rules, judged }: Decided): readonly string[] {
  const by = rules.join(', ');
  // What is refused goes nowhere, and has no answer.
  const { request, answer: answered } = judged.refusal === undefined ? judged : {};
  const body = request?.passed;
  const value = body === undefined ? undefined : jsonValue(parseJson(body));
  const message = value === undefined ? undefined : textOf(value);
  const texts: readonly (readonly [what: string, wanted: string | undefined, came: string | undefined])[] = [
    ['prompt', quoted(expect.prompt), quoted(message)],
    ['request', quoted(expect.request), quoted(value)],
    ['answer', quoted(expect.answer), quoted(answered?.passed)],
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
