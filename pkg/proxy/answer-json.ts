import { isUtf8 } from 'node:buffer';
import { JsonError, JsonParser, applyEdits } from '../base/index.ts';
import type { JsonEdit, JsonLimits, JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { AnswerView, FilePart, Route, SplitText, Usage } from '../dialect/index.ts';
import type { Edit, Hit, LaneEnd, LaneKind, MaskResult, PairResult, View, ViewPair } from '../detect/index.ts';
import { outermost } from './edits.ts';
import { fileText } from './file-record.ts';
import { maskJoined } from './joined-text.ts';
import type { Asked, JoinedText, Joining } from './joined-text.ts';
import { AnswerLane } from './lane.ts';
import { EndsByPrefix } from './lane-ends.ts';
import { listed, namedAsAsked, pageEndEdits, renamedEntry } from './model-names.ts';
import type { Listing, ModelName } from './model-names.ts';
import { joinLanes } from './joined-lanes.ts';
import type { LaneText } from './joined-lanes.ts';
import type { ResponseViews } from './runtime.ts';
import type { TokenPiece } from './tokens.ts';
import { pushTokens, renderTokens } from './tokens.ts';
import { StrangeKeys, keysLane, mostKeys } from './strange-keys.ts';
import { ValueReader } from './values.ts';

/** Text parsed or scanned between two turns of the event loop: a long body must not stall the others. */
export const stepUnits = 65_536;

/** Texts that log-probabilities spell in one answer: those of 128 choices with 20 alternatives are 2,688; more is an attack on memory. */
const maxTokenLanes = 4_096;

/** What is left of a whole answer for this caller, and what is recorded of it. */
export interface JsonOutcome {
  /** The answer; the very bytes of the model when nothing was touched. */
  readonly body: Buffer | string;
  readonly hits: readonly Hit[];
  /** Index of a rule that forbids the answer. */
  readonly stopped: number | undefined;
  /** `raw` is what is sealed of it, where anything is. */
  readonly record: readonly RecordedLane[];
  readonly usage: Usage | undefined;
  /** Bytes of lane text, in UTF-8. */
  readonly textBytes: number;
}

export interface RecordedLane {
  readonly lane: string;
  readonly text: string;
  readonly raw: string | undefined;
  /** What the caller's rules found in it, and the edits that made of it what is recorded. */
  readonly hits: readonly Hit[];
  readonly edits: readonly Edit[];
}

/** UTF-8 that every reader decodes alike; a byte order mark is left for the parser to refuse. @throws what `refuse` gives */
export function decodeUtf8(body: Buffer, refuse: () => RefusedError): string {
  if (!isUtf8(body)) throw refuse();
  return body.toString('utf8');
}

/**
 * Parses in steps.
 *
 * @param grown told after each step how many nodes there are
 * @throws JsonError, what `grown` and `turn` throw
 */
export async function parseInSteps(
  text: string,
  turn: () => Promise<void>,
  limits: JsonLimits,
  grown: (nodes: number) => void = () => undefined,
): Promise<JsonNode> {
  const parser = new JsonParser(text, limits);
  for (;;) {
    const root = parser.run(stepUnits);
    grown(parser.nodes);
    if (root !== undefined) return root;
    await turn();
  }
}

/**
 * One text of an answer for one reader; long ones in steps. A `json` text that is none is read as prose, where no field rule has to
 * find its way in it.
 *
 * @throws RefusedError response_uninspectable
 */
export const maskLong = (
  view: View,
  text: string,
  kind: LaneKind,
  end: LaneEnd,
  turn: () => Promise<void>,
): MaskResult | Promise<MaskResult> => maskAsked(view, { text, end, guessed: false }, kind, turn);

/** The same of what may be a text. */
function maskAsked(
  view: View,
  { text, end, guessed }: Asked,
  kind: LaneKind,
  turn: () => Promise<void>,
): MaskResult | Promise<MaskResult> {
  const again = ({ failed }: MaskResult): boolean => failed && (guessed || mayReadAsProse(view.fields));
  if (text.length > stepUnits) {
    const run = async (as: LaneKind): Promise<MaskResult> => inTurns(view.maskInSteps(text, as, end), turn);
    return run(kind).then((result) => (again(result) ? run('prose') : result));
  }
  const result = view.mask(text, kind, end);
  return again(result) ? view.mask(text, 'prose', end) : result;
}

/** The same for the caller and for the record. Short texts are answered at once, without a promise. */
export function maskForBoth(
  { act, record, pair }: { readonly act: View; readonly record: View; readonly pair: ViewPair },
  text: string,
  kind: LaneKind,
  end: LaneEnd,
  turn: () => Promise<void>,
): PairResult | Promise<PairResult> {
  const again = (result: PairResult): boolean =>
    (result.caller.failed || result.record.failed) && mayReadAsProse(act.fields || record.fields);
  if (text.length > stepUnits) {
    const run = async (as: LaneKind): Promise<PairResult> => inTurns(pair.maskInSteps(text, as, end), turn);
    return run(kind).then((result) => (again(result) ? run('prose') : result));
  }
  const result = pair.mask(text, kind, end);
  return again(result) ? pair.mask(text, 'prose', end) : result;
}

function mayReadAsProse(fields: boolean): boolean {
  if (fields) throw new RefusedError('response_uninspectable', { detail: 'json' });
  return true;
}

/** Runs a scan to its end, and lets other work run between its steps. */
export async function inTurns<T>(steps: Generator<void, T, void>, turn: () => Promise<void>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await turn();
  }
}

export interface JsonAnswerOptions {
  readonly route: Route;
  readonly status: number;
  readonly views: ResponseViews;
  readonly stops: boolean;
  readonly turn: () => Promise<void>;
  /** The body as JSON, where it is none, or bytes follow its own. */
  readonly split?: Pick<SplitText, 'text'> & { readonly edited: (edits: readonly JsonEdit[]) => Buffer | string };
  /** Whether a file may leave that nobody reads. */
  readonly mayPass: (file: FilePart) => boolean;
  /** For lists of models: which the caller may see. */
  readonly listing: Listing | undefined;
  /** The model was asked for by another name than the caller's. Absent: it was not. */
  readonly renamed?: ModelName | undefined;
}

/** @throws RefusedError response_uninspectable */
export async function inspectJsonAnswer(body: Buffer, options: JsonAnswerOptions): Promise<JsonOutcome> {
  const { route, status, views, turn } = options;
  const { split } = options;
  const text = split?.text ?? decodeUtf8(body, () => new RefusedError('response_uninspectable', { detail: 'utf8' }));
  const root = await parseAnswer(text, turn);
  const answer = route.dialect.answer(route, root, status);
  const edits: JsonEdit[] = [];
  const hits: Hit[] = [];
  const record: RecordedLane[] = [];
  let stopped: number | undefined;

  const values = new ValueReader(views).read(answer, root);
  edits.push(...values.edits);
  hits.push(...values.hits);
  stopped = values.stopped?.rule;

  const looking: Looking = values.hidden === undefined ? options : { ...options, hidden: values.hidden };
  const keys = new StrangeKeys(views, mostKeys).take(answer.loneValues, values.hidden);
  if (keys.text !== '')
    record.push({ lane: keysLane, text: keys.text, raw: views.sealed && keys.raw, hits: [], edits: [] });

  let textBytes = 0;
  const take = (look: Look): void => {
    edits.push(...look.edits);
    for (const one of look.record) hits.push(...one.hits);
    stopped ??= look.stopped;
    record.push(...look.record);
    textBytes += look.textBytes;
  };
  const ends = new EndsByPrefix(answer.ends);
  for (const { id, kind, nodes } of joinLanes(answer.lanes)) {
    const [node] = nodes;
    const end = endOf(ends, id, options.stops);
    take(
      nodes.length > 1 || node === undefined
        ? await lookAtPieces({ id, kind, nodes }, { as: 'close', end }, looking)
        : await lookAtOne({ id, kind, node }, end, looking),
    );
  }
  if (hasMore(answer)) {
    record.push(...(await filesOf(answer.files ?? [], options)));
    for (const { id, nodes, each = false } of answer.joined ?? []) {
      const joining = { as: 'spaced', end: endOf(ends, id, options.stops), each } as const;
      take(await lookAtPieces({ id, kind: 'text', nodes }, joining, looking));
    }
  }
  if (!views.act.idle) edits.push(...tokenEdits(answer, ends, text, options));
  edits.push(...modelEdits(answer, root, options));
  const all = outermost(edits);
  return {
    body: all.length === 0 ? body : (split?.edited(all) ?? applyEdits(text, all)),
    hits,
    stopped,
    record,
    usage: answer.usage,
    textBytes,
  };
}

const hasMore = ({ files, joined }: AnswerView): boolean => files !== undefined || joined !== undefined;

/** @throws RefusedError response_uninspectable */
async function filesOf(files: readonly FilePart[], { mayPass, turn }: JsonAnswerOptions): Promise<RecordedLane[]> {
  const record: RecordedLane[] = [];
  for (const file of files) {
    if (!mayPass(file)) throw new RefusedError('response_uninspectable', { detail: 'file' });
    if (file.content === undefined) continue;
    const text = await fileText(file.type, file.content(), turn);
    record.push({ lane: 'file', text, raw: undefined, hits: [], edits: [] });
  }
  return record;
}

interface Looking extends Pick<JsonAnswerOptions, 'views' | 'turn'> {
  /** What is recorded in place of texts that stand in values which a field rule hides. */
  readonly hidden?: ReadonlyMap<JsonNode, string>;
}

/** What is left of a text in pieces. */
interface Look {
  readonly edits: readonly JsonEdit[];
  readonly record: readonly RecordedLane[];
  readonly stopped: number | undefined;
  readonly textBytes: number;
}

/** A text in one value. */
async function lookAtOne(
  { id, kind, node }: Omit<LaneText, 'nodes'> & { readonly node: JsonNode },
  end: LaneEnd,
  { views, turn, hidden }: Looking,
): Promise<Look> {
  const source = node.text;
  const look = maskForBoth(views, source, kind, end, turn);
  const { caller, record: kept } = look instanceof Promise ? await look : look;
  const sealed = views.sealed && (await maskLong(views.sealed, source, kind, end, turn));
  const raw = sealed?.text;
  return {
    edits: caller.edits.length === 0 ? [] : [{ start: node.start, end: node.end, text: JSON.stringify(caller.text) }],
    record: [
      recordedOf(hidden?.get(node), source, { lane: id, text: kept.text, raw, hits: caller.hits, edits: kept.edits }),
    ],
    stopped: caller.stopped?.rule,
    textBytes: Buffer.byteLength(source),
  };
}

/** A text as it is recorded, where a field rule hides the value that it stands in. @param label undefined: none does */
function recordedOf(label: string | undefined, source: string, read: RecordedLane): RecordedLane {
  if (label === undefined) return read;
  return { ...read, text: label, edits: [{ start: 0, end: source.length, text: label }] };
}

/** @param joining how it is recorded. */
async function lookAtPieces(
  { id, kind, nodes }: LaneText,
  joining: Joining,
  { views, turn, hidden }: Looking,
): Promise<Look> {
  const source = nodes.map(({ text }) => text);
  const maskBy = (view: View, texts = source): Promise<JoinedText> =>
    maskJoined(texts, (asked) => maskAsked(view, asked, kind, turn), joining);
  const act = await maskBy(views.act);
  const kept = await maskBy(views.record, hidden && nodes.map((node) => hidden.get(node) ?? node.text));
  const sealed = views.sealed && (await maskBy(views.sealed));
  let textBytes = 0;
  const edits = nodes.flatMap((node, at): readonly JsonEdit[] => {
    const text = act.pieces[at] ?? '';
    textBytes += Buffer.byteLength(node.text);
    return text === node.text ? [] : [{ start: node.start, end: node.end, text: JSON.stringify(text) }];
  });
  const record = [{ lane: id, text: kept.text, raw: sealed?.text, hits: act.hits, edits: [] }];
  return { edits, record, stopped: act.stopped?.rule, textBytes };
}

async function parseAnswer(text: string, turn: () => Promise<void>): Promise<JsonNode> {
  try {
    return await parseInSteps(text, turn, { loneSurrogates: true });
  } catch (cause) {
    if (cause instanceof JsonError) throw new RefusedError('response_uninspectable', { detail: 'json', cause });
    throw cause;
  }
}

function endOf(ends: EndsByPrefix, lane: string, stops: boolean): LaneEnd {
  const end = ends.of(lane);
  // A natural finish may be the caller's own `stop` string, put where it cuts a value short.
  return end === 'complete' && stops ? 'cut' : (end ?? 'complete');
}

function tokenEdits(answer: AnswerView, ends: EndsByPrefix, source: string, options: JsonAnswerOptions): JsonEdit[] {
  const lanes = new Map<string, AnswerLane>();
  const open = (id: string): AnswerLane => {
    let lane = lanes.get(id);
    if (lane === undefined) {
      if (lanes.size >= maxTokenLanes) throw new RefusedError('response_uninspectable', { detail: 'lanes' });
      lane = new AnswerLane(id, 'text', options.views, { waitForRecord: false });
      lanes.set(id, lane);
    }
    return lane;
  };
  const pieces: TokenPiece[] = answer.tokenLanes.map((one) => pushTokens(one, open));
  for (const lane of lanes.values()) lane.end(endOf(ends, lane.id, options.stops));
  // A rule that ends the answer has ended it through the text that these tokens spell; here its tokens just do not leave.
  return pieces.flatMap((piece) => [...renderTokens(piece, source, { force: true, exact: options.views.guarded })]);
}

/** Names of models as the caller knows them, and entries cut out of each list that names them (llama.cpp gives two), with the comma that belongs to them. */
function modelEdits(
  answer: AnswerView,
  root: JsonNode,
  { listing, renamed }: Pick<JsonAnswerOptions, 'listing' | 'renamed'>,
): readonly JsonEdit[] {
  // The page of one model is an entry by itself.
  const page = listing === undefined || renamed === undefined ? [] : renamedEntry(root, renamed);
  const named = page.length > 0 ? page : namedAsAsked(root, renamed);
  if (listing === undefined || answer.models.length === 0) return named;
  const { hidden, edits: entries } = listed(answer, listing);
  const renames = [...named, ...entries, ...pageEndEdits(root, answer, hidden)];
  if (hidden.size === 0) return renames;
  let left = hidden.size;
  const edits = root.items.flatMap((node): JsonEdit[] => {
    if (node.kind !== 'array' || node.numbers !== undefined) return [];
    const found = node.items.filter((item) => hidden.has(item)).length;
    left -= found;
    return found === 0 ? [] : cut(node.items, hidden);
  });
  if (left > 0) throw new RefusedError('access_denied');
  return [...renames, ...edits];
}

function cut(items: readonly JsonNode[], hidden: ReadonlySet<JsonNode>): JsonEdit[] {
  const kept = items.filter((item) => !hidden.has(item));
  const first = items[0];
  const last = items.at(-1);
  if (first === undefined || last === undefined) return [];
  if (kept.length === 0) return [{ start: first.start, end: last.end, text: '' }];
  return items.flatMap((item, at): JsonEdit[] => {
    if (!hidden.has(item)) return [];
    const next = items[at + 1];
    if (next !== undefined) return [{ start: item.start, end: next.start, text: '' }];
    // The last of the list: cut back to the end of the last one that stays, over the hidden run before it.
    const previous = kept.at(-1) ?? first;
    return [{ start: previous.end, end: item.end, text: '' }];
  });
}
