import { ApiError, post, problem } from './api.js';
import { el, pageUrl } from './dom.js';
import { plural } from './format.js';
import { fillRow, keyOf, returnToRow, sessionRow, sessionTable } from './list.js';
import { pause, watched } from './pace.js';

/** @import { SearchPage, SessionSummary } from './contract.d.ts' */
/** @import { Page } from './dom.js' */

const everyMs = 2_000;
const rowsShown = 100;

/** Newest sessions, as they come. @param {Page} page */
export async function live({ main, parameters, info, signal, announce, title, keys }) {
  title('Live');
  const all = info.namespaces.includes('*');
  const namespace = parameters.get('namespace') ?? (all ? null : (info.namespaces[0] ?? null));
  const status = el('span', { class: 'dim' }, 'Loading…');
  const fresh = el('button', { type: 'button', class: 'fresh', hidden: true });
  const trouble = el('div');
  const { element: table, body } = sessionTable('Sessions, newest first');
  table.hidden = true;
  const choice = all
    ? null
    : el(
        'label',
        {},
        'Namespace ',
        el(
          'select',
          { onchange: ({ target }) => location.assign(pageUrl({ namespace: target.value })) },
          info.namespaces.map((one) => el('option', { selected: one === namespace }, one)),
        ),
      );
  main.append(
    el(
      'div',
      { class: 'bar' },
      el('h1', { tabindex: -1 }, 'Live'),
      choice,
      status,
      el('span', { class: 'space' }),
      fresh,
    ),
    trouble,
    table,
  );

  /** @type {Map<string, { row: HTMLTableRowElement, text: string }>} */
  const rows = new Map();
  /** @type {SessionSummary[]} Newest first, not shown yet. */
  let waiting = [];
  const isHeld = () => body.matches(':hover') || body.contains(document.activeElement);
  const show = () => {
    const added = waiting.map((session) => {
      const row = sessionRow(session);
      rows.set(keyOf(session), { row, text: JSON.stringify(session) });
      return row;
    });
    body.prepend(...added);
    waiting = [];
    fresh.hidden = true;
    while (rows.size > rowsShown) {
      const [key, { row }] = [...rows].find(([, one]) => one.row === body.lastElementChild) ?? ['', { row: undefined }];
      if (row === undefined || row.contains(document.activeElement)) break;
      row.remove();
      rows.delete(key);
    }
  };
  const showAndGo = () => {
    show();
    /** @type {HTMLElement | null} */ (body.querySelector('[data-row]'))?.focus();
  };
  fresh.addEventListener('click', showAndGo);
  keys({ n: showAndGo });

  /** @param {readonly SessionSummary[]} sessions newest first */
  const take = (sessions) => {
    for (const session of sessions) {
      const known = rows.get(keyOf(session));
      const text = JSON.stringify(session);
      if (known === undefined || known.text === text) continue;
      const focused = known.row.contains(document.activeElement);
      fillRow(known.row, session);
      known.text = text;
      if (focused) known.row.querySelector('a')?.focus();
    }
    const before = waiting.length;
    waiting = sessions.filter((session) => !rows.has(keyOf(session)));
    const first = rows.size === 0;
    if (waiting.length === 0) return;
    if (!first && waiting.length > before) announce(plural(waiting.length, 'new session'));
    if (first || !isHeld()) return show();
    fresh.textContent = `${plural(waiting.length, 'new session')} — show`;
    fresh.hidden = false;
  };

  const untilWatched = watched(signal);
  let failures = 0;
  for (let first = true; !signal.aborted; first = false) {
    try {
      const question = { limit: rowsShown, ...(namespace === null ? {} : { namespace }) };
      const { sessions } = /** @type {SearchPage} */ (await post('/v1/search', question, signal));
      failures = 0;
      trouble.replaceChildren();
      take(sessions);
      table.hidden = rows.size === 0;
      status.textContent =
        rows.size === 0
          ? 'No session yet: they appear here as governed pods answer.'
          : `the newest ${rows.size}, followed`;
      if (first) returnToRow(body);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      trouble.replaceChildren(problem(error));
      status.textContent = 'not followed';
      if (error instanceof ApiError && [400, 401, 403].includes(error.status)) return;
    }
    await pause(Math.min(everyMs * 2 ** failures, 60_000), signal);
    const paused = setTimeout(() => (status.textContent = 'paused: nobody was here for ten minutes'), 100);
    await untilWatched();
    clearTimeout(paused);
  }
}
