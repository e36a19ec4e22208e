export { fold, foldCodePoint } from './fold.ts';
export type { Folded } from './fold.ts';
