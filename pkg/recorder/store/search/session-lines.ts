import { parseJson } from '../../../base/index.ts';
import type { JsonNode } from '../../../base/index.ts';
import { unpacked } from '../compress.ts';

const lineFeed = 0x0a;

/**
 * The lines of a session in one block, each as it was hashed.
 *
 * @param block Columns `data`, compressed, and `size`; of one that was deleted, or is damaged, there are no lines
 * @param after Number of a line: those behind it
 */
export function linesOfSession(block: Readonly<Record<string, unknown>>, session: string, after = 0): string[] {
  const lines: string[] = [];
  if (!(block['data'] instanceof Uint8Array)) return lines;
  // A line that is not of the session may quote its id in a text: quotes are escaped there.
  const mark = `,"session":"${session}"`;
  const bytes = unpacked(block['data'], Number(block['size'])) ?? Buffer.alloc(0);
  for (let from = 0; from < bytes.length;) {
    const to = bytes.indexOf(lineFeed, from);
    const end = to === -1 ? bytes.length : to;
    if (bytes.subarray(from, end).includes(mark)) lines.push(bytes.toString('utf8', from, end));
    from = end + 1;
  }
  return after === 0 ? lines : lines.filter((line) => sequenceOf(line) > after);
}

/** Number of a line in its chain. */
export const sequenceOf = (line: string): number => Number(/^\{"v":1,"seq":([0-9]+),/.exec(line)?.[1] ?? 0);

/** What a line says of a session. */
export interface SessionLine {
  readonly type: string | undefined;
  readonly session: string;
  /** The whole of it; undefined: somebody has changed it in the store, and it is no JSON any more. */
  parse(): JsonNode | undefined;
}

const withTexts: ReadonlySet<string | undefined> = new Set(['start', 'texts', 'segment']);
/** Whether what was said may stand in it. */
export const holdsTexts = ({ type }: SessionLine): boolean => withTexts.has(type);

/** As every line of a session begins. */
const head = /^\{"v":1,"seq":[0-9]+,"time":"[^"]*","prev":"[0-9a-f]{64}","type":"([a-z]+)","session":"([0-9a-f]{32})"/;

/** @returns undefined: it is not of a session */
export function readSessionLine(line: string): SessionLine | undefined {
  if (!line.includes('"session":"')) return undefined;
  const parse = (): JsonNode | undefined => {
    try {
      return parseJson(line, { loneSurrogates: true });
    } catch {
      return undefined;
    }
  };
  const [, type, session] = head.exec(line) ?? [];
  if (type !== undefined && session !== undefined) return { type, session, parse };
  const root = parse();
  const id = root?.get('session')?.string;
  if (id === undefined || !/^[0-9a-f]{32}$/.test(id)) return undefined;
  return { type: root?.get('type')?.string, session: id, parse: () => root };
}

/** A piece of a text, with the direction and the lane that it goes on. */
export interface SessionPiece {
  readonly lane: string;
  /** Empty where nothing of it stands in clear. */
  readonly text: string;
  /** It is sealed, and stands nowhere in clear. */
  readonly isSealed: boolean;
}

/** What a session has to be found by, of a line. */
export function sessionPieces(line: SessionLine): readonly SessionPiece[] {
  if (!holdsTexts(line)) return [];
  const root = line.parse();
  if (root === undefined) return [];
  const piece = (direction: string | undefined, item: JsonNode): SessionPiece => ({
    lane: `${direction === 'response' ? '<' : '>'}${item.get('lane')?.string ?? ''}`,
    text: item.get('text')?.string ?? '',
    isSealed: item.get('sealed') !== undefined && item.get('text') === undefined,
  });
  if (line.type === 'segment') return [piece(root.get('direction')?.string, root)];
  return (root.get('request')?.items ?? []).map((item) => piece('request', item));
}
