import { join } from 'node:path';

/**
 * For the environment of processes that tests start from the sources: Node keeps there what it made of each file, so that the next start takes
 * a second less of a core.
 */
export const compileCache = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/node-compile'),
} as const;
