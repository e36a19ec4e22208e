import { parseJson } from '../../base/index.ts';
import { compileSnapshot, grantRule } from '../../core/index.ts';
import type { AccessRequest, Identity, Operation, Policy, Snapshot } from '../../core/index.ts';
import { recognise } from '../../dialect/index.ts';
import { createJudge, credentialRuleId, loopbackRule } from '../../proxy/index.ts';
import type { Judge, JudgedAccess, Judgement } from '../../proxy/index.ts';
import { findingsOf, missingFrom } from './findings.ts';
import type { Finding } from './findings.ts';
import type { RecordedAct, RecordedSession } from './recorded-session.ts';
import { hidden, looksAlike, stands, wouldStand } from './standing.ts';

/** What policies came to for a session, from the mildest on. */
export const fates = ['allowed', 'masked', 'held', 'blocked'] as const;
export type Fate = (typeof fates)[number];

/**
 * How a session would go otherwise; one may in several ways. `masked`, `unmasked`: a rule would mask something of it, or would not any more;
 * `allowed`: it was refused or held and would go on; `otherwise`: it would be refused or held as it was, by other rules; `unknown`: it would
 * be treated more mildly as far as its recorded text says, and not all of that is there, or a rule that is gone masked its request or its answer, and
 * only one of them would be masked; or a rule that observed may act now; or which model it asked for is not known; or its texts are sealed, and rules
 * that look at them may act on it.
 */
export const changes = ['blocked', 'held', 'masked', 'allowed', 'unmasked', 'otherwise', 'unknown'] as const;
export type Change = (typeof changes)[number];

export interface Verdict {
  readonly fate: Fate;
  /** That refused it, held it or else masked something. */
  readonly rules: readonly Finding[];
  /** All that masked something, whatever its fate. */
  readonly masks: readonly Finding[];
}

export interface Changed {
  readonly change: Change;
  /** Of `allowed`, `unmasked` and `unknown` those that had acted; of `otherwise` both; else those that would. */
  readonly rules: readonly string[];
}

export interface Comparison {
  readonly session: RecordedSession;
  readonly was: Verdict;
  readonly would: Verdict;
  /** None: as it went. */
  readonly changes: readonly Changed[];
}

const namesOf = (rules: readonly Finding[]): readonly string[] => rules.map((one) => one.rule);

const refusedBy = (rule: string, by: readonly string[] = []): Verdict => ({
  fate: 'blocked',
  rules: [{ rule, by, count: undefined }],
  masks: [],
});

/** Every rule that forbids it; of what no guard forbids, the one that is named, with the reason. */
function refusersOf({ acts, refusal }: Judgement): readonly Finding[] {
  const blocking = findingsOf(acts, 'blocked');
  return blocking.length > 0 || refusal === undefined ? blocking : refusedBy(refusal.rule, [refusal.reason]).rules;
}

/** What the policies of then came to. */
export function verdictOf({ acts: all, code, outcome }: RecordedSession): Verdict {
  // The model's own key is masked whatever policies say.
  const acts = all.filter(({ rule }) => rule !== credentialRuleId);
  const masks = findingsOf(acts, 'masked');
  const refused = findingsOf(acts, 'blocked', 'denied');
  if (refused.length > 0) return { fate: 'blocked', rules: refused, masks };
  const held = findingsOf(acts, 'held');
  if (held.length > 0) return { fate: code === 'approval_unavailable' ? 'blocked' : 'held', rules: held, masks };
  if (outcome === 'refused') return { ...refusedBy(code ?? 'default'), masks };
  return { fate: masks.length > 0 ? 'masked' : 'allowed', rules: masks, masks };
}

/** How far a fate keeps a session back: what was masked goes on. */
const barrier = ({ fate }: Verdict): number => Math.max(0, fates.indexOf(fate) - 1);

/** Replays sessions under other policies. */
export class Backtest {
  readonly snapshot: Snapshot;
  readonly #judge: Judge;
  readonly #hosted: boolean;
  readonly #was: Snapshot | undefined;
  /** As rules' names begin. */
  readonly #policies: ReadonlySet<string>;

  /**
   * @param hosted as in JudgedAccess
   * @param was what was in force when the sessions were recorded; undefined: nobody knows
   * @throws PolicyError, CodedError
   */
  constructor(policies: readonly Policy[], hosted: boolean, was?: readonly Policy[]) {
    this.#hosted = hosted;
    this.snapshot = compileSnapshot(policies, { revision: 0 });
    this.#was = was === undefined ? undefined : compileSnapshot(was, { revision: 0 });
    this.#judge = createJudge(this.snapshot);
    this.#policies = new Set(
      this.snapshot.sources.map(({ kind, name }) => (kind === 'ClusterInferencePolicy' ? `cluster/${name}` : name)),
    );
  }

  /** A text of a session as the record would have it under these policies: whoever reads the report need not see what they hide. */
  shown(text: string): string {
    return this.#judge.recorded(text);
  }

  async compare(session: RecordedSession): Promise<Comparison> {
    const was = verdictOf(session);
    const would = await this.#would(session);
    const caller = this.#callerOf(session);
    // It was refused before its model was known, and some model would be allowed.
    if (
      would.fate === 'blocked' &&
      this.#unread(session) &&
      caller !== 'stranger' &&
      this.snapshot.couldAllow(caller, session.operation)
    )
      return { session, was, would, changes: [{ change: 'unknown', rules: namesOf(was.rules) }] };
    if (session.sealed && would.fate !== 'blocked' && !this.#looksAlike(session))
      return { session, was, would, changes: [{ change: 'unknown', rules: namesOf([...was.rules, ...was.masks]) }] };
    return { session, was, would, changes: [...this.#changes(session, was, would), ...this.#maybe(session, would)] };
  }

  /** What policies in Observe mode would have done on text that is masked in the record, as far as their rules do so now. */
  #observed(session: RecordedSession, caller: Identity | undefined, how: 'sure' | 'maybe'): readonly RecordedAct[] {
    if (!session.masked) return [];
    const policies = { next: this.snapshot, was: this.#was };
    return session.observed.filter((act) => hiding.has(act.act) && wouldStand(act, caller, policies) === how);
  }

  /** Rules that observed then and may do the same now, of which nothing else says that they act. */
  #maybe(session: RecordedSession, would: Verdict): readonly Changed[] {
    const caller = this.#callerOf(session);
    if (caller === 'stranger' || would.fate === 'blocked') return [];
    const known = new Set(namesOf([...would.rules, ...would.masks]));
    const rules = [...new Set(this.#observed(session, caller, 'maybe').map(({ rule }) => rule))];
    return changedBy(
      'unknown',
      rules.filter((rule) => !known.has(rule)).map((rule) => ({ rule, by: [], count: undefined })),
    );
  }

  /** Whether rules that look at texts would do with each what they did: there are none, or they are those that were in force. */
  #looksAlike(session: RecordedSession): boolean {
    const caller = this.#callerOf(session);
    if (caller === 'stranger') return true;
    if (this.#was !== undefined) return looksAlike(this.snapshot, this.#was, caller);
    const acted = session.acts.some(({ act }) => looking.has(act));
    return !acted && !this.snapshot.scanRules.some(({ enforce }) => enforce);
  }

  #changes(session: RecordedSession, was: Verdict, would: Verdict): readonly Changed[] {
    const kept = this.#keptBack(session, was, would);
    // Of what does not go on, nothing more is masked or shown.
    return was.fate === 'blocked' || would.fate === 'blocked'
      ? kept
      : merged([...kept, ...this.#masking(session, was, would)]);
  }

  /** Whether it is refused, or waits for people. */
  #keptBack(session: RecordedSession, was: Verdict, would: Verdict): readonly Changed[] {
    const [before, after] = [barrier(was), barrier(would)];
    if (after > before) return [{ change: after === 1 ? 'held' : 'blocked', rules: namesOf(would.rules) }];
    if (after < before) {
      const unsure = this.#unsure(session, was.rules, was.fate);
      if (unsure !== undefined) return unsure;
      return would.fate === 'held'
        ? [{ change: 'held', rules: namesOf(would.rules) }]
        : [{ change: 'allowed', rules: namesOf(was.rules) }];
    }
    // What refused a session without a rule of its own has the reason for a name, which a rule's decision is not compared with.
    if (before === 0 || [...was.rules, ...would.rules].some(({ rule }) => !isRule(rule))) return [];
    const unnamed = (rules: readonly Finding[]) => rules.map((one) => ({ ...one, by: [] }));
    const compared = { policies: this.#policies, counted: false };
    const lost = missingFrom(unnamed(would.rules), unnamed(was.rules), compared);
    const gained = missingFrom(unnamed(was.rules), unnamed(would.rules), compared);
    const unsure = this.#unsure(session, lost, was.fate) ?? (lost.length === 0 ? [] : undefined);
    if (unsure !== undefined && gained.length === 0) return unsure;
    return [{ change: 'otherwise', rules: namesOf([...lost, ...gained]) }, ...(unsure ?? [])];
  }

  #masking(session: RecordedSession, was: Verdict, would: Verdict): readonly Changed[] {
    const compared = { policies: this.#policies, counted: !session.masked };
    const caller = this.#callerOf(session);
    const policies = { next: this.snapshot, was: this.#was };
    const lostWhere = (...enough: readonly ReturnType<typeof hidden>[]): readonly Finding[] =>
      missingFrom(would.masks, was.masks, {
        ...compared,
        standsIn: (rule, by) => caller !== 'stranger' && enough.includes(hidden(rule, by, session, caller, policies)),
      });
    const lost = lostWhere('all');
    const gone = lostWhere('all', 'some');
    const doubtful = lost.filter((one) => !gone.includes(one));
    const gained = missingFrom(was.masks, would.masks, compared);
    return [
      ...changedBy('masked', gained),
      ...(this.#unsure(session, lost, 'masked') ?? [...changedBy('unmasked', gone), ...changedBy('unknown', doubtful)]),
    ];
  }

  /**
   * Of rules that acted and would not, as far as the recorded text says, where that is not all: those that may be gone. None: each stands, and
   * would act again. Undefined: the text is all there.
   */
  #unsure(session: RecordedSession, rules: readonly Finding[], fate: Fate): readonly Changed[] | undefined {
    const acted = session.acts.filter(({ act, rule }) => act !== 'denied' && rules.some((one) => one.rule === rule));
    const textless = session.request.length + session.answer.length === 0 && acted.length > 0;
    if (rules.length === 0 || !(session.masked || textless)) return undefined;
    const caller = this.#callerOf(session);
    if (caller === 'stranger') return undefined;
    const policies = { next: this.snapshot, was: this.#was };
    const gone = rules.filter((one) => {
      const act = session.acts.find(({ rule, act: kind }) => rule === one.rule && kind === actOf[fate]);
      return act === undefined || !stands(act, session, caller, policies);
    });
    return gone.length === 0 ? [] : [{ change: 'unknown', rules: namesOf(gone) }];
  }

  async #would(session: RecordedSession): Promise<Verdict> {
    const { operation } = session;
    // As a sidecar decides on sight: a rule that denies some models does not refuse what is allowed on none.
    const model = session.model ?? (session.outcome === 'refused' && session.request.length === 0 ? '' : undefined);
    const caller = this.#callerOf(session);
    if (caller === 'stranger') return refusedBy('identity', ['token_invalid']);
    // Whether a certificate came is not on record.
    const asked = { caller, operation, model, certificate: true, hosted: this.#hosted, ...openedBy(session) };
    const { allowed, refusal } = this.#judge.access(asked);
    if (refusal !== undefined) return refusedBy(refusal.rule, [refusal.reason]);
    const judged = await this.#judged(session, asked, allowed);
    const observed = this.#observed(session, caller, 'sure');
    const refused = [
      ...judged.filter((one) => one.refusal !== undefined).flatMap(refusersOf),
      ...findingsOf(observed, 'blocked'),
      ...(this.#asks(caller) ? [] : findingsOf(observed, 'held')),
    ];
    if (refused.length > 0)
      return {
        fate: 'blocked',
        rules: findingsOf(
          refused.map((one) => ({ ...one, act: '' })),
          '',
        ),
        masks: [],
      };
    const acts = [...judged.flatMap((one) => one.acts), ...observed];
    const masks = findingsOf(acts, 'masked');
    if (judged.some((one) => one.approvals.length > 0) || observed.some(({ act }) => act === 'held'))
      return { fate: 'held', rules: findingsOf(acts, 'held'), masks };
    return { fate: masks.length > 0 ? 'masked' : 'allowed', rules: masks, masks };
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

  /** Whether anybody could approve what this caller asks. */
  #asks(caller: Identity | undefined): boolean {
    return caller !== undefined && (this.snapshot.approvals?.approvers.length ?? 0) > 0;
  }

  /** Whether it was refused on sight: of what it asked nothing is on record, the model neither. */
  #unread({ model, operation, request, outcome }: RecordedSession): boolean {
    return outcome === 'refused' && model === undefined && request.length === 0 && ofModels.has(operation);
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

/** What let it in beside the rules of policies: a grant, or that it came from inside the pod. Nothing else of the record says so. */
function openedBy({ acts, caller }: RecordedSession): Pick<JudgedAccess, 'grant' | 'inside'> {
  const rules = acts.filter(({ act }) => act === 'allowed').map(({ rule }) => rule);
  if (caller !== undefined) {
    const grant = rules.find((rule) => rule.startsWith(grantRule({ name: '' })));
    if (grant !== undefined) return { grant };
  }
  if (rules.includes(loopbackRule)) return { inside: 'anybody' };
  return rules.some((rule) => rule.endsWith('/loopback')) ? { inside: 'helper' } : {};
}

/** The act of a rule that made a fate. */
const actOf: Readonly<Record<Fate, string>> = {
  allowed: 'allowed',
  masked: 'masked',
  held: 'held',
  blocked: 'blocked',
};

/** Operations that name a model. */
const ofModels: ReadonlySet<Operation> = new Set<Operation>(['Chat', 'Completions', 'Embeddings']);

/** Acts of which the record does not have what was found. */
const hiding: ReadonlySet<string> = new Set(['masked', 'held', 'blocked']);

/** Acts of rules that have looked at a text. */
const looking: ReadonlySet<string> = new Set(['masked', 'held', 'blocked', 'flagged']);

const isRule = (name: string): boolean => name === 'default' || name.includes('/');

const changedBy = (change: Change, rules: readonly Finding[]): readonly Changed[] =>
  rules.length === 0 ? [] : [{ change, rules: namesOf(rules) }];

/** One for each change. */
function merged(all: readonly Changed[]): readonly Changed[] {
  const rules = new Map<Change, Set<string>>();
  for (const one of all) rules.set(one.change, new Set([...(rules.get(one.change) ?? []), ...one.rules]));
  return [...rules].map(([change, names]) => ({ change, rules: [...names] }));
}
