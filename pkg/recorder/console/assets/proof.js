import { countLines, numberOf, parsed, textOf } from './record.js';

/** @import { SessionProof } from './contract.d.ts' */

/**
 * @typedef {{ ok: true, entries: number, at: number, lines: number, counted: boolean, ended: boolean, beside: number, unsigned: number, more: number }} Proven
 * @typedef {{ ok: false, why: string }} NotProven
 */

const encoder = new TextEncoder();
/** @param {string} hex */
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
/** @param {Uint8Array} bytes */
const hexOf = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, '0')).join('');
/** @param {...Uint8Array} parts @returns {Promise<Uint8Array>} */
const sha256 = async (...parts) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(/** @type {any} */ (parts)).arrayBuffer()));
const [leaf, node] = [Uint8Array.of(0), Uint8Array.of(1)];

/**
 * Root that an audit path leads to (RFC 9162, 2.1.3.2); undefined: the path does not fit the tree.
 * @param {Uint8Array} entry @param {number} index @param {number} size @param {readonly string[]} path
 */
async function rootOf(entry, index, size, path) {
  let [hash, at, last] = [await sha256(leaf, entry), index, size - 1];
  for (const sibling of path.map(bytesOf)) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      hash = await sha256(node, sibling, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else hash = await sha256(node, hash, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hexOf(hash) : undefined;
}

/**
 * Whether lines are those that an entry of the log was made of: each holds the hash of the one before, the entry that of the last and the list of
 * all. Of lines that are not shown there are the hashes alone.
 * @param {Readonly<Record<string, unknown>>} entry @param {readonly string[]} lines @param {readonly string[] | undefined} hidden
 */
async function areOfEntry(entry, lines, hidden) {
  let prev = textOf(entry['prev']);
  const first = Number(entry['first']);
  const others = [...(hidden ?? [])];
  /** @type {string[]} */
  const hashes = [];
  for (const line of lines) {
    const end = line.lastIndexOf(',"hash":"');
    const own = parsed(line);
    while (others.length > 0 && own['seq'] !== first + hashes.length) hashes.push((prev = others.shift() ?? ''));
    if (own['prev'] !== prev || own['seq'] !== first + hashes.length) return false;
    prev = hexOf(await sha256(encoder.encode(line.slice(0, end))));
    if (line.slice(end) !== `,"hash":"${prev}"}`) return false;
    hashes.push(prev);
  }
  hashes.push(...others);
  if (hashes.at(-1) !== entry['hash'] || hashes.length !== Number(entry['last']) - first + 1) return false;
  return (
    hidden === undefined ||
    hexOf(await sha256(encoder.encode(`sidegate-lines/1\n${hashes.join('\n')}`))) === entry['list']
  );
}

/** @param {unknown} source @param {unknown} chain */
const nameOf = (source, chain) => `chain ${textOf(chain)} of ${textOf(source)}`;

/**
 * How many lines of a chain are not shown behind the first of a session.
 * @param {SessionProof} proof @param {string} name of the chain @param {string} first
 */
function hiddenBehind(proof, name, first) {
  const from = numberOf(parsed(first)['seq']) ?? 0;
  let count = 0;
  for (const { entry, lines, hidden } of proof.blocks) {
    const block = parsed(entry);
    const last = numberOf(block['last']) ?? 0;
    if (hidden === undefined || last <= from || nameOf(block['source'], block['chain']) !== name) continue;
    const shown = lines.split('\n').filter((line) => line !== '' && (numberOf(parsed(line)['seq']) ?? 0) > from);
    count += last - Math.max(from, (numberOf(block['first']) ?? 0) - 1) - shown.length;
  }
  return count;
}

/**
 * Reckons, in this browser, that the lines that are shown are in the log's tree under its newest head. Who signed the head it does not
 * know: that takes the log's public key from elsewhere than the recorder (`audit verify`).
 *
 * @param {SessionProof} proof @param {readonly string[]} shown lines of the session
 * @returns {Promise<Proven | NotProven>}
 */
export async function checkProof(proof, shown) {
  const head = parsed(proof.head);
  const size = numberOf(head['size']) ?? 0;
  /** @type {Set<string>} */
  const proven = new Set();
  let before = -1;
  for (const { index, entry, lines, hidden, path } of proof.blocks) {
    // One that stands twice, or is none of the tree, would stand in for one that is kept back.
    if (!Number.isSafeInteger(index) || index <= before || index >= size)
      return { ok: false, why: `entry ${index} is not behind the one before it` };
    before = index;
    if ((await rootOf(encoder.encode(entry), index, size, path)) !== head['root'])
      return { ok: false, why: `entry ${index} is not in the tree of the signed head` };
    const texts = lines.split('\n').filter((line) => line !== '');
    if (!(await areOfEntry(parsed(entry), texts, hidden)))
      return { ok: false, why: `the lines of entry ${index} are not those that it was made of` };
    for (const line of texts) proven.add(line);
  }
  const id = textOf(parsed(shown[0] ?? '')['session']);
  /** @type {Map<string, string[]>} */
  const chains = new Map();
  for (const { entry, lines } of proof.blocks) {
    const { source, chain } = parsed(entry);
    const key = nameOf(source, chain);
    const own = lines.split('\n').filter((line) => line.includes(`,"session":"${id}"`));
    chains.set(key, [...(chains.get(key) ?? []), ...own]);
  }
  const told = new Set(shown);
  const counts = [...chains]
    .filter(([, own]) => own.some((line) => told.has(line)))
    .map(([name, own]) => ({ name, ...countLines(own) }));
  const faulty = counts.find((one) => one.fault !== undefined);
  if (faulty !== undefined) {
    // Any sidecar may write lines under any id: what one kept back is not the fault of another.
    const whole = counts.filter((one) => one.fault === undefined).map(({ name }) => name);
    const others = whole.length === 0 ? '' : `; look at another alone: ${whole.join('; ')}`;
    return { ok: false, why: `${faulty.name}: ${faulty.fault}${others}` };
  }
  /** Of each chain's lines behind its first one: how many are not shown and may be the session's. */
  const besides = counts
    .filter((one) => !one.ended || !one.counted)
    .map(({ name }) => hiddenBehind(proof, name, chains.get(name)?.[0] ?? ''));
  const missing = shown.filter((line) => !proven.has(line)).length;
  const { more = 0 } = proof;
  if (missing > 0 && proof.unsigned === 0 && more === 0)
    return { ok: false, why: `${missing} lines that are shown are in no entry` };
  return {
    ok: true,
    entries: size,
    at: numberOf(head['at']) ?? 0,
    lines: shown.length - missing,
    counted: counts.every((one) => one.counted),
    ended: counts.every((one) => one.ended),
    beside: besides.reduce((sum, one) => sum + one, 0),
    unsigned: missing,
    more,
  };
}
