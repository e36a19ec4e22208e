import { el } from './dom.js';
import { duration } from './format.js';
import { marksIn, textNodes } from './text.js';

/** @import { RuleAct } from './contract.d.ts' */
/** @import { RecordedSession } from './record.js' */

/**
 * Plays the answer as it left: each segment at its time, as fast as it was or four times so.
 *
 * @param {RecordedSession} session @param {readonly RuleAct[]} acts @param {AbortSignal} signal
 * @returns {{ button: HTMLElement, player: HTMLElement, toggle: () => boolean } | undefined} Undefined: there is no answer, or none that can be read here.
 */
export function replay({ steps }, acts, signal) {
  const answered = steps.flatMap((step) =>
    'pieces' in step && step.kind === 'answered' && step.length === undefined ? [step] : [],
  );
  const pieces = answered.flatMap((step) => step.pieces.map((piece) => ({ ...piece, step })));
  const last = pieces.at(-1);
  if (last === undefined) return undefined;
  const total = Math.max(last.at, 1);
  const button = el('button', { type: 'button' }, 'Replay');
  const play = el('button', { type: 'button', class: 'primary' }, 'Play');
  const again = el('button', { type: 'button' }, 'From the start');
  const fast = el('button', { type: 'button', 'aria-pressed': 'false' }, '×4');
  const progress = el('progress', { max: total, value: 0, 'aria-label': 'Time of the answer' });
  const clock = el('span', { class: 'mono dim' });
  const texts = el('div', { class: 'played', 'aria-live': 'off' });
  const player = el(
    'section',
    { class: 'player panel', 'aria-label': 'Replay', hidden: true },
    el('div', { class: 'bar' }, play, fast, again, progress, clock, el('span', { class: 'dim' }, 'Space pauses')),
    texts,
  );
  const at = { time: 0, piece: 0, playing: false, frame: 0 };
  /** @type {{ of: object, text: string, box: HTMLElement } | undefined} */
  let open;
  const draw = () => {
    for (let next = pieces[at.piece]; next !== undefined && next.at <= at.time; next = pieces[++at.piece]) {
      if (open?.of !== next.step) {
        open = { of: next.step, text: '', box: el('div', { class: 'text', dir: 'auto' }) };
        texts.append(el('div', { class: 'lane' }, el('code', {}, next.step.lane)), open.box);
      }
      open.text += next.text;
      // Of a long step its end: what is before stands in the timeline.
      const tail = open.text.slice(-8_000);
      open.box.replaceChildren(textNodes(tail, marksIn(tail, acts)));
      open.box.scrollIntoView({ block: 'nearest' });
    }
    progress.value = Math.min(at.time, total);
    clock.textContent = `${duration(Math.min(at.time, total))} of ${duration(total)}`;
    play.textContent = at.playing ? 'Pause' : 'Play';
  };
  const begin = () => {
    let before = performance.now();
    const step = (/** @type {number} */ now) => {
      if (signal.aborted || !at.playing) return;
      at.time += Math.max(0, now - before) * (fast.getAttribute('aria-pressed') === 'true' ? 4 : 1);
      before = now;
      if (at.time >= total) at.playing = false;
      draw();
      if (at.playing) at.frame = requestAnimationFrame(step);
    };
    at.frame = requestAnimationFrame(step);
  };
  const rewind = () => {
    [at.time, at.piece, open] = [0, 0, undefined];
    texts.replaceChildren();
  };
  const toggle = () => {
    if (player.hidden) return false;
    if (!at.playing && at.piece >= pieces.length) rewind();
    at.playing = !at.playing;
    cancelAnimationFrame(at.frame);
    if (at.playing) begin();
    draw();
    return true;
  };
  play.addEventListener('click', toggle);
  again.addEventListener('click', () => {
    rewind();
    at.playing = false;
    toggle();
  });
  fast.addEventListener('click', () =>
    fast.setAttribute('aria-pressed', String(fast.getAttribute('aria-pressed') !== 'true')),
  );
  button.addEventListener('click', () => {
    player.hidden = false;
    play.focus();
    if (!at.playing) toggle();
  });
  return { button, player, toggle };
}
