import { add, el, pageUrl } from './dom.js';
import { clockTime, duration, utc } from './format.js';

/** @import { SessionSummary } from './contract.d.ts' */

/** @param {SessionSummary} session */
export const keyOf = ({ session, chain }) => `${session} ${chain}`;

/** @param {SessionSummary} session @param {string} prefix @returns {string[]} */
export const tagged = ({ end }, prefix) =>
  (end?.tags ?? []).filter((tag) => tag.startsWith(prefix)).map((tag) => tag.slice(prefix.length));

/** What acts say beyond the outcome. */
const worthSaying = new Set(['masked', 'flagged', 'held', 'approved', 'limited']);

/** @param {SessionSummary} session @returns {HTMLElement[]} Outcome, code and what rules did, as badges. */
export function badges(session) {
  const { end } = session;
  if (end === undefined) return [el('span', { class: 'badge open' }, 'open')];
  const what = end.outcome === 'completed' ? [] : [el('span', { class: `badge ${end.outcome}` }, end.outcome)];
  const acts = tagged(session, 'act:').filter((act) => worthSaying.has(act));
  return [
    ...what,
    ...(end.code === null ? [] : [el('span', { class: 'code' }, end.code)]),
    ...acts.map((act) => el('span', { class: `badge ${act}` }, act)),
    ...(end.code === null && what.length + acts.length === 0
      ? [el('span', { class: 'badge completed' }, 'allowed')]
      : []),
  ];
}

/** Its policy stands in the title. @param {string} rule */
const lastPart = (rule) => rule.slice(rule.lastIndexOf('/') + 1);

const columns = ['Time', 'Caller', 'Asked for', 'Decision', 'Rules', 'Pod', 'Took'];

/** @param {HTMLTableRowElement} row @param {SessionSummary} session */
export function fillRow(row, session) {
  const { end, subject, operation, model, namespace, pod, at } = session;
  const who = subject ?? 'nobody known';
  const rules = tagged(session, 'rule:');
  const link = el(
    'a',
    {
      href: pageUrl({ page: 'session', id: session.session, chain: session.chain }),
      'data-row': session.session,
      'aria-label': `${clockTime(at)}, ${who}, ${operation} ${model ?? ''}`,
    },
    el('time', { datetime: utc(at), title: utc(at) }, clockTime(at)),
  );
  const cells = [
    link,
    el('span', { class: subject === null ? 'dim' : '' }, who),
    [operation, model === null ? null : el('span', { class: 'dim' }, ` ${model}`)],
    badges(session),
    rules.length === 0
      ? el('span', { class: 'dim' }, end === undefined ? '…' : '—')
      : el('span', { class: 'mono', title: rules.join('\n') }, rules.map(lastPart).join(' ')),
    el('span', { class: 'dim', title: `${namespace}/${pod}` }, `${namespace}/${pod}`),
    el('span', { class: 'dim' }, end === undefined ? '…' : duration(end.durationMs)),
  ];
  row.replaceChildren(
    ...cells.map((cell, at) => el('td', { role: 'cell', class: `c${at}`, 'data-name': columns[at] }, cell)),
  );
}

/** @param {SessionSummary} session */
export function sessionRow(session) {
  const row = el('tr', { role: 'row' });
  fillRow(row, session);
  return row;
}

/**
 * A table of sessions; a click anywhere on a row opens it.
 * @param {string} label
 * @returns {{ element: HTMLTableElement, body: HTMLTableSectionElement }}
 */
export function sessionTable(label) {
  const body = el('tbody', { role: 'rowgroup' });
  body.addEventListener('click', ({ target }) => {
    if (!(target instanceof Element) || target.closest('a') !== null || document.getSelection()?.type === 'Range')
      return;
    target.closest('tr')?.querySelector('a')?.click();
  });
  const head = el(
    'tr',
    { role: 'row' },
    columns.map((name) => el('th', { role: 'columnheader', scope: 'col' }, name)),
  );
  const element = el(
    'table',
    { role: 'table', class: 'sessions', 'aria-label': label },
    el('thead', { role: 'rowgroup' }, head),
  );
  add(element, body);
  return { element, body };
}

/** Puts the focus back on the row from which a session was opened. @param {ParentNode} within */
export function returnToRow(within) {
  const row = /** @type {{ row?: string } | null} */ (history.state)?.row;
  const links = /** @type {NodeListOf<HTMLElement>} */ (within.querySelectorAll('[data-row]'));
  if (row !== undefined) [...links].find(({ dataset }) => dataset['row'] === row)?.focus();
}
