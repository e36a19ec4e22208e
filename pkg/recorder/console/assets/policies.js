import { get, problem } from './api.js';
import { el, pageUrl } from './dom.js';
import { ago, number, utc } from './format.js';

/** @import { Policies, PolicyHealth } from './contract.d.ts' */
/** @import { Page } from './dom.js' */

/** @param {PolicyHealth} policy */
function health({ ready }) {
  if (ready === undefined) return [el('span', { class: 'dim' }, '—')];
  const bad = ready.filter(({ type, status }) => (type === 'Ready') !== (status === 'True'));
  if (bad.length === 0) return [el('span', { class: 'badge completed' }, 'ready')];
  return bad.map(({ type, reason = '', message = '' }) =>
    el(
      'div',
      {},
      el('span', { class: 'badge refused' }, type === 'Ready' ? 'not ready' : type),
      ` ${[reason, message].filter((part) => part !== '').join(': ')}`,
    ),
  );
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

/** Policies, as records of the last day name them. @param {Page} page */
export async function policies({ main, signal, title, info }) {
  title('Policies');
  const result = el('div', {}, el('p', { class: 'empty', role: 'status' }, 'Loading…'));
  main.append(
    el(
      'div',
      { class: 'bar' },
      el('h1', { tabindex: -1 }, 'Policies'),
      el('span', { class: 'dim' }, 'that sessions of the last 24 hours ran under'),
    ),
    result,
  );
  const load = async () => {
    try {
      if (!info.policies) {
        result.replaceChildren(el('p', { class: 'empty' }, 'This recorder does not list policies.'));
        return;
      }
      const { policies: found, complete = true } = /** @type {Policies} */ (await get('/policies', signal));
      if (found.length === 0) {
        result.replaceChildren(el('p', { class: 'empty' }, 'No session of the last 24 hours names a policy.'));
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
          : el('p', { class: 'note' }, 'There were more sessions than are looked at here: these are the newest.'),
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
