import { shown } from './text.js';

/**
 * What a page gets.
 *
 * @typedef {object} Page
 * @property {HTMLElement} main Empty; what the page shows goes here.
 * @property {URLSearchParams} parameters
 * @property {import('./contract.d.ts').SessionInfo} info
 * @property {AbortSignal} signal Ends when another page is opened.
 * @property {(handlers: Readonly<Record<string, () => boolean | void>>) => void} keys Keys of this page beside those of all;
 *   a handler that gives false leaves the key to others.
 * @property {(text: string) => void} announce Says it to screen readers.
 * @property {(text: string) => void} title
 */

/** @typedef {string | number | Node | null | undefined | false} Child */

/**
 * An element. Texts become text nodes, with what cannot be seen of them as escapes: nothing becomes markup. `on…` are listeners.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, shown(String(value)));
  }
  add(element, ...children);
  return element;
}

/** @param {Node} to @param {...(Child | readonly Child[])} children */
export function add(to, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    to.appendChild(child instanceof Node ? child : document.createTextNode(shown(String(child))));
  }
}

/** @param {string} id @returns {HTMLElement} of the page itself */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no ${id}`);
  return found;
}

/** @param {Record<string, string | readonly string[] | undefined>} parameters @returns {string} The address of a page. */
export function pageUrl(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of [value ?? []].flat()) search.append(name, one);
  const text = search.toString();
  return text === '' ? '/console/' : `/console/?${text}`;
}

/** @param {string} text @returns {HTMLElement} A command, with a button that copies it. */
export function command(text) {
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': 'Copy the command' }, 'Copy');
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(text).then(
      () => (button.textContent = 'Copied'),
      () => (button.textContent = 'Not allowed'),
    );
  });
  return el('div', { class: 'command' }, el('code', {}, text), button);
}

/**
 * A definition list.
 * @param {readonly (readonly [string, Child | readonly Child[]])[]} rows Those without a value are left out.
 */
export function facts(rows) {
  return el(
    'dl',
    { class: 'facts' },
    rows
      .filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false)
      .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );
}
