import { jsonValue, parseJson } from '../../base/index.ts';
import {
  createFrontier,
  entryLeaf,
  inclusionProof,
  readHead,
  readLogKeys,
  readReceipt,
  showSession,
  verifySession,
} from '../../record/index.ts';
import type { Receipt, SessionProof } from '../../record/index.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { writeInPieces } from '../long-files.ts';
import { printable } from '../terminal-text.ts';
import { sessionPath } from './client.ts';
import type { AuditClient } from './client.ts';
import { createDeletionSearch, provenDeletions } from './deletions.ts';
import { logOfRecorder } from './log-pages.ts';
import type { LogPages } from './log-pages.ts';

/** One session that is to be proven, and what its caller was told of it. */
export interface OneSession {
  readonly session: string;
  readonly receipt: Receipt | undefined;
  /** Its chain, where it is named. */
  readonly chain?: string | undefined;
}

/** @throws Error in words, where neither is what it must be. */
export function oneSession(session: string | undefined, receiptText: string | undefined): OneSession | undefined {
  if (receiptText !== undefined) {
    const receipt = readReceipt(receiptText);
    if (receipt === undefined) throw new Error('--receipt takes the value of the header sidegate-receipt');
    return { session: session ?? receipt.id, receipt };
  }
  if (session === undefined) return undefined;
  if (!/^[0-9a-f]{32}$/.test(session)) throw new Error('--session takes a request id: 32 hex digits');
  return { session, receipt: undefined };
}

/**
 * As the recorder gives it. Where the first lines are not there, the log is looked through for what says that they were deleted: it is asked for all
 * of its entries, without lines.
 */
export async function proofOfRecorder(
  audit: AuditClient,
  one: OneSession,
  pem: string,
  flags: Flags,
): Promise<SessionProof> {
  const proof = (await audit.get(sessionPath(one.session, flags, '/proof'))) as unknown as SessionProof;
  const publicKey = readLogKeys(pem);
  const verdict = verifySession(proof, { ...one, publicKey });
  if (verdict.ok || verdict.lacks === undefined) return proof;
  const size = readHead(proof.head, publicKey)?.size ?? 0;
  const search = createDeletionSearch(verdict.lacks);
  await logOfRecorder(audit, false).each({
    head: () => undefined,
    entry: (index, text) => (index < size ? search.entry(index, text) : undefined),
    later: () => undefined,
  });
  const pathOf = async (index: number): Promise<readonly string[]> =>
    (await audit.get(`/v1/log/proof?index=${index}&size=${size}`))['path'] as readonly string[];
  return { ...proof, deleted: await provenDeletions(search.found(verdict.lacks.lines), pathOf) };
}

/** The same from an exported log. */
export async function proofOfPages(
  pages: LogPages,
  session: string,
  pem: string,
  chain?: string,
): Promise<SessionProof> {
  const frontier = createFrontier();
  const nodes = new Map<string, Uint8Array>();
  const found: { readonly index: number; readonly entry: string; readonly lines: string }[] = [];
  const heads: string[] = [];
  await pages.each({
    head: (text) => void heads.push(text),
    entry(index, entry, lines) {
      for (const node of frontier.append(entryLeaf(entry))) nodes.set(`${node.level} ${node.index}`, node.hash);
      if (lines?.includes(`,"session":"${session}"`) !== true) return;
      if (chain === undefined || parseJson(entry).get('chain')?.string === chain) found.push({ index, entry, lines });
    },
    later: () => undefined,
  });
  const key = readLogKeys(pem);
  const head = heads.findLast((text) => (readHead(text, key)?.size ?? Infinity) <= frontier.size);
  const size = head === undefined ? 0 : (readHead(head, key)?.size ?? 0);
  const read = (level: number, index: number): Promise<Uint8Array> =>
    Promise.resolve(nodes.get(`${level} ${index}`) ?? new Uint8Array());
  const signed = found.filter(({ index }) => index < size);
  const blocks = signed.map(async ({ index, entry, lines }) => ({
    index,
    entry,
    ...showSession(entry, lines, session),
    path: (await inclusionProof(index, size, read)).map((one) => Buffer.from(one).toString('hex')),
  }));
  const proof = { head: head ?? '', blocks: await Promise.all(blocks), unsigned: found.length - signed.length };
  const verdict = verifySession(proof, { session, chain, publicKey: key });
  if (verdict.ok || verdict.lacks === undefined) return proof;
  const search = createDeletionSearch(verdict.lacks);
  await pages.each({
    head: () => undefined,
    entry: (index, text) => (index < size ? search.entry(index, text) : undefined),
    later: () => undefined,
  });
  const pathOf = async (index: number): Promise<readonly string[]> =>
    (await inclusionProof(index, size, read)).map((one) => Buffer.from(one).toString('hex'));
  return { ...proof, deleted: await provenDeletions(search.found(verdict.lacks.lines), pathOf) };
}

/** What `--save-proof` wrote, which anybody may have handed over. @throws Error in words, where it is none */
export function readProof(text: string): SessionProof {
  const value: unknown = jsonValue(parseJson(text, { loneSurrogates: true }));
  const isText = (one: unknown): one is string => typeof one === 'string';
  const isCount = (one: unknown): boolean => Number.isSafeInteger(one) && Number(one) >= 0;
  const at = (of: unknown, key: string): unknown =>
    typeof of === 'object' && of !== null ? (of as Readonly<Record<string, unknown>>)[key] : undefined;
  const isBlock = (one: unknown): boolean => {
    const [path, head] = [at(one, 'path'), at(one, 'head')];
    const named = isCount(at(one, 'index')) && isText(at(one, 'entry')) && isText(at(one, 'lines'));
    const hidden = at(one, 'hidden');
    const lists = [path, ...(hidden === undefined ? [] : [hidden])].every(
      (texts) => Array.isArray(texts) && texts.every(isText),
    );
    return named && lists && (head === undefined || isText(head));
  };
  const isEntry = (one: unknown): boolean => {
    const path = at(one, 'path');
    return isCount(at(one, 'index')) && isText(at(one, 'entry')) && Array.isArray(path) && path.every(isText);
  };
  const [blocks, more, deleted = []] = [at(value, 'blocks'), at(value, 'more'), at(value, 'deleted')];
  if (!Array.isArray(deleted) || !deleted.every((one) => isEntry(at(one, 'block')) && isEntry(at(one, 'by'))))
    throw new Error('it is no proof of a session');
  const good = isText(at(value, 'head')) && Array.isArray(blocks) && blocks.every(isBlock);
  if (!good || !isCount(at(value, 'unsigned')) || !(more === undefined || isCount(more)))
    throw new Error('it is no proof of a session');
  // Proven field by field above.
  return value as SessionProof;
}

/** A line of another session of the same pod, or of none. */
const isOfAnother = (line: string, session: string): boolean =>
  line !== '' && !line.includes(`,"session":"${session}"`);

export async function reportOne(
  one: OneSession,
  proof: SessionProof,
  pem: string,
  flags: Flags,
  io: CommandIo,
): Promise<ExitCode> {
  const verdict = verifySession(proof, { ...one, publicKey: readLogKeys(pem) });
  if (!verdict.ok) {
    io.stdout(`NOT PROVEN: session ${one.session}: ${printable(verdict.why)}\n`);
    return 1;
  }
  const saveTo = flags.text('save-proof');
  if (saveTo !== undefined) {
    // For its owner alone, until they give it away.
    await writeInPieces(io, saveTo, async (write) => write(`${JSON.stringify(proof)}\n`));
    const whole = proof.blocks.filter(({ hidden }) => hidden === undefined);
    const foreign = whole.flatMap(({ lines }) => lines.split('\n')).filter((line) => isOfAnother(line, one.session));
    if (foreign.length > 0)
      io.stderr(
        `${saveTo} has ${foreign.length} lines of others: ${whole.length} of its blocks are of a recorder that could not leave them out. Look at it before you give it away\n`,
      );
  }
  const { head, source, chain, lines, counted, ended, beside, more, deleted, others } = verdict;
  const inPart = deleted > 0 || !ended || beside > 0;
  const open =
    more > 0
      ? `; its last ${more} blocks are too much for one proof: verify the whole log`
      : '; its end is not in it: it is not there yet, or kept back';
  io.stdout(
    `${inPart ? 'PROVEN IN PART' : 'proven'}: session ${one.session}: ${lines} ${lines === 1 ? 'line' : 'lines'} under the head of ${head.size} entries, signed at ${new Date(head.at).toISOString()} by key ${head.key.slice(0, 16)}` +
      `${ended && more === 0 ? '' : open}` +
      `${beside === 0 ? '' : `; ${beside} ${beside === 1 ? 'line' : 'lines'} beside it that are not shown may be its own`}` +
      `${deleted === 0 ? '' : `; AS FAR AS IT GOES: its start and what came with it, ${deleted} lines, may have been in blocks that retention has deleted, as the recorder sealed it: that they were, and what they said, nothing proves`}` +
      `${counted ? '' : '; its sidecar did not say how many lines it has: whether some are missing is not seen'}` +
      `${one.receipt === undefined ? '' : `; the receipt says what is on record${deleted === 0 ? '' : ', but for the policy generation, which was in its start'}`}\n`,
  );
  io.stdout(`${printable(`it is in chain ${chain} of ${source}`)}\n`);
  for (const other of others)
    io.stdout(`${printable(`chain ${other.chain} of ${other.source}`)} has lines under this id, too: not its start\n`);
  return inPart ? 3 : 0;
}
