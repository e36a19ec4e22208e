/**
 * Globs for model names: `*` stands for any characters, also none; everything else is itself, case included. No pattern
 * language on purpose: a policy's author cannot write one that is slow or that matches more than it seems to.
 */
export interface Glob {
  readonly source: string;
  /** Matches every name. */
  readonly all: boolean;
  matches(text: string): boolean;
}

/** Matching takes one forward search per literal piece, each as early as possible: for `*` alone that is exact. */
export function compileGlob(source: string): Glob {
  const pieces = source.split('*');
  const first = pieces[0] ?? '';
  if (pieces.length === 1) return { source, all: false, matches: (text) => text === source };
  const last = pieces[pieces.length - 1] ?? '';
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');
  const all = first === '' && last === '' && middle.length === 0;
  const matches = (text: string): boolean => {
    if (all) return true;
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    const end = text.length - last.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found < 0 || found + piece.length > end) return false;
      at = found + piece.length;
    }
    return true;
  };
  return { source, all, matches };
}

/**
 * Whether every name that `inner` matches is surely matched by `outer`. Reading the inner glob's stars as literal
 * characters is enough: a star of the inner glob can then only be covered by a star of the outer one.
 */
export function globCovers(outer: Glob, inner: Glob): boolean {
  // The marker cannot stand in a literal piece of the outer glob, so only a star of it can cover the inner star.
  return outer.all || outer.matches(inner.source.replaceAll('*', '\u0000'));
}
