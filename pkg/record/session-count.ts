import type { JsonNode } from '../base/index.ts';
import { parseJson } from '../base/index.ts';
import { lineType } from './line-type.ts';

/**
 * Whether all lines of a session are there: its last one, the `end`, says how many there are. What only some of them show, or prove, is not
 * the session.
 */
export interface SessionCount {
  /** The next line of the session, of one chain. */
  add(root: JsonNode): void;
  /** The same from its text, as it was hashed. */
  line(text: string): void;
  verdict(): SessionCounted;
}

export interface SessionCounted {
  readonly lines: number;
  /** Its first `start` and its first `end`; a `change` is both. */
  readonly start: JsonNode | undefined;
  readonly end: JsonNode | undefined;
  /** What is wrong with it, in words; undefined: nothing. */
  readonly fault: string | undefined;
  /** Where its only fault is that lines are missing: how many. */
  readonly missing: number;
  /** False: its end is there, and does not say how many lines there are: its sidecar was of a version that did not. */
  readonly counted: boolean;
}

export function createSessionCount(): SessionCount {
  let lines = 0;
  const starts: JsonNode[] = [];
  const ends: JsonNode[] = [];
  const add = (root: JsonNode): void => {
    lines++;
    const type = root.get('type')?.string;
    if (type === 'start' || type === 'change') starts.push(root);
    if (type === 'end' || type === 'change') ends.push(root);
  };
  return {
    add,
    line(text) {
      const type = lineType(text);
      if (type === 'segment' || type === 'texts' || type === 'approval') lines++;
      else add(parseJson(text, { loneSurrogates: true }));
    },
    verdict() {
      const [[start, secondStart], [end, secondEnd]] = [starts, ends];
      const change = end?.get('type')?.string === 'change';
      const said = change ? 1 : end?.get('lines')?.number;
      const unwritten = end?.get('unwritten')?.number ?? 0;
      const second = (what: string, root: JsonNode): string =>
        `it has a second ${what}, in line ${root.get('seq')?.text ?? ''}`;
      const fault =
        secondStart !== undefined
          ? second('start', secondStart)
          : secondEnd !== undefined
            ? second('end', secondEnd)
            : said !== undefined && (lines < said || lines > said + unwritten)
              ? `${lines} of ${said} lines are there: ${lines < said ? 'others were deleted, or are kept back' : 'some are not its own'}`
              : undefined;
      const single = secondStart === undefined && secondEnd === undefined;
      const missing = single && said !== undefined ? Math.max(0, said - lines) : 0;
      return { lines, start, end, fault, missing, counted: end === undefined || said !== undefined };
    },
  };
}
