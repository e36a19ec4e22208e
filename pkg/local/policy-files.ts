import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../base/index.ts';

/**
 * Reads policy files so that what is read belongs together.
 *
 * Files are found anew each time (a folder gives its `.yaml`, `.yml` and `.json`, sorted, not those of folders inside, none
 * that begin with a dot), through symbolic links: a Kubernetes volume is a link `..data` that is swapped as one. The
 * signature says whether anything may have changed; equal signatures before and after reading prove that nothing was
 * swapped in between.
 */

export type PolicyFilesErrorCode = 'missing' | 'too_large' | 'too_many' | 'not_text' | 'unreadable' | 'unstable';

/** Messages name the file and never quote it. */
export class PolicyFilesError extends CodedError<PolicyFilesErrorCode> {
  constructor(code: PolicyFilesErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause });
    this.name = 'PolicyFilesError';
  }
}

export interface PolicyText {
  readonly file: string;
  readonly text: string;
}

const maxFiles = 1000;
/** The API server takes no object over 1.5 MiB; a file may hold a few. */
const maxFileBytes = 8 * 1024 * 1024;

const policyName = /^[^.].*\.(?:ya?ml|json)$/;

/** The files that the paths name now, and their signature: identity, size and times of each. */
export async function signPolicyFiles(
  paths: readonly string[],
): Promise<{ readonly files: readonly string[]; readonly signature: string }> {
  const files: string[] = [];
  const parts: string[] = [];
  for (const path of paths) {
    const found = await statOf(path);
    if (!found.isDirectory()) {
      files.push(path);
      parts.push(`${path} ${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`);
      continue;
    }
    const names = (await readdir(path)).filter((name) => policyName.test(name)).sort();
    if (names.length > maxFiles) throw new PolicyFilesError('too_many', `${path}: more than ${maxFiles} files`);
    for (const name of names) {
      const file = join(path, name);
      const inside = await statOf(file);
      if (!inside.isFile()) continue;
      files.push(file);
      parts.push(`${file} ${inside.dev}:${inside.ino}:${inside.size}:${inside.mtimeNs}:${inside.ctimeNs}`);
    }
  }
  return { files, signature: parts.join('\n') };
}

async function statOf(path: string) {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    throw new PolicyFilesError('missing', `${path}: cannot be found or read`, error);
  }
}

/** @throws PolicyFilesError when a file is too large, unreadable or not UTF-8. */
export async function readPolicyFiles(
  files: readonly string[],
): Promise<{ readonly texts: readonly PolicyText[]; readonly digest: string }> {
  const texts: PolicyText[] = [];
  const hash = createHash('sha256');
  for (const file of files) {
    const bytes = await readWhole(file);
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
    try {
      texts.push({ file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) });
    } catch (error) {
      throw new PolicyFilesError('not_text', `${file}: not UTF-8`, error);
    }
  }
  return { texts, digest: hash.digest('hex') };
}

async function readWhole(file: string): Promise<Uint8Array> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw new PolicyFilesError('unreadable', `${file}: cannot be read`, error);
  });
  try {
    const { size } = await handle.stat();
    if (size > maxFileBytes) throw new PolicyFilesError('too_large', `${file}: larger than ${maxFileBytes} bytes`);
    const bytes = await handle.readFile();
    if (bytes.length > maxFileBytes)
      throw new PolicyFilesError('too_large', `${file}: larger than ${maxFileBytes} bytes`);
    return bytes;
  } finally {
    await handle.close();
  }
}
