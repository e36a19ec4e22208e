import { applyEdits, systemClock } from '../base/index.ts';
import type {
  AccessRequest,
  Identity,
  MatchedRule,
  Operation,
  Refusal,
  RuleAct,
  RuleId,
  Snapshot,
} from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { outermost } from './edits.ts';
import { blockedBy, inspectRequest } from './inspect-request.ts';
import { Limiter } from './limits.ts';
import type { Admission, Demand } from './limits.ts';
import type { Entrance } from './loopback.ts';
import { actName, countAct, stoppedBy } from './rule-acts.ts';
import type { CountedAct } from './rule-acts.ts';
import { compileViews } from './runtime.ts';
import {
  canAsk,
  decideAccess,
  demandOf,
  judgeWire,
  limitEdits,
  refuseHosted,
  refuseTooLarge,
  refuseFiles,
  refuseMedia,
  refuseUninspectable,
  unreadDocuments,
} from './stages.ts';
import type { Allowed } from './stages.ts';

/**
 * What a sidecar with this snapshot decides of a described request and answer, by the stages and the inspection that traffic goes through.
 * For explanations: nothing is sent, counted, asked of people or recorded. What a snapshot does not say is taken to be there: budgets that
 * are not used up, the model's credential, a place where approvals are kept. Replacements of the style Hash are keyed with zeros, so those
 * of a sidecar are others.
 */
export interface Judge {
  /** Whether a request is let in, whatever stands in it. */
  access(asked: JudgedAccess): AccessJudgement;
  /** What becomes of its body. @param allowed what let it in; undefined: as if it had been let in all the same */
  request(asked: AccessRequest, allowed: Allowed | undefined, request: JudgedRequest): Promise<Judgement>;
  /** @param text the whole of one lane of an answer, such as a message's content */
  answer(caller: Identity | undefined, text: string): Judgement;
  /** A text as the record would have it: without what nobody may see. */
  recorded(text: string): string;
}

export interface JudgedAccess extends AccessRequest {
  /** A client certificate came with the connection, and the handshake accepted it. */
  readonly certificate: boolean;
  /** The model is somebody else's, also where no policy says so. */
  readonly hosted: boolean;
  /** A grant that covers it. Absent: none does. */
  readonly grant?: RuleId | undefined;
  /** From inside the pod: from anybody there, or from a helper that some `loopback` rule may know. Absent: from outside. */
  readonly inside?: 'anybody' | 'helper' | undefined;
}

/** Allowed, or refused. */
export type AccessJudgement = { readonly observed: readonly Refusal[] } & (
  | { readonly allowed: Allowed; readonly refusal: undefined }
  | { readonly allowed: undefined; readonly refusal: Refusal }
);

/** A request's body as text, and as its dialect reads it. */
export interface JudgedRequest {
  readonly text: string;
  readonly view: RequestView;
  readonly target: string;
  /** Length of the body; default that of the text. */
  readonly bytes?: number;
}

export interface Judgement {
  /** Rules that found something, in order of first action. */
  readonly acts: readonly RuleAct[];
  /** The same of policies that observe. */
  readonly observed: readonly RuleAct[];
  /** Why it goes no further; undefined: it does. */
  readonly refusal: Refusal | undefined;
  /** Rules that ask for an approval first. */
  readonly approvals: readonly RuleId[];
  /** What goes on of it, in the last line's case once approved: the body that the model gets, or the text that the caller gets. */
  readonly passed: string | undefined;
}

/** What lets in what nothing allows. */
const byNothing: Allowed = { kind: 'allow', rules: [], credential: false, observed: [] };

const hashKey = new Uint8Array(32);
const certificateThatCame = new Uint8Array(0);

/** @throws what is no refusal */
function refusalOf(error: unknown): Refusal {
  if (error instanceof RefusedError) return { reason: error.code, rule: error.rule ?? 'default' };
  throw error;
}

/** As if nothing was counted yet, wherever it would be. */
const uncounted = (rules: readonly MatchedRule[]): readonly MatchedRule[] =>
  rules.map((rule) => (rule.limits === undefined ? rule : { ...rule, limits: { ...rule.limits, scope: 'Pod' } }));

/** @throws RefusedError max_tokens_exceeded */
async function admit(
  { rules, ceilings = [] }: Allowed,
  caller: Identity | undefined,
  demand: Demand,
): Promise<Admission> {
  const limiter = new Limiter(systemClock);
  const access = { rules: uncounted(rules), ceilings: ceilings.map(uncounted) };
  const outcome = await limiter.admit(access, caller, demand);
  if (outcome.kind === 'refused') throw new RefusedError(outcome.reason, { rule: outcome.rule });
  return outcome;
}

/** Of a helper that any rule opens it to. */
function entranceFor({ loopback }: Snapshot, operation: Operation, inside: 'anybody' | 'helper'): Entrance {
  const rule = inside === 'helper' ? loopback.find((one) => one.operations.has(operation)) : undefined;
  return rule === undefined ? { kind: 'loopback' } : { kind: 'helper', uid: rule.runAsUser };
}

/** @throws CodedError as compileViews */
export function createJudge(snapshot: Snapshot): Judge {
  const { requestViews, responseViews, reviewViews, scanner, forRecord } = compileViews(snapshot, undefined, hashKey);
  const ruled = { snapshot };
  return {
    recorded: forRecord,
    access({ certificate, hosted, grant, inside, ...asked }) {
      const observed: Refusal[] = [];
      const session = {
        act: () => undefined,
        failOpen: () => undefined,
        observe: (refusals: readonly Refusal[]) => void observed.push(...refusals),
      };
      const wire = { encrypted: true, clientCertificate: certificate ? certificateThatCame : undefined };
      try {
        judgeWire(ruled, session, wire);
        const allowed = decideAccess(ruled, session, {
          ...asked,
          ...(grant !== undefined && { grants: { covering: () => grant } }),
          ...(inside !== undefined && { entrance: entranceFor(snapshot, asked.operation, inside) }),
        });
        refuseHosted(allowed, hosted || snapshot.upstream?.hosted !== undefined);
        return { allowed, refusal: undefined, observed };
      } catch (error) {
        return { allowed: undefined, refusal: refusalOf(error), observed };
      }
    },
    async request({ caller, operation }, allowed = byNothing, { text, view, target, bytes = Buffer.byteLength(text) }) {
      const plan = snapshot.requestPlan(caller);
      const acts: CountedAct[] = [];
      const observed: CountedAct[] = [];
      try {
        refuseTooLarge(ruled, bytes);
        refuseUninspectable(plan, allowed, view);
        const observe = (refusals: readonly Refusal[]): void =>
          refusals.forEach(({ rule }) => countAct(observed, rule, 'denied'));
        refuseFiles(ruled, { observe }, allowed, unreadDocuments(plan, view));
        if (view !== undefined) refuseMedia(ruled, { observe }, allowed, view);
        const admission = await admit(allowed, caller, demandOf(operation, view, bytes));
        const { edits, approvals } = await inspectRequest({
          view,
          bytes,
          target,
          headers: {},
          plan,
          views: requestViews(plan, snapshot.responsePlan(caller).record),
          rules: scanner.rules,
          session: { act: (rule, act, by, observes = false) => countAct(observes ? observed : acts, rule, act, by) },
          turn: () => Promise.resolve(),
        });
        const rule = blockedBy(acts);
        if (rule !== undefined) throw new RefusedError('guard_blocked', { rule });
        const [asking] = approvals;
        if (asking !== undefined && !canAsk(ruled, caller))
          throw new RefusedError('approval_unavailable', { rule: asking.rule });
        const hides = responseViews(snapshot.responsePlan(caller)).guarded;
        const changes = [...limitEdits(view, admission).edits, ...edits, ...(hides ? view.spellTokens() : [])];
        const passed = applyEdits(text, outermost(changes));
        return { acts, observed, refusal: undefined, approvals: approvals.map((one) => one.rule), passed };
      } catch (error) {
        return { acts, observed, refusal: refusalOf(error), approvals: [], passed: undefined };
      }
    },
    answer(caller, text) {
      const plan = snapshot.responsePlan(caller);
      const acts: CountedAct[] = [];
      const observed: CountedAct[] = [];
      const asks = canAsk(ruled, caller);
      const views = asks ? reviewViews(plan) : responseViews(plan);
      const { hits, stopped, text: passed } = views.act.mask(text, 'text', 'complete');
      const approvals = new Set<RuleId>();
      for (const hit of hits) {
        const rule = scanner.rules[hit.rule];
        if (rule === undefined) continue;
        countAct(rule.enforce ? acts : observed, rule.id, actName[rule.action], hit);
        if (asks && plan.approve[hit.rule] === 1) approvals.add(rule.id);
      }
      if (stopped === undefined) return { acts, observed, refusal: undefined, approvals: [...approvals], passed };
      const refusal = refusalOf(stoppedBy(stopped.rule, scanner.rules, plan));
      return { acts, observed, refusal, approvals: [], passed: undefined };
    },
  };
}
