import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, randomId } from '../../pkg/base/index.ts';

const keyBytes = 32;

/** What a file system says that has no hard links: SMB, exFAT, many of FUSE. */
const noLinks: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * A key of 32 random bytes that is kept in a file, made where there is none, so that equal values give equal hashes after a restart.
 *
 * It appears under its name when it is whole: a disk that is full, or a kill in the middle, leaves no short one. Where the file system
 * has no hard links, a kill in the middle may: it is refused at the next start.
 *
 * @param link Gives the whole file its name, and is EEXIST where another has it.
 * @throws Error where what stands there is no key of ours, in words
 */
export function keyFile(folder: string, name: string, link = linkSync): Uint8Array {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  const held = readKey(path);
  if (held !== undefined) return held;
  const draft = join(folder, `.${name}.${randomId()}`);
  const key = randomBytes(keyBytes);
  try {
    writeWhole(draft, key);
    try {
      link(draft, path);
    } catch (error) {
      if (!noLinks.has(errorCode(error))) throw error;
      writeWhole(path, key);
    }
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

/** A file that is new and on the disk, or none. @throws Error EEXIST where there is one, and stays */
function writeWhole(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    try {
      // A short write is an error of its own, by what is read back.
      writeSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (readFileSync(path).length !== bytes.length) throw new Error(`${path} could not be written`);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
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
