import type { JsonEdit } from '../base/index.ts';

/** A text as JSON that says the same, and the way back. */
export interface DocumentText {
  readonly text: string;
  /** The document with these edits of the JSON's strings; what they do not touch stays as it is. @throws RefusedError response_uninspectable */
  edited(edits: readonly JsonEdit[]): string;
}

/** How answers of a route are read that are texts and no JSON. */
export interface DocumentBody {
  /** Lower case, without parameters. */
  readonly mediaTypes: ReadonlySet<string>;
  answer(source: string): DocumentText;
}
