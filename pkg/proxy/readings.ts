/** A target or header value as it came, and as servers read it, of which some decode twice. The first is the text itself. */
export function readings(text: string): readonly string[] {
  const texts = [text];
  let read = text.replaceAll('+', ' ');
  for (let round = 0; round < 3; round++) {
    const decoded = read.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
    );
    if (decoded !== texts.at(-1)) texts.push(decoded);
    if (decoded === read) break;
    read = decoded;
  }
  return texts;
}

/** Stands in the record for a whole text that holds something in disguise. */
export const withheld = '[disguised]';
