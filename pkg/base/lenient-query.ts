/** A parameter of a query, by the name and the value that the most lenient server reads. */
export interface LenientParameter {
  /** As it stands in the query. */
  readonly raw: string;
  readonly name: string;
  readonly value: string;
}

/** Parameters as the most lenient server reads them: `;` for `&`, names in lower case, without spaces around, of a list (`key[]`) that of the list. */
export function lenientParameters(query: string): readonly LenientParameter[] {
  return query
    .split(/[&;]/)
    .filter((raw) => raw !== '')
    .map((raw) => {
      const at = raw.indexOf('=');
      const name = decoded(at < 0 ? raw : raw.slice(0, at))
        .replace(/\[.*$/s, '')
        .trim()
        .toLowerCase();
      return { raw, name, value: decoded(at < 0 ? '' : raw.slice(at + 1)) };
    });
}

/** What is not percent-encoded UTF-8 stays as it is: it is no name of ours in any reading. */
function decoded(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced).trim();
  } catch {
    return spaced.trim();
  }
}
