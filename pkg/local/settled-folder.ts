import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CodedError } from '../base/index.ts';

/** A folder that somebody else could put another one in place of. Messages are for the operator. */
export class FolderPlaceError extends CodedError<'symlink' | 'parent_writable_by_others'> {}

/**
 * The path of a folder without symbolic links, once nobody but root and this process's user can put something else in its place: it is no link
 * itself, and what holds it belongs to these two and is writable by nobody else, or has the sticky bit, under which others cannot rename it.
 * Whose the folder is, and who may write in it, is for the caller to look at.
 *
 * @throws FolderPlaceError, or as node:fs
 */
export async function settledFolder(folder: string): Promise<string> {
  const given = resolve(folder);
  // Parents first: only then does what stands in them stay what it is.
  const parent = await realpath(dirname(given));
  for (let above = parent; ; above = dirname(above)) {
    const { mode, uid } = await stat(above);
    const isSticky = (mode & 0o1000) !== 0;
    if ((uid !== 0 && uid !== process.getuid?.()) || ((mode & 0o022) !== 0 && !isSticky)) {
      throw new FolderPlaceError(
        'parent_writable_by_others',
        `${folder}: others may put another folder in its place, since ${above} is theirs to write (chmod go-w, or +t)`,
      );
    }
    if (above === dirname(above)) break;
  }
  const path = join(parent, basename(given));
  if ((await lstat(path)).isSymbolicLink())
    throw new FolderPlaceError('symlink', `${folder}: is a symbolic link; name the folder itself`);
  return path;
}
