import type { JsonValue } from '../base/index.ts';

// What a sidecar writes into its lines is its to choose. The lines are kept whole, on the disk; what is kept of them in memory, found by or
// passed on is within these bounds.

/** Characters of one text. */
export const mostOfText = 256;
/** Texts of one list, and their characters together. */
export const mostOfList = { texts: 64, characters: 4_096 } as const;

/** In place of a text, or behind a list of them, that there was no room for. */
export const cutText = '…';

/** A copy with memory of its own: a part of a longer text keeps the whole of it in memory. */
export const owned = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

/**
 * Without control characters, which would part what is joined by line feeds, and well-formed, since every store replaces half a character: one
 * spelling for what is stored and what it is compared with.
 *
 * @param longest Characters; the rest is left out.
 */
export const cut = (text: string, longest: number = mostOfText): string => {
  const short = (text.length <= longest ? text : text.slice(0, longest)).toWellFormed();
  return /[\u0000-\u001f]/.test(short) ? short.replace(/[\u0000-\u001f]/g, ' ') : short;
};

/** Texts that are cut, each once, as long as there is room for them. */
export function cutList(
  texts: Iterable<string>,
  most: { readonly texts: number; readonly characters: number } = mostOfList,
): string[] {
  const kept = new Set<string>();
  let characters = 0;
  for (const text of texts) {
    const one = cut(text);
    if (kept.has(one)) continue;
    characters += one.length;
    if (kept.size >= most.texts || characters > most.characters) break;
    kept.add(one);
  }
  return [...kept];
}

const mostDepth = 6;

/**
 * A value whose texts, keys and members are within bounds: what there is no room for is left out, from its end.
 *
 * @param most Characters of one text and of all texts and keys together; members of a list or an object.
 */
export function cutValue(
  value: JsonValue,
  most: { readonly text: number; readonly characters: number; readonly members: number },
): JsonValue {
  let room = most.characters;
  const walk = (given: JsonValue, depth: number): JsonValue => {
    if (typeof given === 'string') {
      const text = cut(given, Math.max(0, Math.min(most.text, room)));
      room -= text.length;
      return text;
    }
    if (typeof given !== 'object' || given === null) return given;
    if (depth === 0) return null;
    if (Array.isArray(given)) {
      const list: JsonValue[] = [];
      for (const one of given) {
        if (list.length >= most.members || room <= 0) break;
        list.push(walk(one, depth - 1));
      }
      return list;
    }
    const members: [string, JsonValue][] = [];
    for (const [key, one] of Object.entries(given)) {
      if (members.length >= most.members || key.length > room) break;
      room -= key.length;
      members.push([key, walk(one, depth - 1)]);
    }
    return Object.fromEntries(members);
  };
  return walk(value, mostDepth);
}
