import { ApiError, get, post, problem } from './api.js';
import { now } from './clock.js';
import { el, facts } from './dom.js';
import { clockTime, plural } from './format.js';
import { pause, watched } from './pace.js';
import { recordText } from './timeline.js';

/** @import { Approval, Approvals } from './contract.d.ts' */
/** @import { Page } from './dom.js' */

const everyMs = 5_000;
/** So long after something moved, a press of the pointer may be meant for what was there before. */
const movedMs = 700;

/** @param {Approval} approval */
const keyOf = ({ namespace, name }) => `${namespace}/${name}`;

/** @param {number} ms */
function left(ms) {
  if (!(ms > 0)) return 'its time is up';
  const seconds = Math.ceil(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const two = (/** @type {number} */ part) => String(part).padStart(2, '0');
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)} left`;
}

/**
 * One that waits. It stays where it is, also when it has been decided, so that no button moves under a finger. One press decides; what has just
 * moved under the pointer does not.
 *
 * @param {Approval} approval @param {(text: string) => void} announce @param {AbortSignal} signal
 * @param {{ at: number }} moved When something on the page moved last, by `performance.now()`.
 */
function approvalCard(approval, announce, signal, moved) {
  const { namespace, name, caller, issuer, direction, operation, model, rule, excerpt, created, expires, required } =
    approval;
  const end = Date.parse(expires);
  const clock = el('span', { class: 'badge held', role: 'timer', 'aria-live': 'off' });
  const votes = el('span', { class: 'dim' });
  const actions = el('div', { class: 'actions' });
  const state = { over: false, gone: false };
  const id = `reason-${keyOf(approval)}`;
  const card = el(
    'article',
    {
      class: 'panel approval',
      tabindex: 0,
      'data-row': keyOf(approval),
      'aria-label': `${caller}, ${operation} ${model ?? ''}`,
    },
    el(
      'div',
      { class: 'bar' },
      el('h2', {}, caller, el('span', { class: 'dim' }, ` ${operation}${model === null ? '' : ` of ${model}`}`)),
      el('span', { class: 'space' }),
      votes,
      clock,
    ),
    facts([
      ['Caller', `${caller} at ${issuer}`],
      ['What waits', direction],
      ['Rule', el('code', {}, rule)],
      ['Approval', el('code', {}, keyOf(approval))],
      ['Asked', clockTime(Date.parse(created))],
    ]),
    ...recordText(
      excerpt,
      rule.split(', ').map((one) => ({ rule: one, act: 'held' })),
    ),
    actions,
  );
  const said = el('span', { class: 'dim', role: 'status' });
  const reason = el('input', { id, maxlength: 1_024, autocomplete: 'off', placeholder: 'optional, on record' });
  /** @param {'approve' | 'deny'} verb */
  const button = (verb) =>
    el(
      'button',
      {
        type: 'button',
        class: verb === 'approve' ? 'primary' : 'danger',
        onclick: ({ detail }) => {
          // By keys it is pressed where it is.
          if (detail > 0 && performance.now() - moved.at < movedMs)
            said.textContent = 'This has just moved: look at it, then press again.';
          else void decide(verb, reason.value.trim());
        },
      },
      verb === 'approve' ? 'Approve' : 'Deny',
    );
  const buttons = { approve: button('approve'), deny: button('deny') };
  /** @param {...Node} what Instead of what can be done. */
  const put = (...what) => {
    actions.replaceChildren(...what);
    moved.at = performance.now();
  };
  const offer = () => {
    said.textContent = '';
    put(
      el('label', { for: id }, 'Reason'),
      reason,
      el('span', { class: 'verbs' }, buttons.approve, buttons.deny),
      said,
    );
  };
  /** @param {string} text */
  const settle = (text) => {
    state.over = true;
    card.classList.add('over');
    put(el('span', { role: 'status' }, text));
  };
  /** @param {'approve' | 'deny'} verb @param {string} why */
  const decide = async (verb, why) => {
    put(el('span', { role: 'status' }, 'Sending…'));
    card.focus();
    try {
      const path = `/approvals/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${verb}`;
      const after = /** @type {Approval} */ (await post(path, why === '' ? {} : { reason: why }, signal));
      const open =
        after.state === 'Pending' ? ` It waits for more: ${after.decided} of ${after.required} approve.` : '';
      const done = verb === 'approve' ? `Approved by you.${open}` : 'Denied by you.';
      settle(done);
      state.gone = false;
      announce(done);
    } catch (error) {
      if (signal.aborted) return;
      offer();
      const final = error instanceof ApiError && error.status === 409;
      if (final) settle(`Nothing more can be decided (${error.message}).`);
      else actions.prepend(problem(error));
    }
  };
  /** @param {Approval} latest */
  const update = ({ decided }) => {
    votes.textContent = required > 1 ? `${decided} of ${required} approve` : '';
    if (!state.gone) return;
    // It is listed again: it was not decided, the list before lacked it.
    Object.assign(state, { over: false, gone: false });
    card.classList.remove('over');
    offer();
  };
  // Whether its time is up is for the controller to say: this clock may be wrong.
  const tick = () => void (clock.textContent = left(end - now()));
  offer();
  update(approval);
  tick();
  return {
    card,
    /** Leads to the button. @param {'approve' | 'deny'} verb */
    lead: (verb) => {
      if (!state.over) buttons[verb].focus();
    },
    update,
    tick,
    /** It is no longer listed. */
    gone: () => {
      if (state.over) return;
      settle('It waits no longer: decided elsewhere, out of time, or its caller has gone.');
      state.gone = true;
    },
    /** @returns {boolean} whether the focus was within, and is on the card now */
    leave: () => {
      if (!actions.contains(document.activeElement)) return false;
      card.focus();
      return true;
    },
  };
}

/** What waits for people. @param {Page} page */
export async function approvals({ main, info, signal, announce, title, keys }) {
  title('Approvals');
  const status = el('span', { class: 'dim' }, 'Loading…');
  const trouble = el('div');
  const list = el('div', { class: 'approvals' });
  main.append(el('div', { class: 'bar' }, el('h1', { tabindex: -1 }, 'Approvals'), status), trouble, list);
  if (!info.approvals) {
    status.textContent = '';
    list.append(
      el(
        'p',
        { class: 'empty' },
        'This recorder knows no decision endpoint. Decide with kubectl sidegate approvals list.',
      ),
    );
    return;
  }
  /** @type {Map<string, ReturnType<typeof approvalCard>>} */
  const cards = new Map();
  const moved = { at: 0 };
  /** @param {...Node} what */
  const tell = (...what) => {
    if (what.length > 0 || trouble.firstChild !== null) moved.at = performance.now();
    trouble.replaceChildren(...what);
  };
  const focused = () => [...cards.values()].find(({ card }) => card.contains(document.activeElement));
  keys({
    a: () => focused()?.lead('approve'),
    d: () => focused()?.lead('deny'),
    Escape: () => focused()?.leave() ?? false,
  });
  const tick = setInterval(() => cards.forEach((one) => one.tick()), 1_000);
  signal.addEventListener('abort', () => clearInterval(tick));
  /** @param {readonly Approval[]} waiting @param {boolean} complete */
  const take = (waiting, complete) => {
    const listed = new Set(waiting.map(keyOf));
    if (complete) for (const [key, one] of cards) if (!listed.has(key)) one.gone();
    const fresh = waiting.filter((one) => !cards.has(keyOf(one)));
    for (const one of waiting) cards.get(keyOf(one))?.update(one);
    for (const one of fresh) {
      const made = approvalCard(one, announce, signal, moved);
      cards.set(keyOf(one), made);
      list.append(made.card);
    }
    status.textContent =
      waiting.length === 0
        ? complete
          ? 'Nothing waits for you.'
          : 'What waits for you is not fully known: look again.'
        : `${plural(waiting.length, 'request')} ${waiting.length === 1 ? 'waits' : 'wait'} for you; you decide as ${info.person.name}`;
    if (fresh.length > 0) announce(plural(fresh.length, 'new approval'));
  };
  const untilWatched = watched(signal);
  for (let failures = 0; !signal.aborted;) {
    try {
      const { approvals: waiting, complete } = /** @type {Approvals} */ (await get('/approvals', signal));
      failures = 0;
      tell();
      take(
        waiting.filter(({ state }) => state === 'Pending'),
        complete,
      );
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      tell(problem(error));
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return;
    }
    await pause(Math.min(everyMs * 2 ** failures, 60_000), signal);
    await untilWatched();
  }
}
