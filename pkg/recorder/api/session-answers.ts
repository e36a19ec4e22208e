import { inclusionProof, showSession } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import { sequenceOf } from '../store/index.ts';
import type { RecordStore, SealedCount, SessionPage, SessionQuery, SessionSummary } from '../store/index.ts';
import type { FoundSessions } from './find-sessions.ts';

// Answers that hold the lines of sessions, as JSON in parts: a session may be longer than fits into memory.

/** Characters of lines in one page. */
const mostCharacters = 4 * 1024 * 1024;
/** Of one proof, whose lines are those of whole blocks, with bytes of JSON: these are more only by the last block. The API server's answer is read up to 64 MiB. */
const mostOfProof = { blocks: 16_384, bytes: 16 * 1024 * 1024 };
/** Sessions that an export finds at once. */
const exportPage = 200;

type Lines = Pick<RecordStore, 'sessionLines'>;

/** The elements of a JSON list, with its commas. */
async function* listed(texts: AsyncIterable<string>): AsyncIterable<string> {
  let first = true;
  for await (const text of texts) {
    yield first ? text : `,${text}`;
    first = false;
  }
}

async function* quoted(texts: AsyncIterable<string>): AsyncIterable<string> {
  for await (const text of texts) yield JSON.stringify(text);
}

/** A session with all of its lines. */
async function* whole(store: Lines, session: SessionSummary): AsyncIterable<string> {
  yield `{"session":${JSON.stringify(session)},"lines":[`;
  yield* listed(quoted(store.sessionLines(session.session, session)));
  yield ']}';
}

/** Sessions of one id, and their lines one after the other: as many as are a page, at least one. */
export async function* linesPage(store: Lines, found: FoundSessions): AsyncIterable<string> {
  const { sessions, others } = found;
  let next = others;
  const lines = async function* (): AsyncIterable<string> {
    let room = mostCharacters;
    for (const [at, session] of sessions.entries()) {
      let after = at === 0 ? found.after : 0;
      for await (const line of store.sessionLines(session.session, session, after)) {
        if (line.length > room && room < mostCharacters) {
          next = found.placeIn(at, after);
          return;
        }
        yield JSON.stringify(line);
        room -= line.length;
        after = sequenceOf(line);
      }
    }
  };
  yield `{"sessions":${JSON.stringify(sessions)},"lines":[`;
  yield* listed(lines());
  yield `],"next":${JSON.stringify(next ?? null)}}\n`;
}

/** Said of a search that meets no session whose texts are sealed. */
export const noneSealed: SealedCount = { sessions: 0, more: false };

/** What of a page of sessions fits into one answer: its first session, whole, and those that fit beside it. */
export async function* sessionsPage(store: Lines, page: SessionPage): AsyncIterable<string> {
  const { sessions, cursors } = page;
  let cursor = page.cursor;
  let room = mostCharacters;
  /** Undefined: they are longer together than there is room. */
  const within = async (session: SessionSummary): Promise<string | undefined> => {
    const lines: string[] = [];
    let length = 0;
    for await (const line of store.sessionLines(session.session, session)) {
      length += line.length;
      if (length > room) return undefined;
      lines.push(JSON.stringify(line));
    }
    room -= length;
    return `{"session":${JSON.stringify(session)},"lines":[${lines.join()}]}`;
  };
  yield '{"sessions":[';
  for (const [at, session] of sessions.entries()) {
    if (at === 0) {
      for await (const part of whole(store, session)) {
        room -= part.length;
        yield part;
      }
      continue;
    }
    const text = await within(session);
    if (text === undefined) {
      cursor = cursors[at - 1];
      break;
    }
    yield `,${text}`;
  }
  const { unsearched = 0, partly = [], partlyMore = false, sealed = noneSealed } = page;
  yield `],"cursor":${JSON.stringify(cursor ?? null)},"unsearched":${unsearched},"partly":${JSON.stringify(partly)},"partlyMore":${partlyMore},"sealed":${JSON.stringify(sealed)}}\n`;
}

/**
 * Every session that is found, with its lines, as JSON lines; an empty part where a search has come to its end. Of a question that the index could not answer whole, a last line says so:
 * `{"unsearched":BLOCKS,"partly":[SESSION],"partlyMore":false,"sealed":{"sessions":NUMBER,"more":false}}`.
 */
export async function* exported(
  store: Lines & Pick<RecordStore, 'search'>,
  query: SessionQuery,
): AsyncIterable<string> {
  let { cursor } = query;
  let unsearched = 0;
  let partly: readonly string[] = [];
  let partlyMore = false;
  let sealed = noneSealed;
  do {
    const page = await store.search({ ...query, limit: exportPage, ...(cursor === undefined ? {} : { cursor }) });
    for (const session of page.sessions) {
      yield* whole(store, session);
      yield '\n';
    }
    unsearched = Math.max(unsearched, page.unsearched ?? 0);
    if (page.partly !== undefined) ({ partly } = page);
    partlyMore ||= page.partlyMore === true;
    if (page.sealed !== undefined) ({ sealed } = page);
    ({ cursor } = page);
    // A page may have found nothing: whoever sends this learns that it goes on, and may end it.
    yield '';
  } while (cursor !== undefined);
  if (unsearched > 0 || partly.length > 0 || partlyMore || sealed.sessions > 0 || sealed.more)
    yield `${JSON.stringify({ unsearched, partly, partlyMore, sealed })}\n`;
}

/**
 * A {@link SessionProof}, block by block.
 *
 * @param session Whose lines it shows; of the others of its blocks it has the hashes.
 * @param indices Entries of its blocks, ascending.
 */
export async function* proofParts(
  store: Pick<RecordStore, 'entries' | 'blockLines' | 'node'>,
  head: { readonly size: number; readonly text: string },
  session: string,
  indices: readonly number[],
  atMost = mostOfProof,
): AsyncIterable<string> {
  let [more, room] = [0, atMost.bytes];
  const signed = indices.filter((index) => index < head.size);
  const blocks = async function* (): AsyncIterable<string> {
    for (const [at, index] of signed.entries()) {
      if (at >= atMost.blocks || room <= 0) {
        more = signed.length - at;
        return;
      }
      const [[entry], lines, path] = await Promise.all([
        store.entries(index, 1),
        store.blockLines(index),
        inclusionProof(index, head.size, (level, at) => store.node(level, at)),
      ]);
      const own = entry?.text ?? '{}';
      const block: SessionProof['blocks'][number] = {
        index,
        entry: own,
        ...showSession(own, Buffer.from(lines ?? []).toString(), session),
        path: path.map((one) => Buffer.from(one).toString('hex')),
      };
      const text = JSON.stringify(block);
      room -= Buffer.byteLength(text);
      yield text;
    }
  };
  yield `{"head":${JSON.stringify(head.text)},"blocks":[`;
  yield* listed(blocks());
  yield `],"unsigned":${indices.length - signed.length},"more":${more}}\n`;
}
