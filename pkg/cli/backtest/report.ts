import { changes } from './compare.ts';
import type { Change, Changed, Comparison } from './compare.ts';
import type { Untold } from './untold.ts';

/** What would be otherwise, counted. */
export interface BacktestReport {
  /** Sessions that were decided again. */
  readonly sessions: number;
  readonly unchanged: number;
  /** What was looked at, and whether that is all. */
  readonly looked: Looked;
  readonly changes: Readonly<Record<Change, number>>;
  /** Most frequent first: rules of {@link Changed}. */
  readonly rules: readonly { readonly change: Change; readonly rule: string; readonly sessions: number }[];
  readonly callers: readonly { readonly change: Change; readonly caller: string; readonly sessions: number }[];
  readonly examples: readonly BacktestExample[];
  readonly cannotKnow: CannotKnow;
  /** What of the policies no session was decided by. */
  readonly untold: readonly Untold[];
}

export interface BacktestExample {
  readonly change: Change;
  readonly session: string;
  readonly time: string;
  readonly caller: string;
  readonly model: string;
  readonly was: string;
  readonly would: string;
  /** Of the request, as these policies would have it recorded; none where texts were unsealed. */
  readonly text: string;
}

/** Of what was asked for, in whatever state. */
export interface Looked {
  /** Sessions that were read. */
  readonly sessions: number;
  /** There were more than `--limit`. */
  readonly more: boolean;
  /** Blocks of the record that its index of words has yet to see: sessions in them were not found by text. */
  readonly unsearched: number;
  /** Sessions that have more words, groups or other texts than the index takes: a question did not find those by the others. */
  readonly partly: readonly string[];
  /** There are, or may be, more of these. */
  readonly partlyMore: boolean;
  /** Sessions, at least, that have sealed texts: a question by text did not find those by their words. */
  readonly sealed: number;
  /** Sessions that were found and could not be decided on, and why the first of them could not. */
  readonly unread: number;
  readonly unreadWhy: readonly UnreadSession[];
}

export interface UnreadSession {
  readonly session: string;
  readonly why: string;
}

/** Of how many sessions it is said why they could not be decided on. */
const mostWhy = 5;

/** Whether something that was asked for was not looked at. */
export const isPartial = ({ more, unsearched, partly, partlyMore, sealed, unread }: Looked): boolean =>
  more || unsearched > 0 || partly.length > 0 || partlyMore || sealed > 0 || unread > 0;

/** Sessions of which the record does not say enough. */
export interface CannotKnow {
  /** Decided on text of which something was, or may have been, masked: rules could have found more in them. */
  readonly masked: number;
  /** Of which lines are missing, or whose answer a policy ended: what stood there nobody knows. */
  readonly missing: number;
  /** Of which texts are sealed, and were not opened: what rules would find in them nobody knows who has not the key. */
  readonly sealed: number;
  /** Without any text: refused before it was read, recorded without content, or there was none. */
  readonly withoutText: number;
  /** Refused by a limit, which depends on when and how many: not decided again. */
  readonly limited: number;
  /** Decided by nothing that is decided again: the request was none, the model or the sidecar could not go on, a browser asked what its page may send. */
  readonly otherReason: number;
  /** Not ended, or their start or end was not there. */
  readonly open: number;
  /** Of another namespace than the policies. */
  readonly elsewhere: number;
}

const longestText = 80;

/** Adds up comparisons. */
export class Tally {
  #sessions = 0;
  #unchanged = 0;
  readonly #changes = Object.fromEntries(changes.map((one) => [one, 0])) as Record<Change, number>;
  readonly #rules = new Map<string, number>();
  readonly #callers = new Map<string, number>();
  readonly #examples: BacktestExample[] = [];
  readonly #perChange: number;
  readonly #shown: ((text: string) => string) | undefined;
  /** Filled by whoever reads the sessions. */
  readonly looked: { -readonly [K in keyof Looked]: Looked[K] } = {
    sessions: 0,
    more: false,
    unsearched: 0,
    partly: [],
    partlyMore: false,
    sealed: 0,
    unread: 0,
    unreadWhy: [],
  };
  readonly cannotKnow = {
    masked: 0,
    missing: 0,
    sealed: 0,
    withoutText: 0,
    limited: 0,
    otherReason: 0,
    open: 0,
    elsewhere: 0,
  };

  readonly #untold: readonly Untold[];

  /** @param perChange examples of each kind; @param shown what they show of a text; undefined: nothing, since it is not masked */
  constructor(perChange: number, shown: ((text: string) => string) | undefined, untold: readonly Untold[]) {
    this.#perChange = perChange;
    this.#shown = shown;
    this.#untold = untold;
  }

  add(comparison: Comparison): void {
    const { session } = comparison;
    this.#sessions += 1;
    if (session.sealed) this.cannotKnow.sealed += 1;
    else if (session.partial) this.cannotKnow.missing += 1;
    else if (session.request.length + session.answer.length === 0) this.cannotKnow.withoutText += 1;
    else if (session.masked) this.cannotKnow.masked += 1;
    if (comparison.changes.length === 0) this.#unchanged += 1;
    for (const one of comparison.changes) this.#addChange(comparison, one);
  }

  /** A session that was found, and of which nobody can say how it would go. */
  leaveUnread(session: string, why: string): void {
    this.looked.unread += 1;
    if (this.looked.unreadWhy.length < mostWhy) this.looked.unreadWhy = [...this.looked.unreadWhy, { session, why }];
  }

  #addChange({ session, was, would }: Comparison, { change, rules }: Changed): void {
    this.#changes[change] += 1;
    const caller = session.caller?.subject ?? 'nobody known';
    for (const rule of new Set(rules)) count(this.#rules, change, rule);
    count(this.#callers, change, caller);
    if (this.#examples.filter((one) => one.change === change).length >= this.#perChange) return;
    this.#examples.push({
      change,
      session: session.id,
      time: session.time,
      caller,
      model: session.model ?? '',
      was: words(was),
      would: words(would),
      text: (this.#shown?.(session.request[0] ?? '') ?? '').slice(0, longestText).toWellFormed(),
    });
  }

  report(): BacktestReport {
    const list = <K extends 'rule' | 'caller'>(counts: ReadonlyMap<string, number>, key: K) =>
      [...counts]
        .map(([name, sessions]) => {
          const at = name.indexOf(' ');
          return { change: name.slice(0, at) as Change, [key]: name.slice(at + 1), sessions };
        })
        .sort((a, b) => changes.indexOf(a.change) - changes.indexOf(b.change) || b.sessions - a.sessions) as {
        readonly change: Change;
        readonly rule: string;
        readonly caller: string;
        readonly sessions: number;
      }[];
    return {
      sessions: this.#sessions,
      unchanged: this.#unchanged,
      looked: this.looked,
      changes: this.#changes,
      rules: list(this.#rules, 'rule'),
      callers: list(this.#callers, 'caller'),
      examples: this.#examples,
      cannotKnow: this.cannotKnow,
      untold: this.#untold,
    };
  }
}

function count(counts: Map<string, number>, change: Change, name: string): void {
  const key = `${change} ${name}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function words({ fate, rules, masks }: Comparison['was']): string {
  const named = (all: Comparison['was']['rules']): string => {
    const by = all.map((one) => `${one.rule}${one.by.length === 0 ? '' : ` (${one.by.join(', ')})`}`);
    return by.length === 0 ? '' : ` by ${[...new Set(by)].join(', ')}`;
  };
  const beside = fate === 'held' && masks.length > 0 ? ` and masked${named(masks)}` : '';
  return `${fate}${named(rules)}${beside}`;
}

const meaning: Readonly<Record<Change, string>> = {
  blocked: 'newly refused',
  held: 'newly held for an approval',
  masked: 'newly masked',
  allowed: 'newly allowed: were refused or held',
  unmasked: 'newly let through unmasked',
  otherwise: 'refused or held as before, by other rules',
  unknown:
    'perhaps otherwise: what a rule found then is not in the record, and it may have been changed (--was has the policies of then), or nobody knows which model was asked for; or in whatever way: its texts are sealed (--unseal)',
};

/** Nothing of a record may move the reader's cursor. */
const plain = (text: string): string => text.replaceAll(/\p{Cc}/gu, ' ');

export function reportText(report: BacktestReport): string {
  const { sessions, unchanged, looked, rules, callers, examples, cannotKnow, untold } = report;
  const lines = [`${sessions} sessions decided again: ${unchanged} would go as they went`];
  if (looked.more) lines.push(`NOT ALL: ${looked.sessions} sessions were looked at, and there are more (--limit)`);
  if (looked.unsearched > 0)
    lines.push(`NOT ALL: the index of words has yet to see ${looked.unsearched} blocks of the record; ask again later`);
  if (looked.partly.length > 0 || looked.partlyMore)
    lines.push(
      `NOT ALL: ${looked.partly.length}${looked.partlyMore ? ' or more' : ''} sessions have more words, groups or other texts than the index takes, and may be among these all the same: ${plain(looked.partly.slice(0, 10).join(' '))}`,
    );
  if (looked.sealed > 0)
    lines.push(
      `NOT ALL: ${looked.sealed} sessions or more have sealed texts, and may hold these words all the same; ask by fields`,
    );
  if (looked.unread > 0) {
    lines.push(`NOT ALL: ${looked.unread} sessions could not be decided on:`);
    for (const { session, why } of looked.unreadWhy) lines.push(`  ${plain(session)}: ${plain(why)}`);
  }
  for (const change of changes) {
    if (report.changes[change] === 0) continue;
    lines.push('', `${report.changes[change]} ${meaning[change]}`);
    for (const one of rules) if (one.change === change) lines.push(`  rule    ${plain(one.rule)}: ${one.sessions}`);
    for (const one of callers.filter((each) => each.change === change).slice(0, 10))
      lines.push(`  caller  ${plain(one.caller)}: ${one.sessions}`);
    for (const one of examples) {
      if (one.change !== change) continue;
      lines.push(
        `  e.g.    ${one.session} ${one.time} ${plain(one.caller)}: was ${plain(one.was)}, would be ${plain(one.would)}`,
      );
      if (one.text !== '') lines.push(`          ${plain(one.text)}`);
    }
  }
  const unknown = [
    [cannotKnow.masked, 'with masked text: rules could find more in what was masked (Full content: --unseal)'],
    [
      cannotKnow.missing,
      'whose text is not all there (lines that were deleted or lost, an answer that was ended): rules could find more in the rest',
    ],
    [cannotKnow.sealed, 'whose texts are sealed: decided by caller, operation and model alone (--unseal)'],
    [cannotKnow.withoutText, 'without text: decided by caller, operation and model alone'],
    [cannotKnow.limited, 'refused by a limit: not decided again, as limits depend on when and how many'],
    [
      cannotKnow.otherReason,
      'that policies do not decide (a bad request, a model that is away, what a browser asks for its page): not decided again',
    ],
    [cannotKnow.open, 'that have not ended: left out'],
    [cannotKnow.elsewhere, 'of other namespaces than the policies: left out'],
  ] as const;
  const said = unknown.filter(([number]) => number > 0).map(([number, what]) => `  ${number} ${what}`);
  if (said.length > 0) lines.push('', 'What the record does not say:', ...said);
  if (untold.length > 0)
    lines.push(
      '',
      'What of these policies no session was decided by:',
      ...untold.map(({ rule, what }) => `  ${plain(rule)}: ${what}`),
    );
  return `${lines.join('\n')}\n`;
}
