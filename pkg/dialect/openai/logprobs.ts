import type { JsonNode } from '../../base/index.ts';
import { free } from '../shape.ts';
import type { ShapePlace, ShapeReader } from '../shape.ts';
import { hasSpelledIds, isSpelledId } from '../token-ids.ts';

/**
 * Log-probabilities spell an answer a second time, token by token. Promise: a token lane covers only entries whose shape is exactly the
 * documented one, so that whoever rewrites it knows every string in it; a field beside the documented ones is read as unknown.
 */

/** OpenAI's fields of an entry; llama.cpp adds the token's `id`, SGLang `text`-less alternatives. */
const entryFields = new Set(['token', 'logprob', 'bytes', 'top_logprobs', 'id']);
const alternativeFields = new Set(['token', 'logprob', 'bytes', 'id', 'rank']);

/** The strings and keys that the token lane does not stand for. */
function readOthers(reader: ShapeReader, node: JsonNode, place: ShapePlace, known: ReadonlySet<string>): void {
  node.keys.forEach((key, at) => {
    const item = node.items[at];
    if (item === undefined || known.has(key.text)) return;
    const stranger = place.stranger(key.text);
    reader.lone(key, stranger, true);
    reader.read(item, stranger);
  });
}

function isNumberOrNull(node: JsonNode | undefined): boolean {
  return node === undefined || node.kind === 'number' || node.kind === 'null';
}

function isBytes(node: JsonNode | undefined): boolean {
  if (node === undefined || node.kind === 'null') return true;
  return node.kind === 'array' && (node.numbers !== undefined || node.items.length === 0);
}

function checkEntry(reader: ShapeReader, entry: JsonNode, place: ShapePlace): void {
  if (entry.kind !== 'object' || entry.get('token')?.kind !== 'string') reader.refuse(place);
  if (!isNumberOrNull(entry.get('logprob')) || !isBytes(entry.get('bytes'))) reader.refuse(place);
  if (!isNumberOrNull(entry.get('id')) || !isNumberOrNull(entry.get('rank'))) reader.refuse(place);
}

/** Elements that may be more than numbers: for a list of those no nodes are made. */
function mixed(node: JsonNode | undefined): readonly JsonNode[] {
  return node === undefined || node.numbers !== undefined ? [] : node.items;
}

function isId(token: JsonNode | undefined): boolean {
  return token?.kind === 'string' && isSpelledId(token.text);
}

function entryTellsId(entry: JsonNode): boolean {
  if (isId(entry.get('token'))) return true;
  return mixed(entry.get('top_logprobs')).some((alternative) => isId(alternative.get('token')));
}

/** `logprobs.content[]` and `logprobs.refusal[]`. */
export function readTokenEntries(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind === 'null') return true;
  if (node.kind !== 'array' || node.numbers !== undefined) reader.refuse(place);
  if (node.items.length === 0) return true;
  if (node.items.some(entryTellsId)) {
    reader.tokens(node);
    return true;
  }
  node.items.forEach((entry, at) => {
    const here = place.element(at);
    checkEntry(reader, entry, here);
    readOthers(reader, entry, here, entryFields);
    const top = entry.get('top_logprobs');
    if (top === undefined || top.kind === 'null') return;
    if (top.kind !== 'array' || top.numbers !== undefined) reader.refuse(here);
    for (const alternative of top.items) {
      checkEntry(reader, alternative, here);
      readOthers(reader, alternative, here.stranger('top_logprobs'), alternativeFields);
    }
  });
  reader.tokenLane({ id: place.id, node, shape: 'entries' });
  return true;
}

const columns = new Set(['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']);

/** Map from token to number, or null; older servers send a list of such. */
function isAlternatives(node: JsonNode): boolean {
  return node.kind === 'null' || (node.kind === 'object' && node.items.every((item) => item.kind === 'number'));
}

function columnsTellId(node: JsonNode): boolean {
  return mixed(node.get('tokens')).some(isId) || mixed(node.get('top_logprobs')).some(hasSpelledIds);
}

/** Completions: parallel arrays `tokens`, `token_logprobs`, `top_logprobs`, `text_offset`. False: it is the form of Chat. */
export function readTokenColumns(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind !== 'object') return false;
  const tokens = node.get('tokens');
  if (tokens === undefined) return false;
  if (columnsTellId(node)) {
    reader.tokens(node);
    return true;
  }
  if (tokens.kind !== 'array' || tokens.numbers !== undefined) reader.refuse(place);
  if (!tokens.items.every((item) => item.kind === 'string')) reader.refuse(place);
  const top = node.get('top_logprobs');
  if (top !== undefined && top.kind !== 'null') {
    if (top.kind !== 'array' || top.numbers !== undefined || !top.items.every(isAlternatives)) reader.refuse(place);
  }
  for (const name of ['token_logprobs', 'text_offset']) {
    const column = node.get(name);
    if (column === undefined || column.kind === 'null') continue;
    if (column.kind !== 'array') reader.refuse(place);
    // One for each token: whoever rewrites them makes a node for each.
    if (column.numberCount > tokens.items.length) reader.refuse(place);
    if (column.numbers === undefined && !column.items.every(isNumberOrNull)) reader.refuse(place);
  }
  node.keys.forEach((key, at) => {
    const item = node.items[at];
    if (item === undefined || columns.has(key.text)) return;
    const known = place.known(key.text);
    if (known !== undefined) return reader.read(item, known);
    reader.lone(key, place.stranger(key.text), true);
    reader.read(item, place.stranger(key.text).as(free));
  });
  reader.tokenLane({ id: place.id, node, shape: 'parallel' });
  return true;
}
