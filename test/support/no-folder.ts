import type { FolderIo } from '../../pkg/cli/index.ts';

const nothing = (): never => {
  throw new Error('there is no folder here');
};

/** For commands that touch no sidecar's folder. */
export const noFolder: FolderIo = {
  user: 'nobody',
  names: nothing,
  isWritableByOthers: nothing,
  write: nothing,
  remove: nothing,
  ask: nothing,
};
