import { parseJson } from '../../base/index.ts';
import { compileSnapshot } from '../../core/index.ts';
import type { AccessRequest, Identity, Policy, RuleAct, Snapshot } from '../../core/index.ts';
import { recognise } from '../../dialect/index.ts';
import { createJudge } from '../../proxy/index.ts';
import type { Judge, Judgement } from '../../proxy/index.ts';
import type { RecordedSession } from './recorded-session.ts';

/** What policies came to for a session, from the mildest on. */
export const fates = ['allowed', 'masked', 'held', 'blocked'] as const;
export type Fate = (typeof fates)[number];

/**
 * How a session would go otherwise. `unmasked`: its text was masked and would not be; `allowed`: it was refused or held and
 * would go on; `unknown`: it would be treated more mildly as far as its recorded text says, and some of that was masked.
 */
export const changes = ['blocked', 'held', 'masked', 'allowed', 'unmasked', 'unknown'] as const;
export type Change = (typeof changes)[number];

export interface Verdict {
  readonly fate: Fate;
  readonly rules: readonly { readonly rule: string; readonly by: readonly string[] }[];
}

export interface Comparison {
  readonly session: RecordedSession;
  readonly was: Verdict;
  readonly would: Verdict;
  /** Undefined: as it went. */
  readonly change: Change | undefined;
}

const rulesOf = (acts: readonly (RuleAct | RecordedSession['acts'][number])[], ...kinds: readonly string[]) =>
  acts.filter((one) => kinds.includes(one.act)).map(({ rule, by = [] }) => ({ rule, by }));

/** Every rule that forbids it; of what no guard forbids, the one that is named, with the reason. */
function refusersOf({ acts, refusal }: Judgement): Verdict['rules'] {
  const blocking = rulesOf(acts, 'blocked');
  return blocking.length > 0 || refusal === undefined ? blocking : [{ rule: refusal.rule, by: [refusal.reason] }];
}

/** What the policies of then came to. */
export function verdictOf({ acts, code, outcome }: RecordedSession): Verdict {
  const refused = rulesOf(acts, 'blocked', 'denied');
  if (refused.length > 0) return { fate: 'blocked', rules: refused };
  const held = rulesOf(acts, 'held');
  if (held.length > 0) return { fate: code === 'approval_unavailable' ? 'blocked' : 'held', rules: held };
  if (outcome === 'refused') return { fate: 'blocked', rules: [{ rule: code ?? 'default', by: [] }] };
  const masked = rulesOf(acts, 'masked');
  return masked.length > 0 ? { fate: 'masked', rules: masked } : { fate: 'allowed', rules: [] };
}

/** Replays sessions under other policies. */
export class Backtest {
  readonly snapshot: Snapshot;
  readonly #judge: Judge;
  readonly #hosted: boolean;

  /** @param hosted as in JudgedAccess @throws PolicyError, CodedError */
  constructor(policies: readonly Policy[], hosted: boolean) {
    this.#hosted = hosted;
    this.snapshot = compileSnapshot(policies, { revision: 0 });
    this.#judge = createJudge(this.snapshot);
  }

  async compare(session: RecordedSession): Promise<Comparison> {
    const was = verdictOf(session);
    const would = await this.#would(session);
    return { session, was, would, change: this.#change(session, was, would) };
  }

  #change(session: RecordedSession, was: Verdict, would: Verdict): Change | undefined {
    if (would.fate === was.fate) return undefined;
    const milder = fates.indexOf(would.fate) < fates.indexOf(was.fate);
    if (milder && session.masked)
      // What made a rule act may be what was masked. Where it still stands, it would act again.
      return was.rules.every(({ rule }) => this.#stands(rule)) ? undefined : 'unknown';
    if (!milder || would.fate === 'held') return would.fate === 'allowed' ? undefined : would.fate;
    return was.fate === 'masked' ? 'unmasked' : 'allowed';
  }

  #stands(rule: string): boolean {
    return this.snapshot.scanRules.some((one) => one.id === rule && one.enforce);
  }

  async #would(session: RecordedSession): Promise<Verdict> {
    const { operation, model } = session;
    const caller = this.#callerOf(session);
    if (caller === 'stranger') return { fate: 'blocked', rules: [{ rule: 'identity', by: ['token_invalid'] }] };
    // Whether a certificate came is not on record.
    const asked = { caller, operation, model, certificate: true, hosted: this.#hosted };
    const { allowed, refusal } = this.#judge.access(asked);
    if (refusal !== undefined) return { fate: 'blocked', rules: [{ rule: refusal.rule, by: [refusal.reason] }] };
    const judged = await this.#judged(session, asked, allowed);
    const blocked = judged.filter((one) => one.refusal !== undefined);
    if (blocked.length > 0) return { fate: 'blocked', rules: blocked.flatMap(refusersOf) };
    if (judged.some((one) => one.approvals.length > 0))
      return { fate: 'held', rules: judged.flatMap(({ acts }) => rulesOf(acts, 'held')) };
    const masked = judged.flatMap(({ acts }) => rulesOf(acts, 'masked'));
    return masked.length > 0 ? { fate: 'masked', rules: masked } : { fate: 'allowed', rules: [] };
  }

  async #judged(
    session: RecordedSession,
    asked: AccessRequest,
    allowed: Parameters<Judge['request']>[1],
  ): Promise<readonly Judgement[]> {
    const texts = session.request;
    const request = texts.length === 0 ? [] : [await this.#judge.request(asked, allowed, requestOf(session))];
    if (request.some((one) => one.refusal !== undefined)) return request;
    return [...request, ...session.answer.map((text) => this.#judge.answer(asked.caller, text))];
  }

  /** As the proposed policies know who it was: their provider of the same issuer. Scopes are not recorded. */
  #callerOf({ caller }: RecordedSession): Identity | undefined | 'stranger' {
    if (caller === undefined) return undefined;
    const { providers } = this.snapshot;
    const found =
      providers.find((one) => one.id === caller.provider) ??
      providers.find((one) => (one.oidc ?? one.serviceAccount ?? one.sidegate)?.issuer === caller.issuer);
    if (found === undefined) return 'stranger';
    return { ...caller, provider: found.id, scopes: [], expiresAt: undefined, kubernetesUser: undefined };
  }
}

/** Its texts as the messages of one request, in their order: seams between them are read as they were. */
function requestOf({ request, model, bytes, path }: RecordedSession) {
  const messages = request.map((content) => ({ role: 'user', content }));
  const text = JSON.stringify({ model: model ?? 'none', messages });
  const route = recognise('POST', '/v1/chat/completions');
  return { text, view: route.dialect.request(route, parseJson(text, { loneSurrogates: true })), target: path, bytes };
}
