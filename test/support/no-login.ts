import type { LoginIo } from '../../pkg/cli/index.ts';

const nobody = (): never => {
  throw new Error('nobody logs in here');
};

/** For commands that log nobody in. */
export const noLogin: LoginIo = {
  folder: '/nowhere',
  exchange: nobody,
  readPrivate: nobody,
  writePrivate: nobody,
  alone: nobody,
  browse: nobody,
  listen: nobody,
};
