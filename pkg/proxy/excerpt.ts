/**
 * What approvers read of what is held. Promise: what the rules found that hold it stands first, with what is around it, however long the
 * rest is and wherever it stands; of the rest each text has a share, and it is said how much is left out.
 */

/** Characters of an excerpt. */
export const longestExcerpt = 4_096;

/** Masked for what nobody may see. */
export interface NamedText {
  readonly id: string;
  readonly text: string;
}

/**
 * What approvers read instead where no text stands in clear but for who has the key: where there are texts, and how long they are.
 *
 * @param lanes as the record names them
 */
export function sealedExcerpt(lanes: Iterable<{ readonly id: string; readonly length: number }>): string {
  const lines: string[] = [
    'The texts are sealed (audit.content: Sealed): who has the key reads them in the record of this session.',
  ];
  let length = lines[0]?.length ?? 0;
  for (const { id, length: of } of lanes) {
    const line = `${id.slice(0, longestId)}: ${of} characters`;
    length += line.length + 1;
    if (length > longestExcerpt - 2) {
      lines.push('…');
      break;
    }
    lines.push(line);
  }
  return lines.join('\n');
}

/** Where a rule that holds found something. */
export interface FoundPlace extends NamedText {
  readonly rule: string;
  /** In `text`, which is one of the texts or says what they come to when they are read otherwise. */
  readonly at: number;
}

/** Characters on either side of a finding, and where many rules found something. */
const around = 200;
const aroundMany = 40;
/** Characters of all findings with what is around them. */
const longestFindings = 3_000;
const longestId = 96;
/** Less than this of a text says nothing. */
const leastShare = 80;
const mostPlaces = 256;

/** Places, a few of each rule: the first of each is the one that must be shown. */
export class FoundPlaces {
  readonly #places: FoundPlace[] = [];
  readonly #counts = new Map<string, number>();
  /** Those that were not kept. */
  #more = 0;

  /** @param place made where it is kept */
  add(rule: string, place: () => Omit<FoundPlace, 'rule'>): void {
    const count = this.#counts.get(rule) ?? 0;
    this.#counts.set(rule, count + 1);
    if (count > 0 && (count >= 4 || this.#places.length >= mostPlaces)) this.#more++;
    else this.#places.push({ rule, ...place() });
  }

  get kept(): readonly FoundPlace[] {
    return this.#places;
  }

  get more(): number {
    return this.#more;
  }
}

export function excerptOf(texts: readonly NamedText[], found: Pick<FoundPlaces, 'kept' | 'more'>): string {
  const whole = texts.map(lineOf).join('');
  if (whole.length <= longestExcerpt) return whole;
  const findings = findingsOf(found);
  const total = texts.reduce((sum, { text }) => sum + text.length, 0);
  const head = `${findings}of ${total} characters:\n`;
  return (head + sharesOf(texts, longestExcerpt - head.length)).toWellFormed().slice(0, longestExcerpt);
}

const nameOf = (id: string): string => (id.length <= longestId ? id : `${id.slice(0, longestId - 1)}…`);
const lineOf = ({ id, text }: NamedText): string => `${nameOf(id)}: ${text}\n`;

/** Lines that say where it was found, with what is around. */
export function findingsOf({ kept, more }: Pick<FoundPlaces, 'kept' | 'more'>): string {
  const rules = new Set<string>();
  const first = kept.filter(({ rule }) => !rules.has(rule) && rules.add(rule));
  const ordered = [...first, ...kept.filter((place) => !first.includes(place))];
  const each = first.length > longestFindings / (2 * around + longestId) ? aroundMany : around;
  const shown = new Map<string, { readonly from: number; readonly to: number }[]>();
  let lines = '';
  let left = more;
  for (const { id, text, at } of ordered) {
    const known = shown.get(`${id} ${text.length}`) ?? [];
    // One window may show several.
    if (known.some(({ from, to }) => from <= at && at < to - each / 2)) continue;
    const [from, to] = [Math.max(0, at - each), Math.min(text.length, at + each)];
    const line = `found in ${nameOf(id)}: ${from > 0 ? '…' : ''}${text.slice(from, to)}${to < text.length ? '…' : ''}\n`;
    if (lines.length + line.length > longestFindings) {
      left++;
      continue;
    }
    lines += line;
    shown.set(`${id} ${text.length}`, [...known, { from, to }]);
  }
  return left === 0 ? lines : `${lines}… and in ${left} more places\n`;
}

/** Of each text its beginning and its end; of very many texts the first and the last ones. */
function sharesOf(texts: readonly NamedText[], room: number): string {
  const most = Math.max(2, Math.floor(room / leastShare));
  if (texts.length > most) {
    const ends = Math.floor((most - 1) / 2);
    const note = `… ${texts.length - 2 * ends} texts left out …\n`;
    const each = Math.floor((room - note.length) / 2);
    return sharesOf(texts.slice(0, ends), each) + note + sharesOf(texts.slice(-ends), each);
  }
  // The short ones whole; what they leave is for the long ones.
  const shares = new Map<NamedText, number>();
  let left = room;
  let count = texts.length;
  for (const one of texts.toSorted((a, b) => lineOf(a).length - lineOf(b).length)) {
    const share = Math.min(lineOf(one).length, Math.floor(left / count--));
    shares.set(one, share);
    left -= share;
  }
  return texts.map((one) => shortened(one, shares.get(one) ?? 0)).join('');
}

function shortened({ id, text }: NamedText, room: number): string {
  const line = lineOf({ id, text });
  if (line.length <= room) return line;
  const note = ` … ${text.length} characters in all … `;
  const each = Math.floor((room - nameOf(id).length - 3 - note.length) / 2);
  return each <= 0
    ? line.slice(0, Math.max(0, room - 1)) + '\n'
    : lineOf({ id, text: text.slice(0, each) + note + text.slice(-each) });
}
