import type { OutgoingHttpHeaders } from 'node:http';
import { applyEdits } from '../base/index.ts';
import type { JsonEdit, JsonNode } from '../base/index.ts';
import type { GuardOutcome, RequestPlan, RuleAct, ScanRule } from '../core/index.ts';
import { RefusedError, saidOfNamed } from '../core/index.ts';
import type { LoneValue, RequestView } from '../dialect/index.ts';
import { mayReadOtherwise, otherReadings, readsAcross } from '../detect/index.ts';
import type {
  Edit,
  Hit,
  LaneKind,
  MaskResult,
  PairResult,
  Reading,
  ReadingOptions,
  View,
  ViewPair,
} from '../detect/index.ts';
import { inTurns, stepUnits } from './answer-json.ts';
import { outermost, placeIn } from './edits.ts';
import { FoundPlaces } from './excerpt.ts';
import type { NamedText } from './excerpt.ts';
import { forRecord, nameForRecord, readings, withheld } from './readings.ts';
import type { FoundBy } from './rule-acts.ts';
import type { RequestViews } from './runtime.ts';
import type { KeptText, Session } from './session.ts';
import { carriedUnits, crosses, glues, neighbours, piecesOf, seams } from './seams.ts';
import type { Seam } from './seams.ts';
import type { SentTexts } from './sent-texts.ts';
import { StrangeKeys, keysLane } from './strange-keys.ts';

/**
 * Guards on what goes to the model. Every lane of every role is read whole; then the seams between neighbouring lanes are
 * read again as one text, because a phrase or a key split over messages, parts or tool results is joined by the model. Names,
 * numbers and keys of the caller's are read again with the texts beside them.
 */
export interface RequestOutcome {
  /** Changes to the body: masks only. */
  readonly edits: readonly JsonEdit[];
  /** What the record keeps of each lane. */
  readonly record: readonly KeptText[];
  /** Rules that need an approver, in policy order. */
  readonly approvals: readonly GuardOutcome[];
  /** Headers that hold what a rule masks: they do not go on. */
  readonly maskedHeaders: readonly string[];
  /** Headers for which the request needs an approver. */
  readonly heldHeaders: readonly string[];
  /** Where that stands for which it needs an approver, in texts of `record`, or as it was read. */
  readonly places: FoundPlaces;
  /** Texts that hold it and are none of `record`, masked for what nobody may see. */
  readonly heldTexts: readonly NamedText[];
  /** What the model gets in place of texts that a rule masks. */
  readonly masked: ReadonlyMap<JsonNode, string>;
}

/** A UUID or a trace context: of random digits, in which now and then some look like a number of a person's. They go on unread. */
const identifier =
  /^(?:[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}|[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2})$/i;

/** What the fixed cost of one more text amounts to, in characters. */
const textUnits = 64;

export interface RequestInspection {
  /** Undefined: there is no body that a dialect could read. */
  readonly view: RequestView | undefined;
  /** Length of the body, decoded. */
  readonly bytes: number;
  /** Path and query, forwarded as they came: what stands in them is judged and cannot be masked. */
  readonly target: string;
  /** Those that are to go to the model, without anybody's credential. */
  readonly headers: OutgoingHttpHeaders;
  readonly plan: RequestPlan;
  readonly views: RequestViews;
  readonly rules: readonly ScanRule[];
  /** What the caller has sent on this connection: its texts go on with this message's. Absent: nothing. */
  readonly sent?: SentTexts;
  /** Where the rules that found something are counted. */
  readonly session: Pick<Session, 'act'>;
  readonly turn: () => Promise<void>;
}

export async function inspectRequest(inspection: RequestInspection): Promise<RequestOutcome> {
  const run = new Inspection(inspection);
  const { view, target, headers } = inspection;
  run.size();
  if (view !== undefined) {
    await run.lanes(view);
    await run.values(view);
  }
  const inTarget = run.target(target);
  if (inTarget !== undefined) await inTarget;
  for (const name in headers) {
    const look = run.header(name, String(headers[name]));
    if (look !== undefined) await look;
  }
  if (view !== undefined) {
    await run.seams(view);
    await run.continued(view);
  }
  return run.outcome();
}

/** What stands in a text only in disguise. */
interface Disguised {
  readonly hits: readonly Hit[];
  /** Something that the record may not hold: what spells it cannot be told from the rest. */
  readonly hidden: boolean;
}

const nothingDisguised: Disguised = { hits: [], hidden: false };

class Inspection {
  readonly #options: RequestInspection;
  readonly #edits: JsonEdit[] = [];
  readonly #record: KeptText[] = [];
  readonly #keys: StrangeKeys;
  #keysText = '';
  #keysRaw = '';
  readonly #approvals = new Set<GuardOutcome>();
  readonly #maskedHeaders: string[] = [];
  readonly #heldHeaders: string[] = [];
  readonly #places = new FoundPlaces();
  readonly #heldTexts: NamedText[] = [];
  readonly #masked = new Map<JsonNode, string>();
  readonly #reading: ReadingOptions;
  #units = 0;

  constructor(options: RequestInspection) {
    this.#options = options;
    const { act, record } = options.views;
    this.#keys = new StrangeKeys(options.views);
    this.#reading = { around: Math.max(act.reach, record.reach), words: act.joints ?? record.joints ?? false };
  }

  outcome(): RequestOutcome {
    return {
      edits: outermost(this.#edits),
      record:
        this.#keysText === ''
          ? this.#record
          : [{ id: keysLane, text: this.#keysText, raw: this.#keysRaw }, ...this.#record],
      approvals: [...this.#approvals],
      maskedHeaders: this.#maskedHeaders,
      heldHeaders: this.#heldHeaders,
      places: this.#places,
      heldTexts: this.#heldTexts,
      masked: this.#masked,
    };
  }

  size(): void {
    const { plan, rules, session, bytes } = this.#options;
    for (const [at, outcome] of plan.outcomes.entries()) {
      const least = rules[at]?.match.minBytes;
      if (outcome === undefined || least === undefined || bytes < least) continue;
      act(outcome, 'size', true, session, this.#approvals);
    }
  }

  async lanes(view: RequestView): Promise<void> {
    const { views, turn } = this.#options;
    for (const { id, kind, node } of view.lanes) {
      const text = node.text;
      if (this.#isDue(text.length)) await turn();
      const look = maskPrompt(views.pair, text, kind, turn);
      const { caller, record, isNoJson } = look instanceof Promise ? await look : look;
      // A blocked prompt is recorded too, masked.
      const { hits, hidden } = await this.#disguised(text, [...caller.hits, ...record.hits], record.edits);
      this.#judge(hits, true);
      const sealed = views.sealed && (await maskProse(views.sealed, text, turn));
      const kept = hidden ? withheld : record.text;
      this.#record.push({ id, text: kept, raw: sealed?.text ?? kept });
      this.#judge(caller.hits, false);
      const found = caller.hits.length === 0 ? hits : [...caller.hits, ...hits];
      if (found.length > 0) this.#place(found, () => ({ id, text: kept, edits: hidden ? undefined : record.edits }));
      if (isNoJson === true) this.#fieldsUnread();
      this.#edit(node, caller);
    }
  }

  /** Arguments of a tool that are no JSON: fields of labels cannot be told in them, so they may stand there. */
  #fieldsUnread(): void {
    const { plan, rules, session } = this.#options;
    for (const [at, outcome] of plan.outcomes.entries())
      if (outcome !== undefined && (rules[at]?.fields.length ?? 0) > 0)
        act(outcome, { by: 'field', ...saidOfNamed }, true, session, this.#approvals);
  }

  /**
   * What stands in a text as people or models read it who see through escapes and encodings, past tag characters and over gaps. What the
   * same rule found without is not counted twice, and what the record replaces anyway hides nothing.
   */
  async #disguised(text: string, known: readonly Hit[], replaced: readonly Edit[] = []): Promise<Disguised> {
    const { views } = this.#options;
    if ((views.act.idle && views.record.idle) || !mayReadOtherwise(text, this.#reading)) return nothingDisguised;
    const { hits, hidden } = await this.#readOtherwise(text, replaced);
    const isKnown = overlapsOwn(known);
    return { hits: hits.filter((hit) => !isKnown(hit)), hidden };
  }

  /** The same, counted twice. */
  async #readOtherwise(text: string, replaced: readonly Edit[] = []): Promise<Disguised> {
    const { views, turn } = this.#options;
    const hits: Hit[] = [];
    let hidden = false;
    for (const reading of otherReadings(text, this.#reading)) {
      if (reading === undefined || this.#isDue(reading.text.length)) await turn();
      if (reading === undefined) continue;
      const look = maskPrompt(views.pair, reading.text, 'text', turn);
      const { caller, record } = look instanceof Promise ? await look : look;
      for (const hit of counted(reading, caller)) {
        hits.push({ ...hit, start: reading.startOf(hit.start), end: reading.endOf(hit.end - 1) });
      }
      hidden ||= isLeft(reading, record, replaced);
    }
    return { hits: apart(hits), hidden };
  }

  async values(view: RequestView): Promise<void> {
    const { views, turn } = this.#options;
    for (const value of view.loneValues) {
      const { node, key, path } = value;
      const text = node.text;
      if (key) this.#keep(value);
      if (views.clean.has(text)) continue;
      if (this.#isDue(text.length)) await turn();
      const look = maskProse(views.act, text, turn);
      const found = look instanceof Promise ? await look : look;
      const { hits } = await this.#disguised(text, found.hits);
      if (found.hits.length === 0 && hits.length === 0) views.clean.add(text);
      this.#judge(found.hits, key);
      this.#judge(hits, true);
      const all = [...found.hits, ...hits];
      if (all.some((hit) => this.#holds(hit)))
        await this.#placeAside(`${key ? 'the name ' : ''}${path.join('.')}`, text, all);
      this.#edit(node, found);
    }
  }

  #keep(key: LoneValue): void {
    const { text, raw } = this.#keys.take([key]);
    this.#keysText += text;
    this.#keysRaw += raw;
  }

  /** Undefined: it is done. */
  target(target: string): Promise<void> | undefined {
    const hits = this.#inReadings(target);
    this.#judge(hits, true);
    return hits.some((hit) => this.#holds(hit)) ? this.#placeReadings('target', target, hits) : undefined;
  }

  /** Undefined: it is done. */
  header(name: string, value: string): Promise<void> | undefined {
    if (identifier.test(value)) return undefined;
    const hits = this.#inReadings(value);
    this.#judge(hits, false);
    const { views } = this.#options;
    if (hits.some(({ rule }) => views.act.spec.replace[rule] === 1)) this.#maskedHeaders.push(name);
    if (!hits.some((hit) => this.#holds(hit))) return undefined;
    this.#heldHeaders.push(name);
    return this.#placeReadings(name, value, hits);
  }

  #holds({ rule }: Pick<Hit, 'rule'>): boolean {
    const outcome = this.#options.plan.outcomes[rule];
    return outcome?.enforce === true && outcome.action === 'RequireApproval';
  }

  /** Notes where approvers are to look. @param of the text as it is recorded, and the edits that make it so; without: nothing of it is shown */
  #place(hits: readonly Hit[], of: () => NamedText & { readonly edits: readonly Edit[] | undefined }): void {
    for (const hit of hits) {
      if (!this.#holds(hit)) continue;
      this.#places.add(this.#options.rules[hit.rule]?.id ?? '', () => {
        const { id, text, edits } = of();
        return { id, text, at: edits === undefined ? 0 : placeIn(edits, hit.start) };
      });
    }
  }

  /**
   * The same in a text that is not recorded, or is read as one of several: as the record would have it, so not where anything that nobody may
   * see stands in it in disguise.
   *
   * @param more.elsewhere whether approvers read the text itself at another place
   * @param more.withheld whether it is known to hold anything in disguise
   */
  async #placeAside(
    id: string,
    text: string,
    hits: readonly Hit[],
    more: { readonly elsewhere?: boolean; readonly withheld?: boolean } = {},
  ): Promise<void> {
    const { views, turn } = this.#options;
    const { edits, text: masked } = await maskProse(views.record, text, turn);
    const hidden = more.withheld === true || (await this.#disguised(text, [], edits)).hidden;
    const kept = hidden ? withheld : masked;
    // Keys are the caller's words, too.
    const name = nameForRecord(views.record, views.cleanRecord, id);
    this.#place(hits, () => ({ id: name, text: kept, edits: hidden ? undefined : edits }));
    if (more.elsewhere === true) return;
    // Two texts may be one with a space between them and without.
    const last = this.#heldTexts.at(-1);
    if (last?.id !== name || last.text !== kept) this.#heldTexts.push({ id: name, text: kept });
  }

  /** The same of targets and headers, in the readings in which it was found. */
  async #placeReadings(id: string, text: string, hits: readonly Hit[]): Promise<void> {
    const { act, record, cleanRecord } = this.#options.views;
    const left = new Set(hits.filter((hit) => this.#holds(hit)).map(({ rule }) => rule));
    for (const one of readings(text)) {
      const here = act.mask(one, 'prose', 'complete').hits.filter(({ rule }) => left.has(rule));
      if (here.length === 0) continue;
      await this.#placeAside(one === text ? id : `${id} as it is read`, one, here, {
        elsewhere: one === text && id !== 'target',
        // Servers undo the escapes of URLs more often than the record's texts are read.
        withheld: forRecord(record, cleanRecord, one) === withheld,
      });
      for (const { rule } of here) left.delete(rule);
    }
  }

  /** Targets and headers repeat from request to request. */
  #inReadings(text: string): readonly Hit[] {
    const { act, cleanReadings } = this.#options.views;
    if (act.idle || cleanReadings.has(text)) return [];
    const hits: Hit[] = [];
    for (const one of readings(text)) {
      // What a rule found in an earlier reading is not counted twice.
      const known = new Set(hits.map(({ rule }) => rule));
      hits.push(...act.mask(one, 'prose', 'complete').hits.filter(({ rule }) => !known.has(rule)));
    }
    if (hits.length === 0) cleanReadings.add(text);
    return hits;
  }

  async seams(view: RequestView): Promise<void> {
    const { views } = this.#options;
    for (const nodes of neighbours(view)) {
      const texts = nodes.map((node) => node.text);
      for (const glue of glues) {
        // Hardly ever does anything live on from one text into the next, and that is told by a few characters.
        if (!(await this.#mayCross(texts, glue))) continue;
        for (const seam of seams(texts, glue, views.act.reach)) {
          const hits = await this.#readSeam(seam);
          await this.#judgeSeam(
            view,
            nodes,
            seam,
            glue,
            hits.filter((hit) => crosses(hit, seam.borders, glue.length)),
          );
        }
      }
    }
  }

  /**
   * What was sent in messages before, and the texts of this one that go on from it: of a value that begins there and ends here the model has the
   * beginning, and does not get the rest.
   */
  async continued(view: RequestView): Promise<void> {
    const { views, sent, plan } = this.#options;
    if (sent === undefined || views.act.idle) return;
    const { reach } = views.act;
    for (const { said, nodes } of sent.continued(view, reach))
      for (const glue of glues) {
        // No finding goes on behind the first text that is long, or behind many short ones.
        await this.#across(view, [said(glue).slice(-reach)], beginning(nodes, reach), [undefined, ...nodes], glue);
      }
    const joints = sent.joints(view, reach);
    if (typeof joints === 'string') {
      if (plan.inspects) throw new RefusedError('invalid_request', { detail: joints });
      return;
    }
    const own = [view.conversation?.leads?.node];
    for (const { left, right } of joints) for (const glue of glues) await this.#across(view, left, right, own, glue);
  }

  /** @param nodes of the texts on the left, and then on the right; undefined, or absent: of a message before */
  async #across(
    view: RequestView,
    left: readonly string[],
    right: readonly string[],
    nodes: readonly (JsonNode | undefined)[],
    glue: string,
  ): Promise<void> {
    const before = left.join(glue).length;
    const [seam] = seams([...left, ...right], glue, this.#options.views.act.reach);
    if (seam === undefined || !(await this.#mayCross(piecesOf(seam, glue), glue))) return;
    const across = (await this.#readSeam(seam)).filter(
      ({ start, end }) => start < before && end > before + glue.length,
    );
    await this.#judgeSeam(view, nodes, seam, glue, across);
  }

  async #readSeam({ text }: Seam): Promise<readonly Hit[]> {
    const { views, turn } = this.#options;
    if (this.#isDue(0)) await turn();
    const { hits } = await maskProse(views.act, text, turn);
    const disguised = mayReadOtherwise(text, this.#reading) ? await this.#readOtherwise(text) : undefined;
    return [...hits, ...(disguised?.hits ?? [])];
  }

  /** @param nodes undefined: of a message before @param across findings in more than one of them */
  async #judgeSeam(
    view: RequestView,
    nodes: readonly (JsonNode | undefined)[],
    seam: Seam,
    glue: string,
    across: readonly Hit[],
  ): Promise<void> {
    this.#judge(across, true);
    const split = this.#withhold(view, nodes, seam, across, glue.length);
    if (across.some((hit) => this.#holds(hit)))
      await this.#placeAside('texts that are read as one', seam.text, across, { elsewhere: !split });
  }

  /**
   * Parts of what nobody may see say it as well as the whole: the texts that hold them are withheld, from the record and from who approves.
   *
   * @returns whether any was
   */
  #withhold(
    view: RequestView,
    nodes: readonly (JsonNode | undefined)[],
    seam: Seam,
    across: readonly Hit[],
    glue: number,
  ): boolean {
    const { record, sealed } = this.#options.views;
    const hidden = across.filter(({ rule }) => record.spec.replace[rule] === 1);
    if (hidden.length === 0) return false;
    const touched = new Set<JsonNode | undefined>();
    for (const [at, member] of seam.members.entries()) {
      const from = at === 0 ? 0 : (seam.borders[at - 1] ?? 0) + glue;
      const to = seam.borders[at] ?? seam.text.length;
      if (hidden.some((hit) => hit.start < to && hit.end > from)) touched.add(nodes[member]);
    }
    for (const [at, { node }] of view.lanes.entries()) {
      const kept = this.#record[at];
      if (kept !== undefined && touched.has(node))
        this.#record[at] = { id: kept.id, text: withheld, raw: sealed === undefined ? withheld : kept.raw };
    }
    if (view.loneValues.some(({ node, key }) => key && touched.has(node))) {
      this.#keysText = withheld;
      if (sealed === undefined) this.#keysRaw = withheld;
    }
    return true;
  }

  /** Whether there may be a finding with characters of two neighbours. False is certain. */
  async #mayCross(texts: readonly string[], glue: string): Promise<boolean> {
    const { views, turn } = this.#options;
    const { reach } = views.act;
    let left = '';
    for (const text of texts) {
      if (text === '') continue;
      if (left !== '') {
        const right = glue + text.slice(0, reach);
        if (this.#isDue(Math.min(left.length, reach) + right.length)) await turn();
        if (views.act.mayCross(left, right) || readsAcross(left.slice(-reach), right, this.#reading)) return true;
      }
      left = text.length >= carriedUnits ? text : (left === '' ? text : left + glue + text).slice(-carriedUnits);
    }
    return false;
  }

  /** Many short texts are as dear as a long one: other requests get their turn between them, too. @param length of what is read next */
  #isDue(length: number): boolean {
    this.#units += length + textUnits;
    if (this.#units < stepUnits) return false;
    this.#units = 0;
    return true;
  }

  #edit(node: JsonNode, { edits, text }: MaskResult): void {
    if (edits.length === 0) return;
    this.#edits.push({ start: node.start, end: node.end, text: JSON.stringify(text) });
    this.#masked.set(node, text);
  }

  #judge(hits: readonly Hit[], seam: boolean): void {
    const { plan, rules, session } = this.#options;
    for (const hit of hits) {
      const outcome = plan.outcomes[hit.rule];
      if (outcome === undefined || rules[hit.rule] === undefined) continue; // looked for on behalf of the record only
      act(outcome, hit, seam, session, this.#approvals);
    }
  }
}

/** As many of these texts as a finding that begins before them may reach into, with escapes. */
function beginning(nodes: readonly JsonNode[], reach: number): readonly string[] {
  const texts: string[] = [];
  let units = 0;
  for (const { text } of nodes) {
    texts.push(text);
    if ((units += text.length) >= 8 * reach) break;
  }
  return texts;
}

interface PromptLook extends PairResult {
  /** It was to be read as JSON for the guards, which look for fields, and is none. */
  readonly isNoJson?: true;
}

/**
 * One text for the guards and for the record. It never fails: what is no JSON is prose. Short texts are answered at once, without a
 * promise: a request holds many.
 */
function maskPrompt(
  pair: ViewPair,
  text: string,
  kind: LaneKind,
  turn: () => Promise<void>,
): PromptLook | Promise<PromptLook> {
  const as = kind === 'json' ? 'json' : 'prose';
  const again = ({ caller, record }: PairResult): boolean => caller.failed || record.failed;
  if (text.length > stepUnits) {
    const run = (read: LaneKind): Promise<PairResult> => inTurns(pair.maskInSteps(text, read, 'complete'), turn);
    return run(as).then((result) => (again(result) ? run('prose').then((prose) => asProse(prose, result)) : result));
  }
  const result = pair.mask(text, as, 'complete');
  return again(result) ? asProse(pair.mask(text, 'prose', 'complete'), result) : result;
}

const asProse = (prose: PairResult, { caller }: PairResult): PromptLook =>
  caller.failed ? { ...prose, isNoJson: true } : prose;

function maskProse(view: View, text: string, turn: () => Promise<void>): MaskResult | Promise<MaskResult> {
  return text.length <= stepUnits
    ? view.mask(text, 'prose', 'complete')
    : inTurns(view.maskInSteps(text, 'prose', 'complete'), turn);
}

/** What a scan found of what is to be looked for in this reading. */
function counted({ wordsOnly }: Reading, { hits }: MaskResult): readonly Hit[] {
  return wordsOnly ? hits.filter(({ by }) => by === 'word') : hits;
}

/**
 * Whether something that the record would replace in this reading is left in the text: not all of it lies inside of one of the record's own
 * edits. It is told by edits, since a hit does not say how far those reach that were counted with it.
 */
function isLeft(reading: Reading, record: MaskResult, replaced: readonly Edit[]): boolean {
  const hits = counted(reading, record);
  if (hits.length === 0) return false;
  const isCounted = overlaps(hits);
  return record.edits.some(
    (edit) => isCounted(edit) && !isInside(replaced, reading.startOf(edit.start), reading.endOf(edit.end - 1)),
  );
}

/** Whether all of [start, end) lies inside of one of these, which are in order and share no character. */
function isInside(edits: readonly Edit[], start: number, end: number): boolean {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((edits[middle]?.start ?? 0) <= start) low = middle + 1;
    else high = middle;
  }
  return (edits[low - 1]?.end ?? 0) >= end;
}

/** Of findings of one rule and kind that share a character only the first: one place may have several readings. */
function apart(hits: readonly Hit[]): readonly Hit[] {
  const ends = new Map<string, number>();
  return [...hits]
    .sort((a, b) => a.start - b.start)
    .filter(({ rule, by, start, end }) => {
      const key = `${String(rule)} ${by}`;
      const last = ends.get(key) ?? 0;
      ends.set(key, Math.max(last, end));
      return start >= last;
    });
}

/** Whether a hit shares a character with one of the same rule among these. */
function overlapsOwn(known: readonly Hit[]): (hit: Hit) => boolean {
  const byRule = new Map([...Map.groupBy(known, ({ rule }) => rule)].map(([rule, hits]) => [rule, overlaps(hits)]));
  return (hit) => byRule.get(hit.rule)?.(hit) ?? false;
}

/** Whether a hit shares a character with one of these: by search, since a text may have very many. */
function overlaps(known: readonly Hit[]): (range: Pick<Hit, 'start' | 'end'>) => boolean {
  const ordered = [...known].sort((a, b) => a.start - b.start);
  let most = 0;
  const ends = ordered.map(({ end }) => (most = Math.max(most, end)));
  return (hit) => {
    let low = 0;
    let high = ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ordered[middle]?.start ?? 0) < hit.end) low = middle + 1;
      else high = middle;
    }
    // Of those that begin before its end, the one that reaches furthest.
    return low > 0 && (ends[low - 1] ?? 0) > hit.start;
  };
}

function act(
  outcome: GuardOutcome,
  by: string | FoundBy,
  seam: boolean,
  session: Pick<Session, 'act'>,
  approvals: Set<GuardOutcome>,
): void {
  const observed = !outcome.enforce;
  switch (outcome.action) {
    case 'Block':
      session.act(outcome.rule, 'blocked', by, observed);
      break;
    case 'RequireApproval':
      session.act(outcome.rule, 'held', by, observed);
      if (outcome.enforce) approvals.add(outcome);
      break;
    case 'Mask':
      // What lies across two lanes, in a key or is found in disguise cannot be masked without changing what the request means.
      session.act(outcome.rule, seam ? 'blocked' : 'masked', by, observed);
      break;
    case 'Flag':
      session.act(outcome.rule, 'flagged', by, observed);
      break;
    default:
      throw new RefusedError('internal_error');
  }
}

/** The first enforced rule that forbids this request, in policy order. */
export function blockedBy(acts: readonly RuleAct[]): string | undefined {
  return acts.find((one) => one.act === 'blocked')?.rule;
}

/** The body with every change made; the caller's own bytes when there is none. */
export function editBody(body: Buffer, text: string, edits: readonly JsonEdit[]): Buffer {
  return edits.length === 0 ? body : Buffer.from(applyEdits(text, outermost(edits)), 'utf8');
}
