/**
 * What a file is, by its first bytes (WHATWG MIME Sniffing sections 6.1 and 6.2, and the formats' own specifications). Promise: a type is only
 * said where the bytes are such a file's beginning. Limit: what stands behind the beginning is not looked at, and of a container (mp4, webm, ogg)
 * nobody knows whether it holds a picture beside the sound.
 */

/** What a file's first bytes say. Each has at least one type, of which the first is the one to use where nothing else tells. */
interface Kind {
  readonly types: readonly string[];
  readonly extensions: readonly string[];
  readonly matches: (head: Uint8Array) => boolean;
}

const spells = (text: string, at = 0) => {
  const bytes = Buffer.from(text, 'latin1');
  return (head: Uint8Array): boolean => bytes.every((byte, index) => head[at + index] === byte);
};
const both =
  (...tests: readonly ((head: Uint8Array) => boolean)[]) =>
  (head: Uint8Array): boolean =>
    tests.every((test) => test(head));
const either =
  (...tests: readonly ((head: Uint8Array) => boolean)[]) =>
  (head: Uint8Array): boolean =>
    tests.some((test) => test(head));

const isBox = spells('ftyp', 4);
const isAvif = both(isBox, either(spells('avif', 8), spells('avis', 8)));

/** Eleven bits of sync, a layer of the three that MPEG audio has, and no reserved rate (ISO 11172-3 section 2.4.1.3). */
function isMpegAudio(head: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = head;
  const layer = (second >> 1) & 3;
  return first === 0xff && (second & 0xe0) === 0xe0 && layer !== 0 && (second & 0x18) !== 0x08 && third >> 4 !== 15;
}

/** ADTS (ISO 13818-7 section 6.2): the same sync, one bit more, and layer 0. */
const isAdts = ([first = 0, second = 0]: Uint8Array): boolean => first === 0xff && (second & 0xf6) === 0xf0;

/** In the order in which they are tried. */
const kinds: readonly Kind[] = [
  { types: ['image/png'], extensions: ['png'], matches: spells('\x89PNG\r\n\x1a\n') },
  { types: ['image/jpeg', 'image/jpg'], extensions: ['jpg', 'jpeg'], matches: spells('\xff\xd8\xff') },
  { types: ['image/gif'], extensions: ['gif'], matches: either(spells('GIF87a'), spells('GIF89a')) },
  { types: ['image/webp'], extensions: ['webp'], matches: both(spells('RIFF'), spells('WEBP', 8)) },
  { types: ['image/avif'], extensions: ['avif'], matches: isAvif },
  {
    types: ['image/heic', 'image/heif'],
    extensions: ['heic', 'heif'],
    matches: both(isBox, either(spells('heic', 8), spells('heix', 8), spells('mif1', 8))),
  },
  {
    types: ['audio/aiff', 'audio/x-aiff'],
    extensions: ['aiff', 'aif'],
    matches: both(spells('FORM'), spells('AIFF', 8)),
  },
  {
    types: ['video/avi', 'video/x-msvideo'],
    extensions: ['avi'],
    matches: both(spells('RIFF'), spells('AVI ', 8)),
  },
  { types: ['video/x-flv'], extensions: ['flv'], matches: spells('FLV\x01') },
  {
    types: ['video/wmv', 'video/x-ms-wmv'],
    extensions: ['wmv'],
    matches: spells('\x30\x26\xb2\x75\x8e\x66\xcf\x11'),
  },
  {
    types: ['audio/wav', 'audio/x-wav', 'audio/wave', 'audio/vnd.wave'],
    extensions: ['wav'],
    matches: both(spells('RIFF'), spells('WAVE', 8)),
  },
  { types: ['audio/flac', 'audio/x-flac'], extensions: ['flac'], matches: spells('fLaC') },
  {
    types: ['audio/ogg', 'audio/opus', 'video/ogg', 'application/ogg'],
    extensions: ['ogg', 'oga', 'opus'],
    matches: spells('OggS'),
  },
  {
    types: ['video/webm', 'audio/webm', 'video/x-matroska', 'audio/x-matroska'],
    extensions: ['webm', 'mkv'],
    matches: spells('\x1a\x45\xdf\xa3'),
  },
  {
    types: ['video/mp4', 'audio/mp4', 'audio/m4a', 'audio/x-m4a', 'video/quicktime', 'video/mov', 'video/3gpp'],
    extensions: ['mp4', 'm4a', 'mov'],
    matches: isBox,
  },
  { types: ['audio/aac', 'audio/aacp', 'audio/x-aac'], extensions: ['aac'], matches: isAdts },
  {
    types: ['audio/mpeg', 'audio/mp3', 'audio/x-mp3', 'audio/mpeg3'],
    extensions: ['mp3', 'mpga', 'mpeg'],
    matches: either(spells('ID3'), isMpegAudio),
  },
  {
    types: ['video/mpeg', 'video/mpg'],
    extensions: ['mpeg', 'mpg'],
    matches: either(spells('\x00\x00\x01\xba'), spells('\x00\x00\x01\xb3')),
  },
];

/** First bytes of a file by which it is told what it is. */
export const headBytes = 12;

/** What clients say of a file where they do not know: it declares nothing. */
const undeclared: ReadonlySet<string> = new Set(['', 'application/octet-stream', 'binary/octet-stream']);

/** Of these extensions the container's usual type is not the one that is meant. */
const byExtension: ReadonlyMap<string, string> = new Map([
  ['m4a', 'audio/mp4'],
  ['mov', 'video/quicktime'],
  ['mkv', 'video/x-matroska'],
]);

const kindOf = (head: Uint8Array): Kind | undefined => kinds.find(({ matches }) => matches(head));

/** The media type of a file that begins so; undefined: none that is known here. */
export const sniffedType = (head: Uint8Array): string | undefined => kindOf(head)?.types[0];

/** Whether a file that begins so may be called this. */
export const isOfType = (head: Uint8Array, type: string): boolean => kindOf(head)?.types.includes(type) === true;

/** Whether a file that begins so may be called this where no whole media type is said: `png`, `x-aac`. */
export function isOfFormat(head: Uint8Array, format: string): boolean {
  const kind = kindOf(head);
  return kind?.extensions.includes(format) === true || kind?.types.some((type) => type.endsWith(`/${format}`)) === true;
}

/** The media type of files that are called this; undefined: none that is known here. */
export const typeOfFormat = (format: string): string | undefined =>
  kinds.find(
    ({ extensions, types }) => extensions.includes(format) || types.some((type) => type.endsWith(`/${format}`)),
  )?.types[0];

/** SVG, HTML and other XML, in UTF-8 or UTF-16. @param head its first {@link markupBytes} bytes: white space may stand before it */
export const isMarkup = (head: Uint8Array): boolean =>
  /^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*<(?:\?xml|!doctype|!--|[a-z][a-z0-9:]{0,32}[\s/>])/i.test(
    Buffer.from(head.filter((byte) => byte !== 0)).toString('latin1'),
  );
export const markupBytes = 256;

/** Whether the first bytes of such files are known here. */
export const isKnownType = (type: string): boolean => kinds.some(({ types }) => types.includes(type));

/**
 * The media type of a file that somebody sent: as it was declared where its first bytes are of that type, and by these where nothing was.
 *
 * @param declared lower case, without parameters; `''`: nothing was.
 * @param name of the file: an extension declares a type, too.
 * @returns undefined where the bytes are of no known type, or not of the one that was declared.
 */
export function fileType(head: Uint8Array, declared: string, name: string): string | undefined {
  const kind = kindOf(head);
  if (kind === undefined) return undefined;
  const extension = /\.([a-z0-9]{1,8})$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  if (knownExtensions.has(extension) && !kind.extensions.includes(extension)) return undefined;
  if (undeclared.has(declared)) return byExtension.get(extension) ?? kind.types[0];
  return kind.types.includes(declared) ? declared : undefined;
}

const knownExtensions: ReadonlySet<string> = new Set(kinds.flatMap(({ extensions }) => extensions));

/** How names of such files end; undefined: of no known type. */
export const extensionOf = (type: string): string | undefined =>
  [...byExtension].find(([, one]) => one === type)?.[0] ??
  kinds.find(({ types }) => types.includes(type))?.extensions[0];
