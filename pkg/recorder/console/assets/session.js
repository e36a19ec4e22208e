import { ApiError, get, problem, wanted } from './api.js';
import { add, command, el, facts, pageUrl } from './dom.js';
import { ago, bytes, clockTime, duration, number, plural, utc } from './format.js';
import { badges, tagged } from './list.js';
import { checkProof } from './proof.js';
import { actsOf, listOf, numberOf, objectOf, readSession, receiptOf, textOf } from './record.js';
import { replay } from './replay.js';
import { timeline } from './timeline.js';

/** @import { RuleAct, SessionLines, SessionSummary } from './contract.d.ts' */
/** @import { Page } from './dom.js' */
/** @import { RecordedSession } from './record.js' */

/** @param {string} name @param {...(import('./dom.js').Child | readonly import('./dom.js').Child[])} children */
const panel = (name, ...children) =>
  el('section', { class: 'panel', 'aria-label': name }, el('h2', {}, name), ...children);

/** A detector, with what is said of what it found. @param {string} name @param {NonNullable<RuleAct['found']>} found */
const foundText = (name, found) => {
  const own = found.filter(({ by, reason }) => by === name && reason !== 'Policy');
  const said = own.map(({ certainty, reason }) => `${certainty}: ${reason}`);
  return said.length === 0 ? name : `${name} (${[...new Set(said)].join('; ')})`;
};

/** @param {RuleAct} act @param {string} [how] */
const actItem = ({ rule, act, by = [], count, found = [] }, how = '') =>
  el(
    'li',
    {},
    el('code', {}, rule),
    el('span', { class: `badge ${act}` }, `${how}${act}`),
    el(
      'span',
      { class: 'dim' },
      [
        by.length === 0 ? '' : `by ${by.map((name) => foundText(name, found)).join(', ')}`,
        count === undefined ? '' : plural(count, 'place'),
      ]
        .filter((part) => part !== '')
        .join(', '),
    ),
  );

/** Of a session without an end, by whether there is more of it than is shown. @param {boolean} more */
const noEnd = (more) => (more ? 'Its end is not shown yet.' : 'It goes on, or its end has not come.');

/** Why it went as it did. @param {RecordedSession} session @param {boolean} more There is more of it than is shown. */
function decisionPanel({ end }, more) {
  if (end === undefined) return panel('Decision', el('p', { class: 'dim' }, noEnd(more)));
  const rules = actsOf(end['rules']);
  const open = listOf(end['failedOpen']).map(textOf);
  const code = textOf(end['code']);
  return panel(
    'Decision',
    el(
      'ol',
      { class: 'acts' },
      rules.map((act) => actItem(act)),
      actsOf(end['observed']).map((act) => actItem(act, 'would have: ')),
    ),
    rules.length === 0 && el('p', { class: 'dim' }, 'No rule acted.'),
    open.length > 0 && el('p', { class: 'note' }, `Not checked, as their failure mode allows: ${open.join(', ')}.`),
    el(
      'p',
      {},
      `So: ${textOf(end['outcome'])}, ${textOf(end['status'])}`,
      code !== '' && [' ', el('code', {}, code)],
      '.',
    ),
  );
}

/** What the record keeps of texts. @param {RecordedSession} session @param {string} id */
function contentNote({ start, end, steps }, id) {
  if (start === undefined) return null;
  if (start['sealed'] !== undefined || end?.['sealed'] !== undefined)
    return el(
      'div',
      { class: 'note' },
      el(
        'p',
        {},
        steps.some((step) => 'pieces' in step && step.length !== undefined)
          ? 'Sealed: of its texts there are lengths and what rules did here; nothing here can open them. Unseal on your machine:'
          : 'Sealed: beside masked texts stand the whole ones, which nothing here can open. Unseal on your machine:',
      ),
      command(`kubectl sidegate audit show ${id} --unseal investigator.pem`),
    );
  if (steps.some((step) => 'pieces' in step)) return null;
  return el(
    'p',
    { class: 'note' },
    end?.['outcome'] === 'refused'
      ? 'No text is on record: it was refused before it was read, or its policy keeps none (audit.content: None).'
      : 'No text is on record: its policy keeps none (audit.content: None), or there was none.',
  );
}

/** @param {SessionSummary} session @param {RecordedSession} record */
function factsPanel(session, { start, end }) {
  const tokens = objectOf(end?.['tokens']);
  const timing = objectOf(end?.['timing']);
  /** @param {string} name */
  const time = (name) => {
    const ms = numberOf(timing[name]);
    return ms === undefined ? null : duration(ms);
  };
  return panel(
    'Facts',
    facts([
      ['Caller', session.subject ?? 'nobody known'],
      ['Provider', session.provider],
      ['Issuer', session.issuer],
      ['Groups', session.groups.join(', ')],
      ['From', session.peer],
      ['Began', el('time', { datetime: utc(session.at) }, utc(session.at))],
      ['Pod', `${session.namespace}/${session.pod}`],
      ['Request', `${session.method} ${session.path}`],
      ['Protocol', [textOf(start?.['protocol']), session.dialect].filter((part) => part !== '').join(', ')],
      ['Policies', textOf(start?.['generation'])],
      ['In, out', session.end !== undefined && `${bytes(session.end.bytesIn)}, ${bytes(session.end.bytesOut)}`],
      ['Tokens', tokens['input'] !== undefined && `${textOf(tokens['input'])} in, ${textOf(tokens['output'])} out`],
      ['To the model', time('toUpstream')],
      ['First byte', time('firstByte')],
      ['First text', time('firstText')],
      ['Took', time('total')],
      ['Session', el('code', {}, session.session)],
    ]),
  );
}

/**
 * The path of a session in the API; of several with its id, of that which the page's address names.
 * @param {URLSearchParams} parameters @param {{ below?: string, from?: string }} [more]
 */
function pathOf(parameters, { below = '', from } = {}) {
  const query = new URLSearchParams();
  for (const name of ['chain', 'source']) if (parameters.has(name)) query.set(name, parameters.get(name) ?? '');
  if (from !== undefined) query.set('from', from);
  return `/v1/sessions/${parameters.get('id') ?? ''}${below}${query.size === 0 ? '' : `?${query}`}`;
}

/** @param {SessionLines} one @param {SessionLines} more The page behind it. @returns {SessionLines} */
const joined = (one, more) => ({
  sessions: [...new Map([...one.sessions, ...more.sessions].map((of) => [`${of.source} ${of.chain}`, of])).values()],
  lines: [...one.lines, ...more.lines],
  next: more.next,
});

/** @param {URLSearchParams} parameters @param {SessionLines} found @param {RecordedSession} record @param {AbortSignal} signal */
function proofPanel(parameters, { lines, next }, { start, end }, signal) {
  const said = el('p', { role: 'status', class: 'dim' }, 'Reckoning…');
  // Which rules it must name stands in the end.
  const receipt = start === undefined || (end === undefined && next !== null) ? undefined : receiptOf(start, end);
  const check = async () => {
    try {
      const verdict = await checkProof(await get(pathOf(parameters, { below: '/proof' }), signal), lines);
      if (!verdict.ok) {
        said.className = 'problem';
        said.replaceChildren(
          el('strong', {}, 'Not proven: '),
          `${verdict.why}. Keep what you see, and run the command below.`,
        );
        return;
      }
      const { entries, at, lines: proven, counted, ended, beside, unsigned, more } = verdict;
      const whole = unsigned === 0 && ended && beside === 0;
      said.className = '';
      said.replaceChildren(
        el(
          'span',
          { class: `badge ${whole ? 'proven' : 'open'}` },
          whole
            ? 'in the log'
            : unsigned === 0
              ? 'in the log in part'
              : more > 0
                ? 'not all in one proof'
                : 'not all signed yet',
        ),
        ` ${plural(proven, 'line')} under the head of ${number(entries)} entries, signed ${ago(at)}`,
        unsigned === 0
          ? ''
          : more > 0
            ? `; ${plural(unsigned, 'line')} in what is too much for one proof`
            : `; ${plural(unsigned, 'newer line')} with the next head, within a minute`,
        ended || unsigned > 0 ? '' : '; its end is not in it: it is not there yet, or kept back',
        beside === 0 ? '' : `; ${plural(beside, 'line')} beside it that are not shown may be its own`,
        counted ? '' : '; its sidecar did not say how many lines it has, so that one that is kept back is not seen',
        '. Hashes were reckoned in this browser; whose signature it is, your own copy of the log’s key says:',
      );
    } catch (error) {
      if (signal.aborted) return;
      said.className = '';
      said.replaceChildren(
        error instanceof ApiError && error.status === 404
          ? 'The log has no signed head yet: look again in a minute.'
          : problem(error, () => void check()),
      );
    }
  };
  void check();
  return panel(
    'Proof',
    said,
    command(`kubectl sidegate audit verify --session ${parameters.get('id')}`),
    receipt !== undefined && [el('p', {}, 'Its caller’s receipt must read:'), command(receipt)],
  );
}

/**
 * Any sidecar may record under any id: of several nothing is told before one is chosen, since their lines together are no session.
 * @param {string} id @param {SessionLines} found
 */
const chainChoice = (id, { sessions, next }) => [
  el('h1', { tabindex: -1 }, 'Session'),
  el(
    'p',
    { class: 'note' },
    `${plural(sessions.length, 'record')}${next === null ? '' : ' or more'} under this id: its sidecar chose it, and others may have taken it. Choose which to see.`,
  ),
  el(
    'ul',
    { class: 'chains' },
    sessions.map(({ source, chain, namespace, pod, at }) =>
      el(
        'li',
        {},
        el(
          'a',
          { 'data-row': `${source} ${chain}`, href: pageUrl({ page: 'session', id, chain, source }) },
          `${namespace}/${pod}`,
        ),
        el('span', { class: 'dim' }, ` ${clockTime(at)}, `),
        el('code', {}, source),
        el('span', { class: 'dim' }, ', chain '),
        el('code', {}, chain),
      ),
    ),
  ),
];

/** One session, as it went. @param {Page} page */
export async function session({ main, parameters, signal, title, keys, announce }) {
  title('Session');
  const id = parameters.get('id') ?? '';
  const load = async () => {
    main.replaceChildren(el('p', { class: 'empty', role: 'status' }, 'Loading…'));
    try {
      if (!/^[0-9a-f]{32}$/.test(id)) throw new ApiError(404, 'a session is named by 32 hex digits');
      show(await get(pathOf(parameters), signal));
    } catch (error) {
      if (!signal.aborted)
        main.replaceChildren(
          el('h1', { tabindex: -1 }, 'Session'),
          problem(error, () => void load()),
        );
    }
  };
  /** What is too long for one answer is shown as far as it was asked for. @param {SessionLines} found @param {string} from */
  const further = (found, from) => {
    const said = el('p', { class: 'note', role: 'status' }, 'It is longer than what is shown. ');
    const ask = async () => {
      try {
        show(joined(found, await get(pathOf(parameters, { from }), signal)));
      } catch (error) {
        if (!signal.aborted) said.replaceChildren(problem(error, () => void ask()));
      }
    };
    add(said, el('button', { type: 'button', onclick: () => void ask() }, 'Show more of it'));
    return said;
  };
  /** @param {SessionLines} found */
  const show = (found) => {
    const [first] = found.sessions;
    if (first === undefined) throw new ApiError(404, '');
    if (found.sessions.length > 1) {
      main.replaceChildren(...chainChoice(id, found));
      /** @type {HTMLElement | null} */ (main.querySelector('h1'))?.focus({ preventScroll: true });
      return;
    }
    const isPart = found.next !== null;
    const record = readSession(found.lines);
    const acts =
      record.end === undefined
        ? // The search knows the rules of an end that is not shown yet.
          tagged(first, 'rule:').map((rule) => ({ rule, act: 'acted' }))
        : [...actsOf(record.end['rules']), ...actsOf(record.end['observed'])];
    const who = first.subject ?? 'Nobody known';
    const asked = `${first.operation}${first.model === null ? '' : ` of ${first.model}`}`;
    title(`${who}, ${asked}`);
    const player = replay(record, acts, signal);
    if (player !== undefined) keys({ ' ': player.toggle });
    const [list, more] = timeline(record, acts, {
      begin: [el('div', {}, el('strong', {}, who), ` asked for ${asked} from ${first.peer}`)],
      finish:
        record.end === undefined
          ? [
              el('span', { class: 'dim' }, `${noEnd(isPart)} `),
              isPart ? null : el('button', { type: 'button', onclick: () => void load() }, 'Load again'),
            ]
          : [el('div', {}, badges(first), ` ${textOf(record.end['status'])}`)],
    });
    main.replaceChildren(
      el(
        'div',
        { class: 'bar' },
        el('h1', { tabindex: -1 }, who, el('span', { class: 'dim' }, ` ${asked}`)),
        badges(first),
      ),
      el('p', { class: 'dim under' }, `${clockTime(first.at)}, ${first.namespace}/${first.pod}`),
      el(
        'div',
        { class: 'session' },
        el(
          'div',
          { class: 'course' },
          el('div', { class: 'bar' }, el('h2', {}, 'Timeline'), el('span', { class: 'space' }), player?.button),
          contentNote(record, id),
          player?.player ?? null,
          list,
          more,
          found.next === null ? null : further(found, found.next),
        ),
        el(
          'div',
          { class: 'beside' },
          decisionPanel(record, isPart),
          factsPanel(first, record),
          proofPanel(parameters, found, record, signal),
          panel(
            'Elsewhere',
            el(
              'ul',
              { class: 'plain' },
              first.subject !== null &&
                el(
                  'li',
                  {},
                  el(
                    'a',
                    { href: pageUrl({ page: 'search', user: first.subject, namespace: first.namespace }) },
                    `All of ${first.subject}`,
                  ),
                ),
              el(
                'li',
                {},
                el(
                  'a',
                  { href: pageUrl({ page: 'search', pod: first.pod, namespace: first.namespace }) },
                  'All of this pod',
                ),
              ),
            ),
          ),
        ),
      ),
    );
    announce(`${plural(record.steps.length, 'step')}`);
    add(main);
    /** @type {HTMLElement | null} */ (main.querySelector('h1'))?.focus({ preventScroll: true });
  };
  if (!parameters.has('linked')) return load();
  // Another site's link led here: it reads nothing in the name of who followed it.
  main.replaceChildren(
    el('h1', { tabindex: -1 }, 'Session'),
    el('p', {}, 'A link of another site led here. Nothing was read yet: who reads a session is on record.'),
    el('p', { class: 'mono' }, id),
    el('a', { class: 'button primary', href: pageUrl(wanted(parameters)) }, 'Show this session'),
  );
}
