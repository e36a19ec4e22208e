/** One thing that is wrong with a policy file, in words that say what to do. Never quotes a secret. */
export interface PolicyFault {
  readonly file: string;
  /** Which document of the file, counted from 1. */
  readonly document: number;
  /** `spec.access[0].operations[1]`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
  /** Line in the file, counted from 1, where it is known. */
  readonly line: number | undefined;
}

/** Keys and indexes from the root of a document. */
export type FaultPath = readonly (string | number)[];

/** `spec.access[0].operations[1]`. */
export function formatPath(path: FaultPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part.slice(0, 64))}]`;
  }
  return text;
}

/** One fault of a document, before it is known which document of which file that is. */
export interface DocumentFault {
  readonly path: FaultPath;
  readonly message: string;
  /** Where the path does not say it. */
  readonly line?: number | undefined;
}
