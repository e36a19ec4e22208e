import { applyEdits } from '../base/index.ts';
import type { JsonEdit } from '../base/index.ts';
import type { GuardOutcome, RequestPlan, ScanRule } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { spelledRuns } from '../detect/index.ts';
import type { Hit } from '../detect/index.ts';
import { maskPrompt, stepUnits } from './answer-json.ts';
import { outermost } from './edits.ts';
import type { RequestViews } from './runtime.ts';
import type { Session } from './session.ts';

/**
 * Guards on what goes to the model. Every lane of every role is read whole; then the seams between neighbouring lanes are
 * read again as one text, because a phrase or a key split over messages, parts or tool results is joined by the model. Names,
 * numbers and keys of the caller's are read again with the texts beside them.
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
/** What servers put between two texts that they join: nothing, or white space. */
const glues = ['', ' '];
/** What the fixed cost of one more text amounts to, in characters. */
const textUnits = 64;

export interface RequestInspection {
  /** Undefined: there is no body that a dialect could read. */
  readonly view: RequestView | undefined;
  /** Path and query, forwarded as they came: what stands in them is judged and cannot be masked. */
  readonly target: string;
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

  let units = 0;
  /** Many short texts are as dear as a long one: other requests get their turn between them, too. */
  const pause = async (text: string): Promise<void> => {
    units += text.length + textUnits;
    if (units < stepUnits) return;
    units = 0;
    await turn();
  };

  for (const lane of view?.lanes ?? []) {
    const text = lane.node.text;
    await pause(text);
    const first = await maskPrompt(views.all, text, lane.kind, turn);
    for (const run of spelledRuns(text)) {
      await pause(run.text);
      const { hits } = await maskPrompt(views.act, run.text, 'prose', turn);
      judge(
        hits.filter(
          (hit) =>
            !first.hits.some(
              (one) => one.start < (run.mapEnd[hit.end - 1] ?? run.end) && one.end > (run.map[hit.start] ?? 0),
            ),
        ),
        true,
      );
    }
    if (first.hits.length === 0) {
      record.push({ id: lane.id, text });
      continue;
    }
    const acted = await maskPrompt(views.act, text, lane.kind, turn);
    // The record first: a blocked prompt is recorded too, masked.
    record.push({ id: lane.id, text: (await maskPrompt(views.record, text, lane.kind, turn)).text });
    judge(acted.hits, false);
    if (acted.edits.length > 0)
      edits.push({ start: lane.node.start, end: lane.node.end, text: JSON.stringify(acted.text) });
  }
  for (const value of view?.loneValues ?? []) {
    const text = value.node.text;
    if (views.clean.has(text)) continue;
    await pause(text);
    const found = await maskPrompt(views.act, text, 'prose', turn);
    if (found.hits.length === 0) {
      views.clean.add(text);
      continue;
    }
    judge(found.hits, value.key);
    if (found.edits.length > 0)
      edits.push({ start: value.node.start, end: value.node.end, text: JSON.stringify(found.text) });
  }
  for (const text of readings(inspection.target)) judge(views.act.mask(text, 'prose', 'complete').hits, true);
  for (const glue of glues) {
    for (const seam of view === undefined ? [] : allSeams(view, glue)) {
      await pause('');
      const { hits } = await maskPrompt(views.act, seam.text, 'prose', turn);
      judge(
        hits.filter((hit) => crosses(hit, seam.borders, glue.length)),
        true,
      );
    }
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
      // What lies across two lanes, in a key or is spelled in escapes over several words cannot be masked without changing what the request means.
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

/** As it came, and as servers read it, of which some decode twice. */
function readings(target: string): readonly string[] {
  const texts = [target];
  let text = target.replaceAll('+', ' ');
  for (let round = 0; round < 3; round++) {
    const decoded = text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    );
    if (decoded !== texts.at(-1)) texts.push(decoded);
    if (decoded === text) break;
    text = decoded;
  }
  return texts;
}

/** Fields that hold words of the API, also where nothing else is between two texts. */
const apiWords = new Set(['role', 'type', 'format', 'detail', 'id', 'tool_call_id', 'model', 'voice', 'ttl', 'uuid']);

/** Texts on either side of a name or key that are read with it. */
const nearTexts = 2;

/**
 * Names, numbers and keys with the texts beside them, in the order in which the body has them: a template writes them into one
 * prompt. What stands on the top level is about the request, but for its unknown keys.
 */
function* withValues(view: RequestView): Generator<readonly string[], void, void> {
  const values = view.loneValues.filter(
    ({ path, key }) => key || (path.length > 1 && !apiWords.has(String(path.at(-1)))),
  );
  if (values.length === 0) return;
  const alone = new Set(values.map((value) => value.node));
  const nodes = [...view.lanes.map((lane) => lane.node), ...alone].sort((a, b) => a.start - b.start);
  let from = 0;
  let to = -1; // of the group that is being gathered, both included
  for (const [at, node] of nodes.entries()) {
    if (!alone.has(node)) continue;
    if (at - nearTexts > to + 1) {
      if (to >= from) yield nodes.slice(from, to + 1).map((one) => one.text);
      from = Math.max(0, at - nearTexts);
    }
    to = at + nearTexts;
  }
  yield nodes.slice(from, to + 1).map((one) => one.text);
}

/** Every seam between neighbours, and those with what is between them. */
function* allSeams(view: RequestView, glue: string): Generator<Seam, void, void> {
  yield* seams(
    view.lanes.map((lane) => lane.node.text),
    glue,
  );
  for (const texts of withValues(view)) yield* seams(texts, glue);
}

interface Seam {
  readonly text: string;
  /** Where one lane ends, in order; what joins it to the next follows. */
  readonly borders: readonly number[];
}

/** The texts joined, without the middle of long ones: together never longer than the texts, however many there are. */
function* seams(texts: readonly string[], glue: string): Generator<Seam, void, void> {
  let pieces: string[] = [];
  let borders: number[] = [];
  let length = 0;
  const add = (piece: string): void => {
    pieces.push(piece);
    length += piece.length;
  };
  for (const text of texts) {
    if (text === '') continue;
    if (length > 0) {
      borders.push(length);
      add(glue);
    }
    if (text.length <= 2 * seamUnits) {
      add(text);
      continue;
    }
    add(text.slice(0, seamUnits));
    if (borders.length > 0) yield { text: pieces.join(''), borders };
    pieces = [];
    borders = [];
    length = 0;
    add(text.slice(-seamUnits));
  }
  if (borders.length > 0) yield { text: pieces.join(''), borders };
}

/** A finding has characters on both sides of a border: of the first one behind its start, or of none. */
function crosses(hit: Hit, borders: readonly number[], glue: number): boolean {
  let low = 0;
  let high = borders.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((borders[middle] ?? 0) <= hit.start) low = middle + 1;
    else high = middle;
  }
  const border = borders[low];
  return border !== undefined && hit.end > border + glue;
}

/** The body with every change made; the caller's own bytes when there is none. */
export function editBody(body: Buffer, text: string, edits: readonly JsonEdit[]): Buffer {
  return edits.length === 0 ? body : Buffer.from(applyEdits(text, outermost(edits)), 'utf8');
}
