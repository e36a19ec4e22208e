/** What of a text cannot be seen, or changes how what follows is read: controls, formats, surrogates alone, blank letters. */
const hidden = /(?:(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u2800])+/gu;
/** Elements of one text, at most; what is more of a text that was made to have many is plain. */
const mostPieces = 2_000;

/** @param {string} text */
const escapesOf = (text) =>
  Array.from(text, (one) => {
    const code = one.codePointAt(0) ?? 0;
    return `\\u${code > 0xff_ff ? `{${code.toString(16)}}` : code.toString(16).padStart(4, '0')}`;
  }).join('');

/** @param {string} text @returns {string} With escapes for what could not be seen. */
export const shown = (text) => text.replace(hidden, escapesOf);

/**
 * Part of a text in which something stands in place of what was there.
 *
 * @typedef {object} Mark
 * @property {number} from
 * @property {number} to
 * @property {string} title Which rule and detector, as far as is known.
 * @property {boolean} sure False: it has the shape of a replacement, and no rule of the session has its name.
 */

/** As pkg/detect/scan/replacement.ts writes them: a rule's name, perhaps with a hash; or four stars and what a rule keeps. */
const replacement = /\[([\p{L}\d][\p{L}\d_ .-]{0,62})(?::[0-9a-f]{8})?\](?!\()|(?<!\*)\*{4}(?!\*)[\p{L}\p{N}]{0,64}/gu;

/**
 * @param {string} text
 * @param {readonly import('./contract.d.ts').RuleAct[]} acts of the session
 * @returns {Mark[]} in order
 */
export function marksIn(text, acts) {
  const found = acts.filter(({ act }) => act !== 'allowed' && act !== 'denied');
  /** @param {import('./contract.d.ts').RuleAct} act */
  const said = ({ rule, act, by = [] }) => `${rule} ${act}${by.length === 0 ? '' : ` by ${by.join(', ')}`}`;
  /** @type {Mark[]} */
  const marks = [];
  for (const { 0: whole, 1: label, index } of text.matchAll(replacement)) {
    const place = { from: index, to: index + whole.length };
    const own = found.filter(({ rule, act }) =>
      label === undefined ? act === 'masked' : rule.slice(rule.lastIndexOf('/') + 1) === label,
    );
    if (own.length > 0) marks.push({ ...place, title: own.map(said).join('; '), sure: true });
    // No footnote, and no box of a list.
    else if (label === undefined || !/^(?:\d+|.)$/u.test(label)) marks.push({ ...place, title: guess, sure: false });
    if (marks.length === mostPieces) break;
  }
  return marks;
}
const guess =
  'looks like a replacement; no rule that acted here has its name, so perhaps one that hides this in the record alone';

/**
 * @param {string} text
 * @param {readonly Mark[]} [marks]
 * @param {readonly { readonly at: number, readonly label: string }[]} [ticks] What stands between two characters, in order.
 * @returns {DocumentFragment} Nothing but text nodes, marks, escapes and ticks.
 */
export function textNodes(text, marks = [], ticks = []) {
  const fragment = document.createDocumentFragment();
  const room = { left: mostPieces };
  let [at, tick] = [0, 0];
  /** @param {Node} to @param {number} until */
  const part = (to, until) => {
    for (let next = ticks[tick]; next !== undefined && next.at <= until; next = ticks[++tick]) {
      write(to, text.slice(at, next.at), room);
      at = Math.max(at, next.at);
      const time = document.createElement('span');
      time.className = 'tick';
      // Shown by the style sheet, so that it is no part of the text that is copied.
      time.dataset['at'] = next.label;
      to.appendChild(time);
    }
    write(to, text.slice(at, until), room);
    at = Math.max(at, until);
  };
  for (const { from, to, title, sure } of marks) {
    part(fragment, from);
    const mark = document.createElement('mark');
    mark.title = shown(title);
    if (!sure) mark.className = 'maybe';
    // Times within it follow it.
    write(mark, text.slice(at, to), room);
    at = to;
    fragment.append(mark);
  }
  part(fragment, text.length);
  return fragment;
}

/** @param {Node} to @param {string} text @param {{ left: number }} room */
function write(to, text, room) {
  let at = 0;
  for (const { 0: found, index } of text.matchAll(hidden)) {
    if (room.left-- <= 0) break;
    if (index > at) to.appendChild(document.createTextNode(text.slice(at, index)));
    const escape = document.createElement('span');
    escape.className = 'escape';
    escape.title = 'cannot be seen, or turns the direction of what follows';
    escape.textContent = escapesOf(found);
    to.appendChild(escape);
    at = index + found.length;
  }
  if (at < text.length) to.appendChild(document.createTextNode(shown(text.slice(at))));
}

/** Characters and lines of a long text that are shown at first. */
const folded = { characters: 2_400, lines: 40 };

/** @param {string} text @returns {number} Where it is folded; its length: nowhere. */
export function foldAt(text) {
  let at = -1;
  for (let line = 0; line < folded.lines; line++) {
    at = text.indexOf('\n', at + 1);
    if (at === -1) break;
  }
  const end = Math.min(at === -1 ? text.length : at, folded.characters);
  // Not for the sake of a last line or two.
  return text.length - end < 200 ? text.length : end;
}
