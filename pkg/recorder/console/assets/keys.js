import { byId } from './dom.js';

/** @typedef {Readonly<Record<string, () => boolean | void>>} Handlers */

const stored = 'sidegate-keys';
/** Keys of one letter can be switched off: they are in the way of who speaks to the machine. */
export const keysAreOn = () => localStorage.getItem(stored) !== 'off';
/** @param {boolean} on */
export const switchKeys = (on) => localStorage.setItem(stored, on ? 'on' : 'off');

/** @param {1 | -1} step */
function moveRow(step) {
  const rows = /** @type {HTMLElement[]} */ ([...byId('main').querySelectorAll('[data-row]')]);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at === -1 ? (step === 1 ? 0 : rows.length - 1) : at + step];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

/**
 * Listens to the keys of all pages.
 *
 * @param {{ go: (page: string) => void, back: () => void, search: () => void, help: () => void, own: () => Handlers }} actions
 *   `own`: those of the page that is open; they come first.
 */
export function listenToKeys({ go, back, search, help, own }) {
  let afterG = false;
  /** @type {Handlers} */
  const common = {
    j: () => moveRow(1),
    k: () => moveRow(-1),
    '/': search,
    '?': help,
    Escape: back,
    g: () => void (afterG = true),
  };
  document.addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || byId('help').hasAttribute('open'))
      return;
    const typing = target instanceof Element && target.closest('input, select, textarea') !== null;
    const pressing = key === ' ' && target instanceof Element && target.closest('button, a, summary') !== null;
    if (key !== 'Escape' && (typing || pressing || !keysAreOn())) return;
    const pages = new Map([
      ['l', 'live'],
      ['s', 'search'],
      ['p', 'policies'],
      ['a', 'approvals'],
    ]);
    const page = afterG ? pages.get(key) : undefined;
    afterG = false;
    if (page !== undefined) {
      event.preventDefault();
      return go(page);
    }
    const handler = own()[key];
    if (handler !== undefined && handler() !== false) return event.preventDefault();
    if (key === 'Escape' && typing) return /** @type {HTMLElement} */ (target).blur();
    const other = common[key];
    if (other === undefined) return;
    event.preventDefault();
    other();
  });
}
