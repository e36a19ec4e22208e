import { get, problem } from './api.js';
import { el, pageUrl } from './dom.js';
import { ago, number, utc } from './format.js';

/** @import { Condition, Policies, PolicyHealth } from './contract.d.ts' */
/** @import { Page } from './dom.js' */

/** Conditions that are good when they hold; every other is a problem. Which of the problems `Programmed` sums up stand for themselves. */
const good = new Set(['Accepted', 'Enforced', 'Programmed']);

/** @param {readonly Condition[]} conditions @returns {readonly Condition[]} */
function faults(conditions) {
  const problems = conditions.filter(({ type, status }) => !good.has(type) && status === 'True');
  const missing = conditions.filter(
    ({ type, status }) => good.has(type) && status === 'False' && !(type === 'Programmed' && problems.length > 0),
  );
  return [...missing, ...problems];
}

/** @param {PolicyHealth} policy */
function health({ generation, observed, conditions }) {
  if (conditions === undefined) return [el('span', { class: 'dim' }, '—')];
  if (conditions.length === 0 || observed !== generation) return [el('span', { class: 'dim' }, 'not judged yet')];
  const bad = faults(conditions);
  if (bad.length > 0)
    return bad.map(({ type, reason, message }) =>
      el(
        'div',
        { class: 'condition' },
        el('span', { class: 'badge refused' }, good.has(type) ? `not ${type.toLowerCase()}` : type),
        ` ${[reason === type ? '' : reason, message].filter((part) => part !== '').join(': ')}`,
      ),
    );
  const enforced = conditions.find(({ type }) => type === 'Enforced');
  return enforced?.status === 'True'
    ? [el('span', { class: 'badge completed' }, 'enforced'), ` ${enforced.message}`]
    : [el('span', { class: 'dim' }, enforced?.message === '' ? 'no pods' : (enforced?.message ?? ''))];
}

const columns = ['Policy', 'Generation', 'Health', 'Sessions, 24 h', 'Last seen'];

/** @param {PolicyHealth} policy */
function policyRow(policy) {
  const { namespace, name, generation, sessions, lastSeen } = policy;
  const seen = Date.parse(lastSeen ?? '');
  const href = pageUrl({ page: 'search', since: '24h', ...(namespace === null ? {} : { namespace }) });
  const cells = [
    el(
      'a',
      { href, 'data-row': `${namespace ?? ''}/${name}` },
      namespace === null ? [name, el('span', { class: 'dim' }, ' of the platform')] : `${namespace}/${name}`,
    ),
    String(generation),
    health(policy),
    number(sessions),
    Number.isNaN(seen)
      ? el('span', { class: 'dim' }, 'not in 24 h')
      : el('time', { datetime: utc(seen), title: utc(seen) }, ago(seen)),
  ];
  return el(
    'tr',
    { role: 'row' },
    cells.map((cell, at) => el('td', { role: 'cell', class: `p${at}`, 'data-name': columns[at] }, cell)),
  );
}

/** Policies: how they are, and what sessions of the last day ran under them. @param {Page} page */
export async function policies({ main, signal, title, info }) {
  title('Policies');
  const result = el('div', {}, el('p', { class: 'empty', role: 'status' }, 'Loading…'));
  main.append(
    el(
      'div',
      { class: 'bar' },
      el('h1', { tabindex: -1 }, 'Policies'),
      el('span', { class: 'dim' }, 'and the sessions of the last 24 hours that ran under them'),
    ),
    result,
  );
  const load = async () => {
    try {
      if (!info.policies) {
        result.replaceChildren(el('p', { class: 'empty' }, 'This recorder does not list policies.'));
        return;
      }
      const {
        policies: found,
        complete = true,
        health: known,
      } = /** @type {Policies} */ (await get('/policies', signal));
      if (found.length === 0) {
        result.replaceChildren(
          el(
            'p',
            { class: 'empty' },
            known === true
              ? 'There is no policy, and no session of the last 24 hours names one.'
              : 'No session of the last 24 hours names a policy.',
          ),
        );
        return;
      }
      const head = el(
        'tr',
        { role: 'row' },
        columns.map((name) => el('th', { role: 'columnheader', scope: 'col' }, name)),
      );
      result.replaceChildren(
        complete
          ? ''
          : el('p', { class: 'note' }, 'There is more than is looked at here: these are the newest sessions.'),
        known === false
          ? el(
              'p',
              { class: 'note' },
              'The controller does not say now how policies are. What stands here is of the record alone.',
            )
          : '',
        el(
          'table',
          { role: 'table', class: 'policies', 'aria-label': 'Policies' },
          el('thead', { role: 'rowgroup' }, head),
          el('tbody', { role: 'rowgroup' }, found.map(policyRow)),
        ),
      );
    } catch (error) {
      if (!signal.aborted) result.replaceChildren(problem(error, () => void load()));
    }
  };
  await load();
}
