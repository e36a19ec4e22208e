import { Document, Scalar, visit } from 'yaml';

/**
 * What others wrote, for a terminal: it may hold bytes that move the cursor or colour what follows (C0, C1), that turn its direction or are
 * not seen (format characters, U+2028, U+2029). None of them is printed.
 */

const rows = /[^\P{Cc}\n\t]|[\p{Cf}\u2028\u2029]/gu;

/** For a cell or a line. */
export const printable = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');

/** For a text of several lines: line feeds and tabs stay, all else stands as `?`. */
export const printableRows = (text: string): string => text.replaceAll(rows, '?');

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/** Within a text of JSON as `\uXXXX`, by UTF-16 units (RFC 8259 section 7). */
const escapeJson = (text: string): string =>
  text.replaceAll(rows, (one) =>
    [...Array(one.length).keys()].map((at) => `\\u${hex(one.charCodeAt(at), 4)}`).join(''),
  );

/** Within a double-quoted scalar, where it names the whole character (YAML 1.2.2 section 5.7). */
const escapeYaml = (text: string): string =>
  text.replaceAll(rows, (one) => {
    const code = one.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  });

/** JSON that says the same and holds no such character. */
export const jsonText = (value: unknown, indent?: number): string =>
  escapeJson(JSON.stringify(value, undefined, indent));

/** JSON of others, byte for byte the same value, that holds no such character. */
export const printableJson = escapeJson;

/** YAML of one document, with its line feed. What holds such a character stands in double quotes, escaped. */
export function yamlText(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, scalar) {
      if (typeof scalar.value === 'string' && scalar.value.search(rows) >= 0) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return escapeYaml(document.toString({ lineWidth: 0 }));
}
