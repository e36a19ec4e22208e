/** A text as a reader sees it. */
export function foldText(text: string, fold: (code: number) => string): string {
  let folded = '';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    folded += code < 128 ? char : fold(code);
  }
  return folded;
}
