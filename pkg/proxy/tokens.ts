import type { JsonEdit, JsonNode } from '../base/index.ts';
import type { TokenLane } from '../dialect/index.ts';
import type { AnswerLane } from './lane.ts';

/**
 * Log-probability entries spell the same text as the lane that they belong to, token by token, and their alternatives
 * spell likely neighbours of it. Each array is a lane of its own; the alternatives of one rank, read from entry to entry, are
 * another. An entry whose token is touched carries what the lane gives for it, with its bytes made anew and without
 * alternatives; an entry that gives nothing is removed; a touched alternative is removed.
 *
 * Limit: alternatives are read along each rank. A value that only appears by mixing ranks is not seen.
 */

interface Entry {
  readonly lane: AnswerLane;
  readonly to: number;
  readonly token: string;
  /** The entry's object; undefined in parallel arrays. */
  readonly node: JsonNode | undefined;
  readonly alternatives: readonly Alternative[];
}

interface Alternative {
  readonly lane: AnswerLane;
  readonly to: number;
  readonly token: string;
  readonly node: JsonNode;
}

export interface TokenPiece {
  readonly shape: TokenLane['shape'];
  readonly node: JsonNode;
  readonly entries: readonly Entry[];
}

type OpenLane = (id: string) => AnswerLane;

/** Feeds all tokens of one frame or body into their lanes. */
export function pushTokens(tokens: TokenLane, open: OpenLane): TokenPiece {
  const entries = tokens.shape === 'entries' ? pushEntries(tokens, open) : pushParallel(tokens, open);
  return { shape: tokens.shape, node: tokens.node, entries };
}

function push(lane: AnswerLane, token: string): number {
  lane.push(token);
  return lane.received;
}

function pushEntries(tokens: TokenLane, open: OpenLane): Entry[] {
  const lane = open(tokens.id);
  return tokens.node.items.map((node) => {
    const token = node.get('token')?.string ?? '';
    const to = push(lane, token);
    const alternatives = (node.get('top_logprobs')?.items ?? []).map((item, rank): Alternative => {
      const text = item.get('token')?.string ?? '';
      const other = open(`${tokens.id}#${rank}`);
      return { lane: other, to: push(other, text), token: text, node: item };
    });
    return { lane, to, token, node, alternatives };
  });
}

function pushParallel(tokens: TokenLane, open: OpenLane): Entry[] {
  const lane = open(tokens.id);
  const ranks = tokens.node.get('top_logprobs')?.items ?? [];
  return (tokens.node.get('tokens')?.items ?? []).map((item, at) => {
    const token = item.string ?? '';
    const to = push(lane, token);
    const alternatives = (ranks[at]?.keys ?? []).map((key, rank): Alternative => {
      const other = open(`${tokens.id}#${rank}`);
      return { lane: other, to: push(other, key.text), token: key.text, node: key };
    });
    return { lane, to, token, node: undefined, alternatives };
  });
}

export function tokensDecided(piece: TokenPiece): boolean {
  return piece.entries.every(
    (entry) => entry.lane.decided >= entry.to && entry.alternatives.every((other) => other.lane.decided >= other.to),
  );
}

export interface TokenRendering {
  /** Undecided text is carried to the next entry. */
  readonly force: boolean;
  /** `bytes` that do not spell their token are made anew. */
  readonly exact: boolean;
}

/** Edits that leave of the entries what the caller may receive. */
export function renderTokens(piece: TokenPiece, source: string, { force, exact }: TokenRendering): readonly JsonEdit[] {
  const take = (lane: AnswerLane, to: number): string => {
    const output = lane.take(force ? Math.min(to, lane.decided) : to);
    lane.takeRecord(output); // the same text is recorded with its own lane
    return output;
  };
  let touched = false;
  const outputs = piece.entries.map((entry) => {
    const token = take(entry.lane, entry.to);
    const kept = entry.alternatives.filter((other) => take(other.lane, other.to) === other.token);
    const honest =
      !exact || entry.node === undefined || (bytesAgree(entry.node) && kept.every((other) => bytesAgree(other.node)));
    if (token !== entry.token || kept.length !== entry.alternatives.length || !honest) touched = true;
    return { entry, token, kept, honest };
  });
  if (!touched) return [];
  if (piece.shape === 'parallel') return [renderParallel(piece, source, outputs)];
  const items = outputs
    .filter(({ token, entry }) => token !== '' || entry.token === '')
    .map(({ entry, token, kept, honest }) => {
      if (entry.node === undefined) return '';
      const same = token === entry.token;
      if (same && honest && kept.length === entry.alternatives.length)
        return source.slice(entry.node.start, entry.node.end);
      return renderEntry(entry.node, token, same ? kept : [], source);
    });
  return [{ start: piece.node.start, end: piece.node.end, text: `[${items.join(',')}]` }];
}

const bytesOf = (token: string): string => JSON.stringify([...Buffer.from(token, 'utf8')]);

const logprobOf = (node: JsonNode): string =>
  node.get('logprob')?.number === undefined ? '0' : (node.get('logprob')?.text ?? '0');

function renderEntry(node: JsonNode, token: string, kept: readonly Alternative[], _source: string): string {
  const alternatives = kept.map(
    (other) =>
      `{"token":${JSON.stringify(other.token)},"logprob":${logprobOf(other.node)},"bytes":${bytesOf(other.token)}}`,
  );
  return `{"token":${JSON.stringify(token)},"logprob":${logprobOf(node)},"bytes":${bytesOf(token)},"top_logprobs":[${alternatives.join(',')}]}`;
}

/** `bytes` must spell the token: a token that is a part of a character may have others, which are then made anew. */
function bytesAgree(node: JsonNode): boolean {
  const bytes = node.get('bytes');
  if (bytes === undefined || bytes.kind === 'null') return true;
  const token = Buffer.from(node.get('token')?.string ?? '', 'utf8');
  return (
    bytes.kind === 'array' &&
    bytes.numberCount <= token.length &&
    bytes.items.length === token.length &&
    bytes.items.every((item, at) => item.number === token[at])
  );
}

interface Output {
  readonly entry: Entry;
  readonly token: string;
  readonly kept: readonly Alternative[];
}

function renderParallel(piece: TokenPiece, source: string, outputs: readonly Output[]): JsonEdit {
  const column = (name: string): readonly JsonNode[] | undefined => {
    const node = piece.node.get(name);
    return node?.kind === 'array' ? node.items : undefined;
  };
  const logprobs = column('token_logprobs');
  const ranks = column('top_logprobs');
  const offsets = column('text_offset');
  const raw = (node: JsonNode | undefined): string =>
    node === undefined ? 'null' : source.slice(node.start, node.end);
  const rows = outputs
    .map((output, at) => ({ ...output, at }))
    .filter(({ token, entry }) => token !== '' || entry.token === '');
  let offset = offsets?.[0]?.number ?? 0;
  const fields = [`"tokens":[${rows.map(({ token }) => JSON.stringify(token)).join(',')}]`];
  if (logprobs !== undefined) fields.push(`"token_logprobs":[${rows.map(({ at }) => raw(logprobs[at])).join(',')}]`);
  if (ranks !== undefined) {
    const cells = rows.map(({ entry, token, kept, at }) => {
      const node = ranks[at];
      if (node?.kind !== 'object') return 'null';
      if (token !== entry.token) return '{}';
      const pairs = kept.map((other) => `${JSON.stringify(other.token)}:${raw(node.get(other.token))}`);
      return `{${pairs.join(',')}}`;
    });
    fields.push(`"top_logprobs":[${cells.join(',')}]`);
  }
  if (offsets !== undefined) {
    const cells = rows.map(({ token }) => {
      const at = offset;
      offset += [...token].length;
      return String(at);
    });
    fields.push(`"text_offset":[${cells.join(',')}]`);
  }
  return { start: piece.node.start, end: piece.node.end, text: `{${fields.join(',')}}` };
}
