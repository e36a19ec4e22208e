import { el } from './dom.js';

/** An answer that is none; `status` 0: the recorder was not reached. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {number} [retryAfter] Seconds. */
  constructor(status, message, retryAfter) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const session = { csrf: '', linked: false };
/** What says who one is, and that one goes: nothing of a record. */
const free = new Set(['/session', '/logout']);
/**
 * Told of each address: whether another site's link led to it. Of such a one nothing is asked, since each question is put on record in its reader's
 * name; they say first that they want it.
 * @param {URLSearchParams} parameters
 */
export function openedBy(parameters) {
  session.linked = parameters.has('linked');
  return session.linked;
}
/** @param {URLSearchParams} parameters @returns {Record<string, string>} Of the same address, once its reader wants it. */
export const wanted = (parameters) => Object.fromEntries([...parameters].filter(([name]) => name !== 'linked'));

/** @param {string} csrf */
export const useCsrf = (csrf) => void (session.csrf = csrf);

/**
 * @param {string} path @param {RequestInit} init
 * @returns {Promise<Response>} @throws {ApiError}
 */
async function ask(path, init) {
  if (session.linked && !free.has(path)) throw new ApiError(0, 'a link of another site led here');
  const request = /** @type {RequestInit} */ ({
    ...init,
    cache: 'no-store',
    credentials: 'same-origin',
    redirect: 'error',
  });
  const answer = await fetch(`/console${path}`, request).catch((error) => {
    if (init.signal?.aborted === true) throw error;
    throw new ApiError(0, 'no answer');
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const after = Number(answer.headers.get('retry-after') ?? Number.NaN);
  throw new ApiError(
    answer.status,
    String(said.message ?? said.code ?? said.error ?? ''),
    after > 0 ? after : undefined,
  );
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
export const get = async (path, signal) => (await ask(path, { signal: signal ?? null })).json();

/**
 * @param {string} path @param {object} body @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
export const send = (path, body, signal) =>
  ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-sidegate-csrf': session.csrf },
    body: JSON.stringify(body),
    signal: signal ?? null,
  });

/** @param {string} path @param {object} body @param {AbortSignal} [signal] @returns {Promise<any>} */
export const post = async (path, body, signal) => (await send(path, body, signal)).json();

/** @returns {string} Where one logs in and comes back to this page. */
export const loginUrl = () => `/console/login?to=${encodeURIComponent(location.pathname + location.search)}`;

/** @param {ApiError} error @returns {[string, string]} What it is, and what to do. */
function words({ status, message, retryAfter }) {
  const said = message === '' ? '' : ` (${message})`;
  const after = retryAfter === undefined ? 'in a minute' : `in ${retryAfter} s`;
  if (status === 0) return ['The recorder does not answer.', 'Check your connection, then try again.'];
  if (status === 400) return [`The recorder does not understand this${said}.`, 'Mend the question.'];
  if (status === 401) return ['You are not logged in, or your session has ended.', ''];
  if (status === 403)
    return [
      `You may not see this${said}.`,
      'Ask whoever runs Sidegate for the role auditor, of this namespace or of all.',
    ];
  if (status === 404)
    return [`There is no such thing${said}.`, 'It may have been deleted by retention; check the address.'];
  if (status === 429) return ['Too many questions at once.', `Try again ${after}.`];
  if (status === 503)
    return [`The recorder cannot answer now${said}.`, `Try again ${after}; if it lasts, see its log.`];
  return [`The recorder answered ${status}${said}.`, 'Try again; if it lasts, see its log.'];
}

/** @param {unknown} error @param {() => void} [retry] @returns {HTMLElement} What went wrong and what to do. */
export function problem(error, retry) {
  const known = error instanceof ApiError ? error : new ApiError(-1, String(error));
  const [what, todo] =
    known.status === -1 ? [`The console failed (${known.message}).`, 'Load the page again.'] : words(known);
  return el(
    'div',
    { class: 'problem', role: 'alert' },
    el('strong', {}, what),
    todo === '' ? null : ` ${todo} `,
    known.status === 401
      ? el('a', { href: loginUrl(), class: 'button', 'data-leave': true }, 'Log in again')
      : retry !== undefined && el('button', { type: 'button', onclick: retry }, 'Try again'),
  );
}
