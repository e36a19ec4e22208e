import { applyEdits } from '../base/index.ts';
import type { Identity, RuleAct, RuleId, Snapshot } from '../core/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { outermost } from './edits.ts';
import { blockedBy, inspectRequest } from './inspect-request.ts';
import { actName, countAct } from './rule-acts.ts';
import type { CountedAct } from './rule-acts.ts';
import { compileViews } from './runtime.ts';

/**
 * What the guards and labels of a snapshot do with given content, by the inspection that traffic goes through. For explanations:
 * nothing is sent, limited, asked of people or recorded. Replacements of the style Hash are keyed with zeros, so those of a
 * sidecar are others.
 */
export interface Judgement {
  /** Rules that found something, in order of first action. */
  readonly acts: readonly RuleAct[];
  /** The same of policies that observe. */
  readonly observed: readonly RuleAct[];
  /** The first rule that forbids it. */
  readonly blockedBy: RuleId | undefined;
  /** Rules that ask for an approval first. */
  readonly approvals: readonly RuleId[];
  /** What goes on of it, in the last line's case once approved: the body that the model gets, or the text that the caller gets. */
  readonly passed: string;
}

const hashKey = new Uint8Array(32);

/** A request's body as text, and as its dialect reads it. */
export interface JudgedRequest {
  readonly text: string;
  readonly view: RequestView;
  readonly target: string;
  /** Length of the body; default that of the text. */
  readonly bytes?: number;
}

/** A snapshot's inspection, compiled once. */
export interface Judge {
  request(caller: Identity | undefined, request: JudgedRequest): Promise<Judgement>;
  /** @param text the whole of one lane of an answer, such as a message's content */
  answer(caller: Identity | undefined, text: string): Judgement;
}

/** @throws CodedError as compileViews */
export function createJudge(snapshot: Snapshot): Judge {
  const { requestViews, reviewViews, scanner } = compileViews(snapshot, undefined, hashKey);
  return {
    async request(caller, { text, view, target, bytes = Buffer.byteLength(text) }) {
      const plan = snapshot.requestPlan(caller);
      const acts: CountedAct[] = [];
      const observed: CountedAct[] = [];
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
      return {
        acts,
        observed,
        blockedBy: blockedBy(acts),
        approvals: approvals.map(({ rule }) => rule),
        passed: applyEdits(text, outermost(edits)),
      };
    },
    answer(caller, text) {
      const plan = snapshot.responsePlan(caller);
      const acts: CountedAct[] = [];
      const observed: CountedAct[] = [];
      const { hits, stopped, text: passed } = reviewViews(plan).act.mask(text, 'text', 'complete');
      const approvals = new Set<RuleId>();
      for (const hit of hits) {
        const rule = scanner.rules[hit.rule];
        if (rule === undefined) continue;
        countAct(rule.enforce ? acts : observed, rule.id, actName[rule.action], hit.by);
        if (plan.approve[hit.rule] === 1) approvals.add(rule.id);
      }
      return {
        acts,
        observed,
        blockedBy: stopped === undefined ? undefined : scanner.rules[stopped.rule]?.id,
        approvals: [...approvals],
        passed,
      };
    },
  };
}
