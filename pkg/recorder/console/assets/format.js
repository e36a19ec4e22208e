import { now } from './clock.js';

const count = new Intl.NumberFormat('en-US');
/** @param {number} value @returns {string} */
export const number = (value) => count.format(value);

/** @param {number} value @param {string} one @param {string} [many] */
export const plural = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** @param {number} value */
export function bytes(value) {
  if (value < 1_024) return `${value} B`;
  return value < 1_048_576 ? `${(value / 1_024).toFixed(1)} KiB` : `${(value / 1_048_576).toFixed(1)} MiB`;
}

/** @param {number} value Milliseconds. */
export function duration(value) {
  if (value < 1_000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1_000).toFixed(value < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(value / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, '0');
/** @param {Date} day */
const dayOf = (day) => `${two(day.getMonth() + 1)}-${two(day.getDate())}`;

/** @param {number} at Epoch milliseconds. @returns {string} Of this browser's zone; with day and year where they are not today's. */
export function clockTime(at) {
  const [day, today] = [new Date(at), new Date(now())];
  const time = `${two(day.getHours())}:${two(day.getMinutes())}:${two(day.getSeconds())}`;
  if (day.getFullYear() !== today.getFullYear()) return `${day.getFullYear()}-${dayOf(day)} ${time}`;
  return dayOf(day) === dayOf(today) ? time : `${dayOf(day)} ${time}`;
}

/** @param {number} at @returns {string} RFC 3339; '' where it is no time. */
export const utc = (at) => (Number.isFinite(at) ? new Date(at).toISOString() : '');

/** @param {number} at @returns {string} How long ago, in a word. */
export function ago(at) {
  const seconds = Math.max(0, Math.round((now() - at) / 1_000));
  if (seconds < 60) return 'just now';
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86_400
    ? `${Math.floor(seconds / 3_600)} h ago`
    : `${plural(Math.floor(seconds / 86_400), 'day')} ago`;
}
