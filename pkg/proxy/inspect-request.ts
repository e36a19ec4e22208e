import { applyEdits } from '../base/index.ts';
import type { JsonEdit } from '../base/index.ts';
import type { GuardOutcome, RequestPlan, ScanRule } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Lane, RequestView } from '../dialect/index.ts';
import type { Hit } from '../detect/index.ts';
import { maskLong } from './answer-json.ts';
import { outermost } from './edits.ts';
import type { RequestViews } from './runtime.ts';
import type { Session } from './session.ts';

/**
 * Guards on what goes to the model. Every lane of every role is read whole; then the seams between neighbouring lanes are
 * read again as one text, because a phrase or a key split over messages, parts or tool results is joined by the model.
 */
export interface RequestOutcome {
  /** Changes to the body: masks only. */
  readonly edits: readonly JsonEdit[];
  /** What the record keeps of each lane. */
  readonly record: readonly { readonly id: string; readonly text: string }[];
  /** Rules that need an approver, in policy order. */
  readonly approvals: readonly GuardOutcome[];
}

/** Read on both sides of a seam: the longest words and patterns of policies fit. */
const seamUnits = 512;

export interface RequestInspection {
  /** Undefined: there is no body that a dialect could read. */
  readonly view: RequestView | undefined;
  /** With its question mark; forwarded as it came, so what stands in it is judged and cannot be masked. */
  readonly query: string;
  readonly plan: RequestPlan;
  readonly views: RequestViews;
  readonly rules: readonly ScanRule[];
  readonly session: Session;
  readonly turn: () => Promise<void>;
}

/** @throws RefusedError guard_blocked, token_input_uninspectable */
export async function inspectRequest(inspection: RequestInspection): Promise<RequestOutcome> {
  const { view, plan, views, session, rules, turn } = inspection;
  const edits: JsonEdit[] = [];
  const record: { id: string; text: string }[] = [];
  const approvals = new Set<GuardOutcome>();

  const judge = (hits: readonly Hit[], seam: boolean): void => {
    for (const hit of hits) {
      const outcome = plan.outcomes[hit.rule];
      const rule = rules[hit.rule];
      if (outcome === undefined || rule === undefined) continue; // looked for on behalf of the record only
      act(outcome, hit, seam, session, approvals);
    }
  };

  for (const lane of view?.lanes ?? []) {
    const text = lane.node.text;
    const first = await maskLong(views.all, text, lane.kind, 'complete', turn);
    if (first.hits.length === 0) {
      record.push({ id: lane.id, text });
      continue;
    }
    const acted = await maskLong(views.act, text, lane.kind, 'complete', turn);
    // The record first: a blocked prompt is recorded too, masked.
    record.push({ id: lane.id, text: (await maskLong(views.record, text, lane.kind, 'complete', turn)).text });
    judge(acted.hits, false);
    if (acted.edits.length > 0)
      edits.push({ start: lane.node.start, end: lane.node.end, text: JSON.stringify(acted.text) });
  }
  for (const value of view?.loneValues ?? []) {
    const found = views.act.mask(value.node.text, 'text', 'complete');
    if (found.hits.length === 0) continue;
    judge(found.hits, value.key);
    if (found.edits.length > 0)
      edits.push({ start: value.node.start, end: value.node.end, text: JSON.stringify(found.text) });
  }
  if (inspection.query !== '') judge(views.act.mask(plainQuery(inspection.query), 'text', 'complete').hits, true);
  for (const seam of seams(view?.lanes ?? [])) {
    const crossing = views.act
      .mask(seam.text, 'text', 'complete')
      .hits.filter((hit) => hit.start < seam.at && hit.end > seam.at);
    judge(crossing, true);
  }
  return { edits: outermost(edits), record, approvals: [...approvals] };
}

function act(outcome: GuardOutcome, hit: Hit, seam: boolean, session: Session, approvals: Set<GuardOutcome>): void {
  const observed = !outcome.enforce;
  switch (outcome.action) {
    case 'Block':
      session.act(outcome.rule, 'blocked', hit.by, observed);
      break;
    case 'RequireApproval':
      session.act(outcome.rule, 'held', hit.by, observed);
      if (outcome.enforce) approvals.add(outcome);
      break;
    case 'Mask':
      // What lies across two lanes, or in a key, cannot be masked without changing what the request means.
      session.act(outcome.rule, seam ? 'blocked' : 'masked', hit.by, observed);
      break;
    case 'Flag':
      session.act(outcome.rule, 'flagged', hit.by, observed);
      break;
    default:
      throw new RefusedError('internal_error');
  }
}

/** The first enforced rule that forbids this request, in policy order. */
export function blockedBy(session: Session): string | undefined {
  return session.acts().find((one) => one.act === 'blocked')?.rule;
}

/** As a server reads it; as it came where it cannot be decoded. */
function plainQuery(query: string): string {
  try {
    return decodeURIComponent(query.replaceAll('+', ' '));
  } catch {
    return query;
  }
}

/** The texts around each border of two lanes. Lanes shorter than a seam are joined with as many neighbours as fit. */
function* seams(lanes: readonly Lane[]): Generator<{ readonly text: string; readonly at: number }, void, void> {
  let before = '';
  for (const lane of lanes) {
    const text = lane.node.text;
    if (before !== '' && text !== '') yield { text: before + text.slice(0, seamUnits), at: before.length };
    before = (before + text).slice(-seamUnits);
  }
}

/** The body with every change made; the caller's own bytes when there is none. */
export function editBody(body: Buffer, text: string, edits: readonly JsonEdit[]): Buffer {
  return edits.length === 0 ? body : Buffer.from(applyEdits(text, outermost(edits)), 'utf8');
}
