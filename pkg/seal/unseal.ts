import type { KeyObject } from 'node:crypto';
import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonNode, JsonValue } from '../base/index.ts';
import { openSession } from './sealed-session.ts';
import type { Direction, PieceRange, SealEnd, SealHead, SessionOpener } from './sealed-session.ts';

/** Lines of one session with their texts as they were said. */
export interface Unsealed {
  /**
   * As JSON, each text that was sealed in place of its masked one; they are no longer what was hashed. Of sessions of which all texts are sealed, what
   * others may see of a text stands beside it as `masked`, where that differs.
   */
  readonly lines: readonly string[];
  /** False: the session's policy did not seal, so there is nothing but masked text. */
  readonly sealed: boolean;
  /** False: its end has not come, and texts may be missing. */
  readonly ended: boolean;
  /** Sealed texts that are not among the lines, by their numbers. */
  readonly missing: readonly PieceRange[];
  /** How many of them its sidecar says that it could not write (`audit.onFailure: Allow`). */
  readonly lost: number;
}

type Members = Record<string, JsonValue>;

function sealHead(sealed: JsonNode | undefined): SealHead | undefined {
  if (sealed?.kind !== 'object') return undefined;
  const version = sealed.get('version');
  return {
    ...(version !== undefined && { version: version.number ?? 0 }),
    key: sealed.get('key')?.string ?? '',
    enc: sealed.get('enc')?.string ?? '',
  };
}

function sealEnd(sealed: JsonNode | undefined): SealEnd {
  const lost = sealed?.get('lost')?.number;
  return {
    pieces: sealed?.get('pieces')?.number ?? -1,
    ...(lost !== undefined && { lost }),
    seal: sealed?.get('seal')?.string ?? '',
  };
}

/** An object's members with its sealed text opened. */
function opened(members: Members, direction: Direction, opener: SessionOpener | undefined): Members {
  const { sealed, piece, length, ...rest } = members;
  if (typeof sealed !== 'string') {
    // In clear among texts of which none is: its sidecar did not write it so.
    if (opener?.isWhole === true) throw new Error('it is not sealed, as all texts of its session are');
    return members;
  }
  if (opener === undefined) throw new Error('it comes before the start of its session');
  const text = { sealed, ...(typeof piece === 'number' && { piece }) };
  const lane = String(rest['lane']);
  if (!opener.isWhole) return { ...rest, text: opener.open(direction, lane, text) };
  return {
    ...rest,
    ...opener.openWhole(direction, lane, { ...text, length: typeof length === 'number' ? length : -1 }),
  };
}

function withRequest(members: Members, opener: SessionOpener | undefined): Members {
  const request = Array.isArray(members['request']) ? (members['request'] as readonly Members[]) : [];
  return { ...members, request: request.map((one) => opened(one, 'request', opener)) };
}

/** Of the cipher only that it does not fit: nothing of a text. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && !/auth/i.test(error.message)
    ? error.message
    : 'it is not the text that was sealed at this place of this session';

/**
 * Opens a session on the machine of whoever has the private key.
 *
 * @param lines as the recorder has them, in order
 * @throws Error in words: a text is of another session or place, came before, or was changed; of version 1 also where one is missing;
 * another key
 */
export function unsealLines(lines: readonly string[], id: string, privateKey: KeyObject): Unsealed {
  const roots = lines.map((line) => parseJson(line, { loneSurrogates: true }));
  const openers: SessionOpener[] = [];
  let opener: SessionOpener | undefined;
  let ended = false;
  let lost = 0;
  const begin = (head: SealHead | undefined): void => {
    if (head === undefined) return;
    opener = openSession(privateKey, id, head);
    openers.push(opener);
  };
  const read = (root: JsonNode, line: string): string => {
    const members = jsonValue(root) as Members;
    switch (root.get('type')?.string) {
      case 'start':
        begin(sealHead(root.get('sealed')));
        return opener === undefined ? line : JSON.stringify(withRequest(members, opener));
      case 'texts':
        return JSON.stringify(withRequest(members, opener));
      case 'segment':
        return JSON.stringify(
          opened(members, root.get('direction')?.string === 'request' ? 'request' : 'response', opener),
        );
      case 'end': {
        ended = true;
        const sealed = root.get('sealed');
        if (opener === undefined && sealed === undefined) return line;
        if (opener === undefined) throw new Error('its start is missing');
        const end = sealEnd(sealed);
        opener.end(end);
        lost += end.lost ?? 0;
        return line;
      }
      default:
        return line;
    }
  };
  // A start that could not be written: the end says again what was in it.
  if (roots[0]?.get('type')?.string !== 'start')
    begin(
      sealHead(
        roots
          .find((root) => root.get('type')?.string === 'end')
          ?.get('sealed')
          ?.get('head'),
      ),
    );
  const out = roots.map((root, at) => {
    try {
      return read(root, lines[at] ?? '');
    } catch (error) {
      throw new Error(`line ${at + 1} of the session cannot be opened: ${reasonOf(error)}`, { cause: error });
    }
  });
  return { lines: out, sealed: opener !== undefined, ended, missing: openers.flatMap((one) => one.missing), lost };
}
