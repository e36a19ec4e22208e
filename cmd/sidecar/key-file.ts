import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, randomId } from '../../pkg/base/index.ts';

const keyBytes = 32;

/**
 * A key of 32 random bytes that is kept in a file, made where there is none, so that equal values give equal hashes after a restart.
 *
 * It appears under its name when it is whole: a disk that is full, or a kill in the middle, leaves no short one.
 *
 * @throws Error where what stands there is no key of ours, in words
 */
export function keyFile(folder: string, name: string): Uint8Array {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  const held = readKey(path);
  if (held !== undefined) return held;
  const draft = join(folder, `.${name}.${randomId()}`);
  try {
    const file = openSync(draft, 'wx', 0o600);
    try {
      // A short write is an error of its own, by what is read back.
      writeSync(file, randomBytes(keyBytes));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (readFileSync(draft).length !== keyBytes) throw new Error(`${draft} could not be written`);
    linkSync(draft, path);
  } catch (error) {
    // Another process was first.
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  const made = readKey(path);
  if (made === undefined) throw new Error(`${path} was taken away`);
  return made;
}

function readKey(path: string): Uint8Array | undefined {
  let key: Uint8Array;
  try {
    key = readFileSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (key.length === keyBytes) return key;
  throw new Error(`${path} has ${key.length} bytes and not ${keyBytes}: remove it, and a new key is made`);
}
