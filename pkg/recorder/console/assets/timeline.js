import { add, el } from './dom.js';
import { duration, number, plural, utc } from './format.js';
import { listOf, numberOf, objectOf, textOf, wholeText } from './record.js';
import { foldAt, marksIn, textNodes } from './text.js';

/** @import { RuleAct } from './contract.d.ts' */
/** @import { EventStep, Step, TextStep } from './record.js' */

/** Steps that are added at once. */
const pageOfSteps = 100;
/** Times stand in the text where so much has passed since the last. */
const tickMs = 250;

/** @param {number | undefined} at */
export const offset = (at) => (at === undefined ? '' : `+${duration(at)}`);

/** @param {TextStep} step @returns {{ at: number, label: string }[]} Where in the whole text which time is worth saying. */
function ticksOf({ pieces }) {
  const ticks = [];
  let place = 0;
  let said = pieces[0]?.at ?? 0;
  for (const { at, text } of pieces) {
    if (place > 0 && at - said >= tickMs) {
      ticks.push({ at: place, label: offset(at) });
      said = at;
    }
    place += text.length;
  }
  return ticks;
}

/**
 * A text of the record: masked parts marked, a long one folded.
 * @param {string} text @param {readonly RuleAct[]} acts @param {readonly { at: number, label: string }[]} [ticks]
 */
export function recordText(text, acts, ticks = []) {
  const box = el('div', { class: 'text', dir: 'auto' });
  const end = foldAt(text);
  const marks = marksIn(text.slice(0, end), acts);
  box.append(textNodes(text.slice(0, end), marks, ticks));
  if (end === text.length) return [box];
  const rest = el('button', { type: 'button', class: 'fold' }, `Show all ${number(text.length)} characters`);
  rest.addEventListener('click', () => {
    box.replaceChildren(textNodes(text, marksIn(text, acts), ticks));
    rest.remove();
  });
  box.append('…');
  return [box, rest];
}

/** @param {TextStep} step @param {readonly RuleAct[]} acts */
function textStep(step, acts) {
  const { kind, lane, pieces, sealed, length } = step;
  const last = pieces.at(-1)?.at ?? 0;
  return [
    el(
      'div',
      { class: 'lane' },
      el('span', { class: 'direction' }, kind),
      el('code', {}, lane),
      pieces.length > 1 && el('span', { class: 'dim' }, `${pieces.length} segments, until ${offset(last)}`),
      sealed &&
        el(
          'span',
          {
            class: 'badge sealed',
            title:
              length === undefined
                ? 'the whole text stands beside the masked one, sealed to a key that is not here'
                : 'the text is sealed to a key that is not here',
          },
          'sealed',
        ),
    ),
    ...(length === undefined
      ? recordText(wholeText(step), acts, ticksOf(step))
      : [el('p', { class: 'dim sealed-text' }, `${plural(length, 'character')}, sealed`)]),
  ];
}

/** @param {unknown} decisions */
const decisionList = (decisions) =>
  listOf(decisions).map((one) => {
    const { decision, at, by, from, breakGlass, comment } = objectOf(one);
    const more = `${textOf(from) === '' ? '' : ` from ${textOf(from)}`}${breakGlass === true ? ', break-glass' : ''}`;
    const why = textOf(comment) === '' ? '' : `: “${textOf(comment)}”`;
    return el('div', {}, el('strong', {}, textOf(decision)), ` by ${textOf(by)}${more}, ${textOf(at)}${why}`);
  });

/** @param {EventStep} step */
function eventStep({ kind, line }) {
  const rules = listOf(line['rules']).map(textOf).join(' ');
  if (kind === 'approval')
    return [
      el(
        'div',
        { class: 'lane' },
        el('span', { class: 'direction' }, 'approval'),
        el('span', { class: 'badge held' }, textOf(line['phase'])),
        el('code', {}, textOf(line['name'])),
      ),
      el('div', { class: 'dim' }, `of the ${textOf(line['direction'])}, for ${rules}`),
      ...decisionList(line['decisions']),
    ];
  if (kind === 'change') {
    const { subject } = objectOf(line['caller']);
    const about = [
      textOf(subject) === '' ? '' : `for ${textOf(subject)}`,
      textOf(line['requestedBy']) === '' ? '' : `asked by ${textOf(line['requestedBy'])}`,
      textOf(line['by']) === '' ? '' : `taken back by ${textOf(line['by'])}`,
      textOf(line['from']) === '' ? '' : `from ${textOf(line['from'])}`,
      textOf(line['until']) === '' ? '' : `until ${textOf(line['until'])}`,
      rules,
    ].filter((part) => part !== '');
    return [
      el(
        'div',
        { class: 'lane' },
        el('span', { class: 'direction' }, textOf(line['what'])),
        el('span', { class: 'badge' }, textOf(line['step'])),
        el('code', {}, textOf(line['name'])),
      ),
      el('div', { class: 'dim' }, about.join(', ')),
      ...decisionList(line['decisions']),
    ];
  }
  return [el('div', { class: 'lane' }, el('span', { class: 'direction' }, textOf(line.type)), textOf(line['what']))];
}

/** @param {string} kind @param {string} when @param {string} title @param {readonly (Node | null)[]} what */
const item = (kind, when, title, what) =>
  el('li', { class: `step ${kind}` }, el('div', { class: 'when', title }, when), el('div', { class: 'what' }, what));

/** @param {Step} step @param {readonly RuleAct[]} acts */
function stepItem(step, acts) {
  if ('pieces' in step) return item(step.kind, offset(step.pieces[0]?.at), '', textStep(step, acts));
  const time = utc(Date.parse(step.line.time));
  return item('event', offset(step.at) || time.slice(11, 19), time, eventStep(step));
}

/**
 * What happened, in order, part by part.
 * @param {import('./record.js').RecordedSession} session
 * @param {readonly RuleAct[]} acts
 * @param {{ begin: readonly (Node | null)[], finish: readonly (Node | null)[] }} ends
 */
export function timeline({ start, end, steps }, acts, { begin, finish }) {
  const list = el('ol', { class: 'timeline' });
  const total = numberOf(objectOf(end?.['timing'])['total']);
  if (start !== undefined) add(list, item('event', '+0 ms', start.time, begin));
  const last = item('event', offset(total), end?.time ?? '', finish);
  let at = 0;
  const more = el('button', { type: 'button', class: 'more' });
  const show = () => {
    const part = steps.slice(at, at + pageOfSteps);
    at += part.length;
    add(
      list,
      part.map((step) => stepItem(step, acts)),
    );
    more.hidden = at >= steps.length;
    more.textContent = `Show the next ${Math.min(pageOfSteps, steps.length - at)} of ${number(steps.length - at)} steps`;
    if (more.hidden && start !== undefined) list.append(last);
  };
  more.addEventListener('click', show);
  show();
  return [list, more];
}
