import { isDigit, isLetter, isLower, isUpper, lower, standsAt } from '../characters.ts';
import { count } from './randomness.ts';

/**
 * What stands where a secret would and is none: examples of manuals, templates, references, values that were taken out, names of types.
 */

/** Anywhere in a value: of drawn values of 40 characters less than one in 20,000 holds one by chance. */
const anywhere = [
  'changeme',
  'change-me',
  'change_me',
  'dummy',
  'example',
  'insert',
  'placeholder',
  'redacted',
  'replace',
  'xxxx',
  'your',
];

/** Does it hold a word that stands in examples alone? */
export function holdsFiller(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const code = lower(text.charCodeAt(at));
    for (const word of anywhere) {
      if (code === word.charCodeAt(0) && at + word.length <= to && standsAt(text, at, word)) return true;
    }
  }
  return false;
}

/** A value that is one of these words, in any case, is a type, a state or a sample. */
const words = Map.groupBy(
  (
    'admin any apikey array basic bearer boolean buffer bytes changeit char confirm credential credentials current default disabled ' +
    'empty enabled encrypted env expired fail failed false field forgot hash hashed hidden incorrect input int integer invalid key keyword ' +
    'label login logout match missing mysecret mypassword mytoken new nil no none null number object off ok old on optional paragraph pass passcode ' +
    'passphrase passw0rd passwd password password_hash plain plaintext private prompt public pwd read required reset root sample secret secretkey ' +
    'secure self session set some string submit symbol test text this token true type undefined unknown unset user username valid value ' +
    'void wrong yes'
  ).split(' '),
  (word) => word.length,
);

const references = [
  'process.env',
  'os.environ',
  'os.getenv',
  'env.',
  'env:',
  'config.',
  'settings.',
  'secrets.',
  'vars.',
  'var.',
  'local.',
  'data.',
  'this.',
  'self.',
  'req.',
  'request.',
  'props.',
  'params.',
  'args.',
  'options.',
  'opts.',
  'vault:',
  'op://',
  'file:',
  'arn:',
  'http:',
  'https:',
  'ref+',
  'enc[',
  '!vault',
];

/** Is what stands in `[from, to)` a filler, or a reference to a value instead of one? */
export function isFiller(text: string, from: number, to: number): boolean {
  const { distinct, digits, length, others } = count(text, from, to);
  if (distinct <= 2 && (digits < length || distinct === 1)) return true;
  if (others === length) return true;
  for (const word of words.get(length) ?? []) if (standsAt(text, from, word)) return true;
  return isReference(text, from, to) || holdsFiller(text, from, to);
}

function isReference(text: string, from: number, to: number): boolean {
  const first = text.charCodeAt(from);
  const last = text.charCodeAt(to - 1);
  const second = text.charCodeAt(from + 1);
  if (isBracketed(first, second, last, to - from)) return true;
  // `$KEY`, `${KEY}`, `$(key)`, `#{key}`, `%s`, `%(key)s`.
  if ((first === 0x24 || first === 0x23) && (second === 0x7b || second === 0x28)) return true;
  if (first === 0x24 && isName(text, from + 1, to)) return true;
  if (first === 0x25 && (to - from <= 3 || second === 0x28)) return true;
  if (isPath(text, from, to)) return true;
  for (const word of references) if (standsAt(text, from, word)) return true;
  return holdsTemplate(text, from, to);
}

/** `<key>`, `[key]`, `{key}`, `{{ key }}`, `%KEY%`, `@KEY@`, `__KEY__`. */
function isBracketed(first: number, second: number, last: number, length: number): boolean {
  if (first === 0x3c || first === 0x7b || (first === 0x5b && last === 0x5d)) return true;
  if (first === 0x5f) return second === 0x5f && last === 0x5f;
  return (first === 0x25 || first === 0x40) && last === first && length > 2;
}

/** `/a/b`, `~/a`, `./a`, `../a`. */
function isPath(text: string, from: number, to: number): boolean {
  const first = text.charCodeAt(from);
  const second = text.charCodeAt(from + 1);
  const begins = first === 0x2f || first === 0x7e || (first === 0x2e && (second === 0x2f || second === 0x2e));
  return begins && hasSlash(text, from + 1, to);
}

/** Letters, digits and `_`, and no letter in the other case than the first one's. */
function isName(text: string, from: number, to: number): boolean {
  let uppers = 0;
  let lowers = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (isUpper(code)) uppers += 1;
    else if (isLower(code)) lowers += 1;
    else if (code !== 0x5f && code !== 0x2e && code !== 0x3a && !(isDigit(code) && at > from)) return false;
  }
  return uppers + lowers > 0 && isLetter(text.charCodeAt(from));
}

function hasSlash(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (text.charCodeAt(at) === 0x2f) return true;
  return false;
}

/** `${...}`, `{{...}}`, `#{...}` or `$(...)` somewhere in it. */
function holdsTemplate(text: string, from: number, to: number): boolean {
  for (let at = from; at + 1 < to; at += 1) {
    const code = text.charCodeAt(at);
    const next = text.charCodeAt(at + 1);
    if (next === 0x7b && (code === 0x24 || code === 0x7b || code === 0x23)) return true;
    if (next === 0x28 && code === 0x24) return true;
  }
  return false;
}

/** Is it a name as code has it, in camel case or in parts: `currentUser`, `db_password`, `user.name`, `Foo::Bar`? No digits but at its end. */
export function isIdentifier(text: string, from: number, to: number): boolean {
  let end = to;
  while (end > from && isDigit(text.charCodeAt(end - 1))) end -= 1;
  if (to - end > 2 || end === from) return false;
  for (let at = from; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (!isLetter(code) && code !== 0x5f && code !== 0x2e && code !== 0x3a && code !== 0x2d) return false;
  }
  return true;
}
