import { now } from './clock.js';

/**
 * What can be asked for: the flags of `kubectl sidegate audit search`, which are the parameters of this page's address too.
 *
 * @typedef {object} Condition
 * @property {string} flag
 * @property {string} label
 * @property {'text' | 'list' | 'whole' | 'time'} kind
 * @property {string} [key] Of the API's question, where it is another.
 * @property {string} [tag] Prefix of a tag.
 * @property {string} [hint]
 * @property {readonly string[]} [choices]
 */

const outcomes = ['completed', 'refused', 'aborted', 'failed', 'ended', 'open'];
const acts = ['allowed', 'denied', 'masked', 'blocked', 'flagged', 'held', 'approved', 'limited'];
const operations = ['Chat', 'Completions', 'Embeddings', 'ListModels', 'Health', 'Metrics', 'Admin', 'Other'];
operations.push('Approval', 'Grant', 'Token', 'Revocation', 'Process');

/** @type {readonly Condition[]} */
export const conditions = [
  { flag: 'text', label: 'Words', kind: 'text', hint: 'asked or answered, all of them' },
  { flag: 'user', label: 'Caller', kind: 'text', hint: 'subject of the token' },
  { flag: 'since', label: 'Since', kind: 'time', hint: '10m, 6h, 7d or 2026-11-26T12:00:00Z' },
  { flag: 'until', label: 'Until', kind: 'time', hint: 'as since' },
  { flag: 'model', label: 'Model', kind: 'text', hint: 'llama-3' },
  { flag: 'operation', label: 'Operation', kind: 'text', choices: operations },
  { flag: 'outcome', label: 'Outcome', kind: 'text', choices: outcomes },
  { flag: 'act', label: 'What a rule did', kind: 'list', tag: 'act:', choices: acts },
  { flag: 'rule', label: 'Rule', kind: 'list', tag: 'rule:', hint: 'policy/rule' },
  { flag: 'label', label: 'Label or guard', kind: 'text', hint: 'of any policy' },
  { flag: 'observed', label: 'Rule that observes', kind: 'list', tag: 'observed:', hint: 'policy/rule' },
  { flag: 'failed-open', label: 'Check that was skipped', kind: 'list', tag: 'open:', hint: 'analyzer' },
  { flag: 'detector', label: 'Detector', kind: 'list', tag: 'by:', hint: 'Email, Secrets' },
  { flag: 'code', label: 'Code', kind: 'text', hint: 'guard_blocked' },
  { flag: 'status', label: 'HTTP status', kind: 'whole', hint: '403' },
  { flag: 'namespace', label: 'Namespace', kind: 'text', hint: 'all' },
  { flag: 'pod', label: 'Pod', kind: 'text' },
  { flag: 'group', label: 'Group', kind: 'text', hint: 'of the caller' },
  { flag: 'issuer', label: 'Issuer', kind: 'text', hint: 'https://…' },
  { flag: 'min-duration', label: 'At least, ms', kind: 'whole', key: 'minDurationMs' },
  { flag: 'max-duration', label: 'At most, ms', kind: 'whole', key: 'maxDurationMs' },
  { flag: 'min-bytes', label: 'At least, bytes', kind: 'whole', key: 'minBytes' },
  { flag: 'max-bytes', label: 'At most, bytes', kind: 'whole', key: 'maxBytes' },
  { flag: 'session', label: 'Session', kind: 'text', hint: '32 hex digits' },
];
const byFlag = new Map(conditions.map((one) => [one.flag, one]));
const elsewhere = new Set([
  'limit',
  'all',
  'output',
  'o',
  'archive',
  'key',
  'system',
  'service-account',
  'context',
  'kubeconfig',
]);

/** @typedef {Map<string, string[]>} Values Of flags. */

/** @param {string} text @returns {string[] | undefined} As a shell reads it; undefined: a quote is open. */
function wordsOf(text) {
  /** @type {string[]} */
  const words = [];
  let rest = text.trim();
  while (rest !== '') {
    const [whole = ''] = /^(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+(?=\s|$)/su.exec(rest) ?? [];
    if (whole === '') return undefined;
    words.push(
      whole.replace(
        /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gsu,
        (_, single, double, escaped) =>
          single ?? (double === undefined ? escaped : double.replace(/\\(["\\$`])/g, '$1')),
      ),
    );
    rest = rest.slice(whole.length).trimStart();
  }
  return words;
}

/** @param {string} word that is no condition @returns {string} */
function faultOf(word) {
  const name = nameOf(word);
  if (name === '') return `${word}: conditions look like --user ana`;
  return elsewhere.has(name) ? `${word} is for the command line alone` : `there is no ${word}`;
}
/** @param {string} word @returns {string} of a flag; '': it is none */
const nameOf = (word) => (word === '-n' ? 'namespace' : (/^--?([a-z-]+)(?:=|$)/.exec(word)?.[1] ?? ''));

/** @param {string} text What follows `audit search`. @returns {{ values: Values, faults: string[] }} */
export function parseExpression(text) {
  /** @type {Values} */
  const values = new Map();
  /** @type {string[]} */
  const faults = [];
  const words = wordsOf(text);
  if (words === undefined) return { values, faults: ['a quote is not closed'] };
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const flag = nameOf(word);
    const condition = byFlag.get(flag);
    const [, joined] = /^--[a-z-]+=(.*)$/su.exec(word) ?? [];
    if (condition === undefined) {
      faults.push(faultOf(word));
      // Its value.
      if (elsewhere.has(flag) && joined === undefined && words[at + 1]?.startsWith('-') === false) at++;
      continue;
    }
    const value = joined ?? words[++at] ?? '';
    const before = values.get(flag) ?? [];
    if (value === '') faults.push(`--${flag} needs a value`);
    else if (before.length > 0 && condition.kind !== 'list') faults.push(`--${flag} is given twice`);
    else values.set(flag, [...before, value]);
  }
  return { values, faults };
}

/** @param {string} text */
const quoted = (text) => (/^[\w@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** @param {Values} values @returns {string} What follows `audit search`. */
export const expressionOf = (values) =>
  conditions
    .flatMap(({ flag }) =>
      (values.get(flag) ?? []).map((value) => `--${flag}${value.startsWith('-') ? '=' : ' '}${quoted(value)}`),
    )
    .join(' ');

/** @param {URLSearchParams} parameters @returns {Values} */
export const valuesOf = (parameters) =>
  new Map(
    conditions
      .map(
        ({ flag }) => /** @type {[string, string[]]} */ ([flag, parameters.getAll(flag).filter((one) => one !== '')]),
      )
      .filter(([, list]) => list.length > 0),
  );

/** @type {Readonly<Record<string, number>>} */
const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** @param {string} text @returns {number} Epoch milliseconds; NaN: it is no time. */
function timeOf(text) {
  const [, count, unit = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return now() - Number(count) * (units[unit] ?? 0);
  const [found, day = '', offset] = timeForm.exec(text) ?? [];
  if (found === undefined) return Number.NaN;
  const midnight = Date.parse(day);
  // The 31st of February would be a day of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return Number.NaN;
  return offset === undefined ? midnight : Date.parse(text.replace(' ', 'T').toUpperCase());
}

/** RFC 3339, also without seconds; a day alone is its beginning in UTC. */
const timeForm =
  /^((?!00)[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?$/;

/** @param {Condition} condition @param {string} text @returns {string | number | undefined} As the API takes it; undefined: it cannot. */
function valueOf({ kind, flag }, text) {
  if (kind === 'time') return Number.isNaN(timeOf(text)) ? undefined : timeOf(text);
  if (kind === 'whole') return /^[0-9]{1,12}$/.test(text) ? Number(text) : undefined;
  return flag === 'session' && !/^[0-9a-f]{32}$/.test(text) ? undefined : text;
}

/**
 * @param {Values} values
 * @returns {{ question: Record<string, string | number | readonly string[]>, faults: string[] }} What the API is asked.
 */
export function questionOf(values) {
  /** @type {Record<string, string | number | readonly string[]>} */
  const question = {};
  /** @type {string[]} */
  const faults = [];
  /** @type {string[]} */
  const tags = [];
  for (const condition of conditions) {
    const { flag, key = flag, tag, hint = '' } = condition;
    for (const text of values.get(flag) ?? []) {
      const value = valueOf(condition, text);
      if (value === undefined)
        faults.push(`--${flag} ${text}: ${condition.kind === 'whole' ? 'a whole number' : hint}`);
      else if (tag !== undefined) tags.push(`${tag}${value}`);
      else question[key] = value;
    }
  }
  return { question: tags.length === 0 ? question : { ...question, tags }, faults };
}
