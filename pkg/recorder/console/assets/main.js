import { ApiError, get, loginUrl, openedBy, post, problem, useCsrf, wanted } from './api.js';
import { approvals } from './approvals.js';
import { byId, el, pageUrl } from './dom.js';
import { keysAreOn, listenToKeys, switchKeys } from './keys.js';
import { live } from './live.js';
import { policies } from './policies.js';
import { search } from './search.js';
import { session } from './session.js';

/** @import { SessionInfo } from './contract.d.ts' */
/** @import { Page } from './dom.js' */

/** @type {Readonly<Record<string, (page: Page) => Promise<void>>>} */
const pages = { live, search, session, policies, approvals };
/** Pages that themselves ask nothing before their reader says so, where another site's link led there. */
const askFirst = new Set(['search', 'session']);
const main = byId('main');
/** @type {{ page: AbortController, keys: Page['keys'] extends (handlers: infer H) => void ? H : never, info: SessionInfo | undefined }} */
const open = { page: new AbortController(), keys: {}, info: undefined };

/** @param {string} text */
const announce = (text) => void (byId('announced').textContent = text);

/** Shows the page that the address names. */
function show() {
  open.page.abort();
  open.page = new AbortController();
  open.keys = {};
  const { info } = open;
  if (info === undefined) return;
  const parameters = new URLSearchParams(location.search);
  const name = parameters.get('page') ?? 'live';
  const page = Object.hasOwn(pages, name) ? pages[name] : undefined;
  main.replaceChildren();
  for (const link of byId('pages').querySelectorAll('a'))
    if (link.dataset['page'] === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  if (page === undefined) {
    main.append(problem(new ApiError(404, 'no such page')));
    return;
  }
  // Another site's link led here: it asks nothing in the name of who followed it.
  if (openedBy(parameters) && !askFirst.has(name)) {
    main.append(
      el('h1', { tabindex: -1 }, name.slice(0, 1).toUpperCase() + name.slice(1)),
      el('p', {}, 'A link of another site led here. Nothing was asked yet: what one asks is on record.'),
      el('a', { class: 'button primary', href: pageUrl(wanted(parameters)) }, 'Show this page'),
    );
    return;
  }
  const { signal } = open.page;
  page({
    main,
    parameters,
    info,
    signal,
    announce,
    keys: (handlers) => {
      if (!signal.aborted) open.keys = handlers;
    },
    title: (text) => void (document.title = `${text} · Sidegate`),
  }).catch((error) => {
    if (!signal.aborted) main.replaceChildren(problem(error));
  });
  // Who reads with a screen reader begins at the new page.
  if (document.activeElement === document.body || document.activeElement?.isConnected !== true)
    /** @type {HTMLElement | null} */ (main.querySelector('h1'))?.focus({ preventScroll: true });
}

/** @param {string} url */
function go(url) {
  const row = /** @type {HTMLElement | null} */ (document.activeElement?.closest('[data-row]') ?? null)?.dataset['row'];
  history.replaceState({ ...history.state, row }, '');
  history.pushState({ inside: true }, '', url);
  show();
  globalThis.scrollTo(0, 0);
}

function back() {
  if (history.state?.inside === true) history.back();
  else if (location.search !== '') go(pageUrl({}));
}

function help() {
  const dialog = /** @type {HTMLDialogElement} */ (byId('help'));
  const on = /** @type {HTMLInputElement} */ (byId('keys-on'));
  on.checked = keysAreOn();
  on.onchange = () => switchKeys(on.checked);
  dialog.showModal();
}

/** Who walks away has to know whether they are logged out. */
async function logOut() {
  document.getElementById('stays')?.remove();
  /** @type {unknown} */
  let leaving;
  try {
    ({ leaving } = await post('/logout', {}));
  } catch (error) {
    // A session that has ended needs no end.
    if (!(error instanceof ApiError && error.status === 401)) {
      const still = el('p', {}, el('strong', {}, 'You are still logged in.'), ' Logging out came to nothing.');
      main.prepend(
        el(
          'div',
          { id: 'stays' },
          still,
          problem(error, () => void logOut()),
        ),
      );
      return;
    }
  }
  open.page.abort();
  open.info = undefined;
  main.replaceChildren(welcome('You are logged out.', typeof leaving === 'string' ? leaving : undefined));
  byId('person').replaceChildren();
  byId('pages').hidden = true;
}

/** @param {string} text @param {string} [leaving] Where the session at the identity provider is ended. */
const welcome = (text, leaving) =>
  el(
    'section',
    { class: 'welcome' },
    el('h1', { tabindex: -1 }, 'Sidegate'),
    el('p', {}, text),
    el('a', { class: 'button primary', href: loginUrl(), 'data-leave': true }, 'Log in'),
    leaving !== undefined && [
      el(
        'p',
        { class: 'dim' },
        `You are still logged in at ${new URL(leaving).host}: whoever comes next here can log in as you.`,
      ),
      el('a', { class: 'button', href: leaving, 'data-leave': true }, 'Log out there, too'),
    ],
  );

/** @param {SessionInfo} info */
function showPerson({ person, role, namespaces }) {
  const of = namespaces.includes('*') ? 'all namespaces' : namespaces.join(', ');
  byId('person').replaceChildren(
    el('span', { title: `${person.issuer} ${person.subject}` }, person.name),
    el('span', { class: 'dim' }, ` ${role}, ${of} `),
    el('button', { type: 'button', onclick: () => void logOut() }, 'Log out'),
  );
}

async function begin() {
  try {
    const info = /** @type {SessionInfo} */ (await get('/session'));
    open.info = info;
    useCsrf(info.csrf);
    showPerson(info);
    byId('pages').hidden = false;
    show();
  } catch (error) {
    const out = error instanceof ApiError && error.status === 401;
    main.replaceChildren(
      out
        ? welcome('The record of every inference session. Log in with your organisation’s account.')
        : problem(error, () => void begin()),
    );
  }
}

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (
    link === null ||
    link.hasAttribute('data-leave') ||
    link.pathname !== '/console/' ||
    link.origin !== location.origin
  )
    return;
  if (link.hash !== '') return;
  event.preventDefault();
  go(link.href);
});
globalThis.addEventListener('popstate', show);
byId('help-open').addEventListener('click', help);
listenToKeys({
  go: (page) => go(pageUrl(page === 'live' ? {} : { page })),
  back,
  search: () => {
    if (document.getElementById('expression') === null) go(pageUrl({ page: 'search' }));
    document.getElementById('expression')?.focus();
  },
  help,
  own: () => open.keys,
});
await begin();
