import type { KeyObject } from 'node:crypto';
import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonNode, JsonValue } from '../base/index.ts';
import { openSession } from './sealed-session.ts';
import type { Direction, SessionOpener } from './sealed-session.ts';

/** Lines of one session with their texts as they were said. */
export interface Unsealed {
  /** As JSON, each text that was sealed in place of its masked one; they are no longer what was hashed. */
  readonly lines: readonly string[];
  /** False: the session's policy did not seal, so there is nothing but masked text. */
  readonly sealed: boolean;
  /** False: its end has not come, and texts may be missing. */
  readonly ended: boolean;
}

type Members = Record<string, JsonValue>;

function sealHead(root: JsonNode): { readonly key: string; readonly enc: string } | undefined {
  const sealed = root.get('sealed');
  if (sealed === undefined) return undefined;
  return { key: sealed.get('key')?.string ?? '', enc: sealed.get('enc')?.string ?? '' };
}

/** An object's members with its sealed text opened. */
function opened(members: Members, direction: Direction, opener: SessionOpener | undefined): Members {
  const { sealed, ...rest } = members;
  if (typeof sealed !== 'string') return members;
  if (opener === undefined) throw new Error('it comes before the start of its session');
  return { ...rest, text: opener.open(direction, String(rest['lane']), sealed) };
}

function withRequest(members: Members, opener: SessionOpener | undefined): Members {
  const request = Array.isArray(members['request']) ? (members['request'] as readonly Members[]) : [];
  return { ...members, request: request.map((one) => opened(one, 'request', opener)) };
}

/**
 * Opens a session on the machine of whoever has the private key.
 *
 * @param lines as the recorder has them, in order
 * @throws Error in words: a text is of another session or place, was changed, or is missing; another key
 */
export function unsealLines(lines: readonly string[], id: string, privateKey: KeyObject): Unsealed {
  let opener: SessionOpener | undefined;
  let ended = false;
  const read = (line: string): string => {
    const root = parseJson(line, { loneSurrogates: true });
    const members = jsonValue(root) as Members;
    switch (root.get('type')?.string) {
      case 'start': {
        const head = sealHead(root);
        if (head === undefined) return line;
        opener = openSession(privateKey, id, head);
        return JSON.stringify(withRequest(members, opener));
      }
      case 'texts':
        return JSON.stringify(withRequest(members, opener));
      case 'segment':
        return JSON.stringify(
          opened(members, root.get('direction')?.string === 'request' ? 'request' : 'response', opener),
        );
      case 'end': {
        ended = true;
        const end = root.get('sealed');
        if (opener === undefined && end === undefined) return line;
        if (opener === undefined) throw new Error('its start is missing');
        opener.end({ pieces: end?.get('pieces')?.number ?? -1, seal: end?.get('seal')?.string ?? '' });
        return line;
      }
      default:
        return line;
    }
  };
  const out = lines.map((line, at) => {
    try {
      return read(line);
    } catch (error) {
      // Of the cipher only that it does not fit: nothing of a text.
      const why = error instanceof Error && !/auth/i.test(error.message) ? error.message : undefined;
      throw new Error(
        `line ${at + 1} of the session cannot be opened: ${why ?? 'it is not the text that was sealed at this place of this session'}`,
        { cause: error },
      );
    }
  });
  return { lines: out, sealed: opener !== undefined, ended };
}
