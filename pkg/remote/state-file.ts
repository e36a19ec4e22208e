import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { maxDownBytes } from '../wire/index.ts';

/**
 * Small state that outlives a restart of the container: files of the memory volume that this container alone mounts,
 * readable by its user only, replaced by rename.
 *
 * A file says which pod it is of and carries a digest of what it holds, so that one that was truncated, changed by accident
 * or brought from another pod is not used. Limit: whoever can write to the volume (the node's root) can forge the digest
 * too; what is read is judged again by its reader.
 */
export interface StateFolder {
  /** `absent`: no file. `refused`: one that is not to be used. */
  read(
    name: string,
  ): { readonly kind: 'content'; readonly content: JsonValue } | { readonly kind: 'absent' | 'refused' };
  /** False: it could not be written, and what was there before stays. For a moment it takes the room of both. */
  write(name: string, content: unknown): boolean;
  /** True: it is not there, or not any more. */
  remove(name: string): boolean;
}

const version = 1;
/** A snapshot, and what stands around it. */
const mostBytes = maxDownBytes + 65_536;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

function remove(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false;
  }
}

export function openStateFolder(folder: string, uid: string): StateFolder {
  return {
    read(name) {
      const path = join(folder, name);
      try {
        if (statSync(path).size > mostBytes) return { kind: 'refused' };
        const text = readFileSync(path, 'utf8');
        const [head = '', ...rest] = text.split('\n');
        const body = rest.join('\n');
        if (digest(body) !== head) return { kind: 'refused' };
        const value = jsonValue(parseJson(body));
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'refused' };
        if (value['version'] !== version || value['pod'] !== uid) return { kind: 'refused' };
        return { kind: 'content', content: value['content'] ?? null };
      } catch (error) {
        return { kind: errorCode(error) === 'ENOENT' ? 'absent' : 'refused' };
      }
    },
    write(name, content) {
      const body = JSON.stringify({ version, pod: uid, content });
      const path = join(folder, name);
      const temporary = `${path}.new`;
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(temporary, `${digest(body)}\n${body}`, { mode: 0o600 });
        chmodSync(temporary, 0o600); // an old temporary file keeps its mode when it is written again
        renameSync(temporary, path);
        return true;
      } catch {
        remove(temporary);
        return false;
      }
    },
    remove: (name) => remove(join(folder, name)),
  };
}
