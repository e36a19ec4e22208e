import { createHash, randomBytes } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import type { JsonEdit } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { extensionOf, fileType, headBytes } from '../file-type.ts';
import { boundaryOf } from './boundary.ts';
import { readParts } from './parts.ts';
import type { FormPart } from './parts.ts';

/**
 * A form as the JSON that says the same, and the way back: a field is a string, one whose name ends in `[]` a list of them, a file
 * `{"filename":…,"type":…,"bytes":…}`. A part's name is the name of its member.
 *
 * Promise: every string of a form is one of that JSON, but for names, which its shape must know, and what a file holds. A form of which nothing is
 * changed stays byte for byte. Else it is written anew, with a boundary of its own; files are in it byte for byte.
 */

/** What a form may have, by the names of its parts; any other is refused. */
export interface FormShape {
  readonly fields: ReadonlySet<string>;
  /** With what a file there may be: the beginnings of its media type. */
  readonly files: ReadonlyMap<string, readonly string[]>;
}

/** A file of a form. */
export interface FormFile {
  /** Where it stands in the JSON: `file`, `image[][0]`. */
  readonly id: string;
  readonly type: string;
  readonly content: Buffer;
}

export interface FormText {
  readonly text: string;
  readonly files: readonly FormFile[];
  /**
   * The form with these edits of the JSON's strings.
   *
   * @param anew written anew although nothing of it is edited: its boundary may not go on.
   * @throws RefusedError guard_blocked where an edit is none of a string that stands in the form.
   */
  edited(edits: readonly JsonEdit[], anew?: boolean): EditedForm;
}

export interface EditedForm {
  readonly body: Buffer;
  readonly contentType: string;
  /** A digest of its parts, which is the same whatever the boundary between them. */
  same(): Buffer;
}

export interface FormBody {
  /** @param contentType its header. @throws RefusedError unsupported_media_type, invalid_request, invalid_encoding */
  read(body: Buffer, contentType: string): FormText;
}

/** Of all fields that are no files together: OpenAI takes 32,000 characters of a prompt. */
const mostTextBytes = 1_048_576;

function refuse(detail: string): never {
  throw new RefusedError('invalid_request', { detail });
}

export const formBody = (shape: FormShape): FormBody => ({
  read: (body, contentType) => new Form(shape, body, contentType),
});

/** `a[]` and `a` are one list to some servers and two fields to others; `a[b]` and `a[c]` are members of one object to all. */
const baseOf = (name: string): string => name.split('[', 1)[0] ?? '';
const isList = (name: string): boolean => name.endsWith('[]');
const isMember = (name: string): boolean => name.endsWith(']') && !isList(name);

class Form implements FormText {
  readonly text: string;
  readonly files: readonly FormFile[];
  readonly #body: Buffer;
  readonly #contentType: string;
  readonly #parts: readonly FormPart[];
  /** Where the string of each part begins in the JSON: a field's value, a file's name. */
  readonly #starts = new Map<number, FormPart>();
  readonly #types = new Map<FormPart, string>();
  #textBytes = 0;

  constructor(shape: FormShape, body: Buffer, contentType: string) {
    this.#body = body;
    this.#contentType = contentType;
    this.#parts = readParts(body, boundaryOf(contentType));
    const files: FormFile[] = [];
    let text = '{';
    for (const [name, parts] of grouped(this.#parts)) {
      const families = shape.files.get(name);
      if (families === undefined && !shape.fields.has(name)) refuse('form');
      text += `${text === '{' ? '' : ','}${JSON.stringify(name)}:${isList(name) ? '[' : ''}`;
      parts.forEach((part, at) => {
        if (at > 0) text += ',';
        if (families === undefined) text += this.#field(part, text.length);
        else {
          const file = fileOf(part, families, isList(name) ? `${name}[${at}]` : name);
          files.push(file);
          text += this.#file(part, file, text.length);
        }
      });
      if (isList(name)) text += ']';
    }
    this.text = `${text}}`;
    this.files = files;
  }

  #field(part: FormPart, start: number): string {
    this.#textBytes += part.content.length;
    if (this.#textBytes > mostTextBytes) refuse('form');
    if (part.filename !== undefined || !isPlainText(part.type)) refuse(part.name);
    if (!isUtf8(part.content)) throw new RefusedError('invalid_encoding');
    if (part.content.includes(0)) refuse(part.name);
    this.#starts.set(start, part);
    return JSON.stringify(part.content.toString('utf8'));
  }

  #file(part: FormPart, { type, content }: FormFile, start: number): string {
    const label = '{"filename":';
    this.#starts.set(start + label.length, part);
    this.#types.set(part, type);
    return `${label}${JSON.stringify(part.filename)},"type":${JSON.stringify(type)},"bytes":${content.length}}`;
  }

  edited(edits: readonly JsonEdit[], anew = false): EditedForm {
    if (edits.length === 0 && !anew)
      return { body: this.#body, contentType: this.#contentType, same: () => digestOf(this.#parts) };
    const changes = new Map<FormPart, string>();
    for (const { start, text } of edits) {
      const part = this.#starts.get(start);
      if (part === undefined) throw new RefusedError('guard_blocked', { detail: 'form' });
      changes.set(part, textOf(text));
    }
    const parts = this.#parts.map((part): FormPart => {
      const changed = changes.get(part);
      if (changed === undefined) return part;
      if (part.filename !== undefined) return { ...part, filename: this.#nameOf(part, changed) };
      return { ...part, content: Buffer.from(changed, 'utf8') };
    });
    // 128 random bits: nobody can have put them into a file.
    const boundary = `----sidegate-${randomBytes(16).toString('hex')}`;
    const pieces = parts.flatMap((part) => [
      Buffer.from(`--${boundary}\r\n${headOf(part)}\r\n\r\n`),
      part.content,
      Buffer.from('\r\n'),
    ]);
    return {
      body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
      contentType: `multipart/form-data; boundary=${boundary}`,
      same: () => digestOf(parts),
    };
  }

  /** What stands in place of a file's name: nothing in it ends the name, and it ends as such files' names do, by which servers know them. */
  #nameOf(part: FormPart, changed: string): string {
    const plain = changed.replace(/["\\/\p{Cc}]/gu, '_');
    const extension = extensionOf(this.#types.get(part) ?? '');
    return extension === undefined || plain.endsWith(`.${extension}`) ? plain : `${plain}.${extension}`;
  }
}

function headOf({ name, type, filename }: FormPart): string {
  const file = filename === undefined ? '' : `; filename="${filename}"`;
  const head = `Content-Disposition: form-data; name="${name}"${file}`;
  return type === '' ? head : `${head}\r\nContent-Type: ${type}`;
}

function digestOf(parts: readonly FormPart[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts)
    hash.update(`${JSON.stringify([headOf(part), part.content.length])}\n`).update(part.content);
  return hash.digest();
}

function textOf(json: string): string {
  // eslint-disable-next-line no-restricted-syntax -- text of our own making
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'string') throw new RefusedError('guard_blocked', { detail: 'form' });
  return value;
}

/** In the order in which they first stand. @throws RefusedError where a field is there twice, or is spelled in two ways */
function grouped(parts: readonly FormPart[]): ReadonlyMap<string, readonly FormPart[]> {
  const groups = new Map<string, FormPart[]>();
  const spelled = new Map<string, string>();
  for (const part of parts) {
    const { name } = part;
    const group = groups.get(name);
    if (group !== undefined) {
      if (!isList(name)) refuse('form');
      group.push(part);
      continue;
    }
    const base = baseOf(name);
    const other = spelled.get(base);
    if (other !== undefined && !(isMember(other) && isMember(name))) refuse('form');
    spelled.set(base, name);
    groups.set(name, [part]);
  }
  return groups;
}

const isPlainText = (type: string): boolean =>
  type === '' || /^text\/plain(?:[ \t]*;[ \t]*charset="?utf-8"?)?$/i.test(type);

/** What browsers and recorders say is in a file (RFC 6381), and no other: these words are in no value that is read. */
const codec =
  /^(?:opus|vorbis|flac|pcm|mp3|1|vp8|vp9|mp4a\.(?:40\.(?:2|5|29)|67|69|6b)|avc1\.(?:42|4d|58|64)(?:00|01|40|c0|e0)(?:0[bcd]|1[456ef]|2[089a]|3[234]))$/i;

/** A media type, with at most the codecs that are in it: of sound, or of a picture and its sound. */
const mediaType =
  /^([a-z0-9][a-z0-9.+-]{0,63}\/[a-z0-9][a-z0-9.+-]{0,63})(?: ?; ?codecs=(?:([a-z0-9.]{1,16})|"([a-z0-9.]{1,16})(?:, ?([a-z0-9.]{1,16}))?"))?$/i;

/** In lower case; undefined: it is none, or says more. */
function declaredType(type: string): string | undefined {
  const [, declared, ...codecs] = mediaType.exec(type) ?? [];
  return codecs.every((one: string | undefined) => one === undefined || codec.test(one))
    ? declared?.toLowerCase()
    : undefined;
}

/** @throws RefusedError where its bytes are not of the type that it says, or of one that may not stand there */
function fileOf({ name, filename, type, content }: FormPart, families: readonly string[], id: string): FormFile {
  if (filename === undefined) refuse(name);
  const declared = type === '' ? '' : declaredType(type);
  if (declared === undefined) refuse(`${name}.type`);
  const found = fileType(content.subarray(0, headBytes), declared, filename);
  if (found === undefined || !families.some((family) => found.startsWith(family))) refuse(`${name}.type`);
  return { id, type: found, content };
}
