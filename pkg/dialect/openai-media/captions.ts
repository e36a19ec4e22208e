import type { JsonEdit } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { DocumentBody, DocumentText } from '../document.ts';

/**
 * Transcripts that are no JSON, as JSON that says the same: captions (SubRip; WebVTT of the W3C) are their cues, in order, and what stands between
 * them; any other text is one.
 *
 * Promise: each character of the document is in a string of the JSON or one of the marks that are checked here: numbers of cues, times, line ends.
 * What is put in place of a cue's text leaves it one cue: it has no empty line and no arrow in it. Captions that are not written just so are one text.
 */

const mediaTypes: ReadonlySet<string> = new Set([
  'text/plain',
  'text/html', // what whisper.cpp's server calls plain text
  'text/vtt',
  'text/srt',
  'application/x-subrip',
  'application/srt',
]);

/** A string of the document. */
interface Piece {
  readonly start: number;
  readonly end: number;
  /** What a cue says, what it is called, how it is shown; a block that is none. */
  readonly what: 'cue' | 'name' | 'setting' | 'block';
}

/** Times of a cue, and the settings that WebVTT has behind them. */
const timing = /^(?:\d{2,4}:)?\d{2}:\d{2}[.,]\d{3} --> (?:\d{2,4}:)?\d{2}:\d{2}[.,]\d{3}(?<settings>[ \t][^\r\n]*)?$/;
const cueNumber = /^\d{1,6}$/;
const header = /^WEBVTT(?:[ \t].*)?$/;

interface Line {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Three hours of speech have some 12,000. */
const mostLines = 60_000;

/** Undefined: too many. */
function linesOf(source: string): readonly Line[] | undefined {
  const lines: Line[] = [];
  let start = 0;
  for (const found of source.matchAll(/\r\n|\n|\r/g)) {
    if (lines.length >= mostLines) return undefined;
    lines.push({ text: source.slice(start, found.index), start, end: found.index });
    start = found.index + found[0].length;
  }
  lines.push({ text: source.slice(start), start, end: source.length });
  return lines;
}

/** Lines between two empty ones. */
function blocksOf(lines: readonly Line[]): readonly (readonly Line[])[] {
  const blocks: Line[][] = [];
  let block: Line[] = [];
  for (const line of lines) {
    if (line.text !== '') block.push(line);
    else if (block.length > 0) {
      blocks.push(block);
      block = [];
    }
  }
  if (block.length > 0) blocks.push(block);
  return blocks;
}

/** One text over its lines, as people read it. */
const blockOf = (block: readonly Line[]): Piece => ({
  start: block[0]?.start ?? 0,
  end: block.at(-1)?.end ?? 0,
  what: 'block',
});

/** What a cue says, and what stands around it. Undefined: it is no cue. */
function cueOf(block: readonly Line[]): readonly Piece[] | undefined {
  const [head, next] = block;
  const timed = [head, next].findIndex((line) => line !== undefined && timing.test(line.text));
  const times = block[timed];
  if (head === undefined || times === undefined) return undefined;
  const pieces: Piece[] = [];
  if (timed === 1 && !cueNumber.test(head.text)) pieces.push({ start: head.start, end: head.end, what: 'name' });
  const settings = timing.exec(times.text)?.groups?.['settings'] ?? '';
  if (settings !== '') pieces.push({ start: times.end - settings.length, end: times.end, what: 'setting' });
  const texts = block.slice(timed + 1);
  const from = texts[0]?.start;
  const to = texts.at(-1)?.end;
  if (from !== undefined && to !== undefined) pieces.push({ start: from, end: to, what: 'cue' });
  return pieces;
}

const arrows = (block: readonly Line[]): number => block.filter(({ text }) => text.includes('-->')).length;

/** Undefined: it is none. */
function cuesOf(source: string): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  let cues = 0;
  const isWebVtt = header.test(/^[^\r\n]*/.exec(source)?.[0] ?? '');
  const lines = linesOf(source);
  if (lines === undefined) return undefined;
  for (const block of blocksOf(lines)) {
    // Where an empty line is missing, the next cue would be text of this one.
    if (arrows(block) > 1) return undefined;
    const cue = cueOf(block);
    if (cue !== undefined) cues++;
    else if (!isWebVtt || arrows(block) > 0) return undefined;
    // A comment, a style, a region, the header.
    pieces.push(...(cue ?? [blockOf(block)]));
  }
  return cues === 0 ? undefined : pieces;
}

/** What may stand in a cue or another block: no line that ends it, and no arrow. */
const asBlock = (text: string): string =>
  text
    .replaceAll('-->', '->')
    .replaceAll(/(?:\r\n|\n|\r)+/g, '\n')
    .replaceAll(/^\n|\n$/g, '');

/** Of what stands in one line. */
const asLine = (text: string): string => asBlock(text).replaceAll('\n', ' ');

/** Beside what cues say. */
const lists = [
  { name: 'names', of: 'name' },
  { name: 'settings', of: 'setting' },
  { name: 'notes', of: 'block' },
] as const satisfies readonly { readonly name: string; readonly of: Piece['what'] }[];

const isLine = ({ what }: Piece): boolean => what === 'name' || what === 'setting';

class Captions implements DocumentText {
  readonly text: string;
  readonly #source: string;
  /** By where their strings begin in the JSON. */
  readonly #pieces = new Map<number, Piece>();

  constructor(source: string) {
    this.#source = source;
    const pieces = cuesOf(source);
    if (pieces === undefined) {
      const label = '{"text":';
      this.#pieces.set(label.length, { start: 0, end: source.length, what: 'block' });
      this.text = `${label}${JSON.stringify(source)}}`;
      this.#whole = true;
      return;
    }
    let text = '{"segments":[';
    pieces
      .filter(({ what }) => what === 'cue')
      .forEach((piece, at) => {
        text += `${at === 0 ? '' : ','}{"text":`;
        text = this.#add(text, piece);
        text += '}';
      });
    for (const { name, of } of lists) {
      text += `],"${name}":[`;
      pieces
        .filter(({ what }) => what === of)
        .forEach((piece, at) => {
          text = this.#add(at === 0 ? text : `${text},`, piece);
        });
    }
    this.text = `${text}]}`;
  }
  readonly #whole: boolean = false;

  #add(text: string, piece: Piece): string {
    this.#pieces.set(text.length, piece);
    return text + JSON.stringify(this.#source.slice(piece.start, piece.end));
  }

  edited(edits: readonly JsonEdit[]): string {
    const changes = edits.map(({ start, text }) => {
      const piece = this.#pieces.get(start);
      // eslint-disable-next-line no-restricted-syntax -- text of our own making
      const value: unknown = JSON.parse(text);
      if (piece === undefined || typeof value !== 'string')
        throw new RefusedError('response_uninspectable', { detail: 'captions' });
      return { piece, text: this.#whole ? value : isLine(piece) ? asLine(value) : asBlock(value) };
    });
    let made = '';
    let at = 0;
    for (const { piece, text } of changes.toSorted((a, b) => a.piece.start - b.piece.start)) {
      made += this.#source.slice(at, piece.start) + text;
      at = piece.end;
    }
    return made + this.#source.slice(at);
  }
}

export const captions: DocumentBody = { mediaTypes, answer: (source) => new Captions(source) };
