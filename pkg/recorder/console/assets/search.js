import { post, problem, send } from './api.js';
import { add, command, el, pageUrl } from './dom.js';
import { plural } from './format.js';
import { returnToRow, sessionRow, sessionTable } from './list.js';
import { conditions, expressionOf, parseExpression, questionOf, valuesOf } from './question.js';

/** @import { SearchPage } from './contract.d.ts' */
/** @import { Page } from './dom.js' */
/** @import { Condition, Values } from './question.js' */

/** Shown before one asks for more. */
const first = 8;

/** @param {Condition} condition @param {() => void} changed */
function field({ flag, label, hint = '', choices = [], kind }, changed) {
  const id = `for-${flag}`;
  const input = el('input', {
    id,
    name: flag,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: hint,
    inputmode: kind === 'whole' ? 'numeric' : undefined,
    list: choices.length > 0 ? `${id}-choices` : undefined,
    oninput: changed,
  });
  const list =
    choices.length > 0 &&
    el(
      'datalist',
      { id: `${id}-choices` },
      choices.map((value) => el('option', { value })),
    );
  return { flag, kind, input, element: el('div', { class: 'field' }, el('label', { for: id }, label), input, list) };
}

/** The conditions as a form and as the command's expression: each shows the other. @param {Values} values @param {(values: Values) => void} onSearch */
function searchForm(values, onSearch) {
  const expression = el('input', {
    id: 'expression',
    class: 'mono',
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    'aria-describedby': 'expression-faults',
    placeholder: "--user ana --since 1h --text 'project falcon'",
  });
  const faults = el('p', { id: 'expression-faults', class: 'faults', role: 'status' });
  const fields = conditions.map((condition) => field(condition, () => fromForm()));
  /** @param {Values} now @param {readonly string[]} problems */
  const say = (now, problems) => {
    const all = [...problems, ...questionOf(now).faults];
    faults.textContent = all.join('; ');
    expression.setAttribute('aria-invalid', String(all.length > 0));
    return all.length === 0;
  };
  /** @returns {Values} A list is one field, its values apart by commas. */
  const formValues = () =>
    new Map(
      fields
        .map(({ flag, kind, input }) => {
          const parts = kind === 'list' ? input.value.split(/[,\s]+/) : [input.value.trim()];
          return /** @type {[string, string[]]} */ ([flag, parts.filter((part) => part !== '')]);
        })
        .filter(([, list]) => list.length > 0),
    );
  /** @param {Values} now */
  const fill = (now) => {
    for (const { flag, input } of fields) input.value = (now.get(flag) ?? []).join(', ');
  };
  const fromForm = () => {
    const now = formValues();
    expression.value = expressionOf(now);
    say(now, []);
  };
  expression.addEventListener('input', () => {
    const { values: now, faults: problems } = parseExpression(expression.value);
    fill(now);
    say(now, problems);
  });
  fill(values);
  fromForm();
  const more = el(
    'details',
    {},
    el('summary', {}, 'More conditions'),
    el(
      'div',
      { class: 'fields' },
      fields.slice(first).map(({ element }) => element),
    ),
  );
  more.open = fields.slice(first).some(({ flag }) => values.has(flag));
  return el(
    'form',
    {
      class: 'search',
      role: 'search',
      onsubmit: (event) => {
        event.preventDefault();
        const { values: now, faults: problems } = parseExpression(expression.value);
        if (say(now, problems)) onSearch(now);
        else expression.focus();
      },
    },
    el(
      'div',
      { class: 'expression' },
      el('label', { for: 'expression', class: 'mono' }, 'audit search'),
      expression,
      el('button', { class: 'primary' }, 'Search'),
    ),
    faults,
    el(
      'div',
      { class: 'fields' },
      fields.slice(0, first).map(({ element }) => element),
    ),
    more,
  );
}

/** Saves all that is found, with its lines. @param {object} question @param {AbortSignal} signal */
function exportButton(question, signal) {
  const said = el('span', { role: 'status', class: 'dim' });
  const button = el('button', { type: 'button' }, 'Export as JSON lines');
  const save = async () => {
    button.disabled = true;
    said.textContent = 'Exporting…';
    try {
      const blob = await (await send('/v1/export', question, signal)).blob();
      const url = URL.createObjectURL(blob);
      el('a', { href: url, download: 'sessions.jsonl', 'data-leave': true }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      said.textContent = 'Saved as sessions.jsonl.';
    } catch (error) {
      if (!signal.aborted) said.replaceChildren(problem(error));
    }
    button.disabled = false;
  };
  button.addEventListener('click', () => void save());
  return [button, said];
}

/**
 * Sessions that may be among these, and are not found.
 * @param {readonly string[]} ids The newest of them.
 * @param {boolean} more There may be others.
 */
function partlyNote(ids, more) {
  const links = ids.map((id) => el('li', {}, el('a', { class: 'mono', href: pageUrl({ page: 'session', id }) }, id)));
  return el(
    'details',
    { class: 'note partly' },
    el(
      'summary',
      {},
      `Partly searched: ${plural(ids.length, 'session')}${more ? ' or more' : ''} with more words, rules or groups than the index takes may be among these, too.`,
    ),
    el('ul', {}, links),
  );
}

/** Of sessions whose texts are sealed the index has no word. @param {SearchPage['sealed']} sealed */
const sealedNote = ({ sessions, more }) =>
  el(
    'p',
    { class: 'note sealed' },
    `${plural(sessions, 'session')}${more ? ' or more' : ''} with sealed texts may hold these words, too: nothing here knows. Look for them by fields, and unseal them on your machine.`,
  );

/** @param {Page} page */
export async function search({ main, parameters, info, signal, announce, title }) {
  title('Search');
  const values = valuesOf(parameters);
  const [own] = info.namespaces;
  // Who may see some namespaces asks in one of them.
  if (!info.namespaces.includes('*') && !values.has('namespace') && own !== undefined) values.set('namespace', [own]);
  // Another site's link led here: it asks nothing in the name of who followed it.
  const linked = parameters.has('linked');
  const asked = !linked && (parameters.has('asked') || valuesOf(parameters).size > 0);
  const form = searchForm(values, (now) => {
    const url = pageUrl({ page: 'search', asked: now.size === 0 ? '' : undefined, ...Object.fromEntries(now) });
    const link = el('a', { href: url });
    main.append(link);
    link.click();
  });
  const results = el('section', { 'aria-label': 'Sessions found', 'aria-busy': true });
  main.append(el('h1', { tabindex: -1 }, 'Search'), form, results);
  if (!asked) {
    results.setAttribute('aria-busy', 'false');
    add(
      results,
      el(
        'p',
        { class: 'empty' },
        linked
          ? 'A link of another site led here. Nothing was asked yet: read what it would ask, then press Enter. Each search goes on record.'
          : 'All conditions must hold. Text is found by whole words, without case and accents. Each search goes on record.',
      ),
    );
    /** @type {HTMLElement | null} */ (form.querySelector('#expression'))?.focus();
    return;
  }
  const { question, faults } = questionOf(values);
  if (faults.length > 0) return results.remove();
  const cursor = parameters.get('cursor');
  const run = async () => {
    results.replaceChildren(el('p', { class: 'empty', role: 'status' }, 'Searching…'));
    try {
      const page = { ...question, limit: 100, ...(cursor === null ? {} : { cursor }) };
      const found = /** @type {SearchPage} */ (await post('/v1/search', page, signal));
      results.replaceChildren(...resultParts(found));
      announce(found.sessions.length === 0 ? 'Nothing found' : plural(found.sessions.length, 'session'));
      returnToRow(results);
    } catch (error) {
      if (!signal.aborted) results.replaceChildren(problem(error, () => void run()));
    }
    results.setAttribute('aria-busy', 'false');
  };
  /** @param {SearchPage} found */
  const resultParts = ({
    sessions,
    cursor: next,
    unsearched,
    partly = [],
    partlyMore = false,
    sealed = { sessions: 0, more: false },
  }) => {
    const expression = expressionOf(values);
    const own = { page: 'search', asked: '', ...Object.fromEntries(values) };
    const { element: table, body } = sessionTable('Sessions found');
    body.append(...sessions.map(sessionRow));
    const count =
      sessions.length === 0
        ? next !== null
          ? 'None among the sessions that were looked through so far. The next page goes on behind them.'
          : cursor === null
            ? 'No session is on record with all of this. Take a condition away, or look further back.'
            : 'That was the last page.'
        : `${plural(sessions.length, 'session')}${cursor === null ? '' : ', further pages'}`;
    return [
      el(
        'div',
        { class: 'bar' },
        el('p', { class: sessions.length === 0 ? 'empty' : 'dim' }, count),
        el('span', { class: 'space' }),
        exportButton(question, signal),
      ),
      ...(unsearched > 0
        ? [
            el(
              'p',
              { class: 'note' },
              `The newest ${plural(unsearched, 'block')} of lines are not in the index of words yet: search again in a moment.`,
            ),
          ]
        : []),
      ...(partly.length > 0 || partlyMore ? [partlyNote(partly, partlyMore)] : []),
      ...(sealed.sessions > 0 || sealed.more ? [sealedNote(sealed)] : []),
      ...(sessions.length > 0 ? [table] : []),
      el(
        'nav',
        { class: 'bar', 'aria-label': 'Pages' },
        cursor !== null && el('a', { class: 'button', href: pageUrl(own) }, 'First page'),
        next !== null && el('a', { class: 'button', href: pageUrl({ ...own, cursor: next }) }, 'Next page'),
      ),
      command(`kubectl sidegate audit search${expression === '' ? '' : ` ${expression}`}`),
    ];
  };
  await run();
}
