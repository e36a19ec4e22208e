import { randomInt } from 'node:crypto';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { BlockEntry, LogFinding } from '../../record/index.ts';
import type { AuditClient } from './client.ts';

/**
 * Whether a recorder finds sessions by their words: some, drawn by chance, of all that a log has. To ask for each word of each would be as much as the
 * record itself; who hides one session in a thousand from it is not found by this, who hides a tenth is.
 */
export interface WordSample {
  /** The lines of a block that are proven, of an entry. */
  see(entry: number, text: string, lines: string): void;
  /** Asks for them. @returns how many were asked for, and those that are not found */
  ask(): Promise<{ readonly asked: number; readonly findings: readonly LogFinding[] }>;
}

const most = 100;
/** Of what a session says in a block, so many characters. */
const looked = 100_000;
/** Pages of one question, which may be short. */
const mostPages = 100;

interface Drawn {
  readonly entry: number;
  readonly session: string;
  readonly source: string;
  readonly chain: string;
  readonly word: string;
}

/** A word that every index takes as it stands. */
function wordOf(text: string): string | undefined {
  const words = text.slice(0, looked).match(/[\p{L}\p{N}\p{M}\p{Co}]+/gu) ?? [];
  const plain = words.slice(0, -1).filter((word) => /^[a-z0-9]{3,40}$/i.test(word));
  return plain.toSorted((one, other) => other.length - one.length)[0];
}

function drawFrom(
  {
    entry,
    text,
    texts,
  }: { readonly entry: number; readonly text: string; readonly texts: ReadonlyMap<string, string> },
  draw: (below: number) => number,
): Drawn | undefined {
  const [session, said] = [...texts][draw(Math.max(1, texts.size))] ?? [];
  // A last word, so that one which is cut off is none.
  const word = wordOf(`${said} .x`);
  if (session === undefined || word === undefined) return undefined;
  const { source, chain } = jsonValue(parseJson(text)) as unknown as BlockEntry;
  return { entry, session, source, chain, word };
}

/**
 * @param textsOf What was said in the lines of a block, as far as its words are whole, by session.
 * @param draw A number from 0 on below another; default: by chance.
 */
export function createWordSample(
  audit: Pick<AuditClient, 'post'>,
  textsOf: (lines: string) => ReadonlyMap<string, string>,
  draw: (below: number) => number = randomInt,
): WordSample {
  const drawn: Drawn[] = [];
  let blocks = 0;
  /** Undefined: it says that it has not seen all of it yet, or does not have all of its words. */
  const finds = async (question: Readonly<Record<string, string>>): Promise<boolean | undefined> => {
    let cursor: unknown;
    for (let page = 0; page < mostPages && cursor !== null; page++) {
      const answer = await audit.post('/v1/search', { ...question, limit: 1, ...(page > 0 && { cursor }) });
      if (Array.isArray(answer['sessions']) && answer['sessions'].length > 0) return true;
      const { unsearched, partly } = answer;
      if (Number(unsearched ?? 0) > 0) return undefined;
      // Each answer has the list, which is empty for most.
      if (Array.isArray(partly) && partly.some((session) => session === question['session'])) return undefined;
      cursor = answer['cursor'] ?? null;
    }
    return cursor === null ? false : undefined;
  };
  return {
    see(entry, text, lines) {
      // Each block is as likely to be in it as any other.
      blocks++;
      const place = drawn.length < most ? drawn.length : draw(blocks);
      if (place >= most) return;
      const one = drawFrom({ entry, text, texts: textsOf(lines) }, draw);
      if (one !== undefined) drawn[place] = one;
    },
    async ask() {
      const findings: LogFinding[] = [];
      let asked = 0;
      for (const { entry, session, source, chain, word } of drawn) {
        const found = await finds({ session, source, chain, text: word });
        if (found === undefined) continue;
        asked++;
        // Deleted meanwhile.
        if (found || (await finds({ session, source, chain })) !== true) continue;
        findings.push({
          fault: 'index_differs',
          entry,
          what: `the index does not find session ${session} by a word that stands in it`,
        });
      }
      return { asked, findings };
    },
  };
}
