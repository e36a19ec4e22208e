/** What an instruction does. `assert` reads context and consumes nothing. */
export type Instruction =
  | { readonly op: 'char'; readonly out: number; readonly ranges: readonly number[] }
  | { readonly op: 'alt'; readonly out: number; readonly other: number }
  | { readonly op: 'assert'; readonly out: number; readonly flags: number }
  | { readonly op: 'jump'; readonly out: number }
  | { readonly op: 'match' }
  | { readonly op: 'fail' };
