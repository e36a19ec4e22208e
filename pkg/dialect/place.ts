import { createHash, randomBytes } from 'node:crypto';
import type { Shape, ShapePlace } from './shape.ts';
import { free, unlisted } from './shape.ts';

/** Elements remembered for each array of the dialect's: beyond them a place is made anew, so that memory does not grow with indexes. */
const remembered = 8;

/** Unknown values and schemas nest as deep as callers like: what is kept must be bounded by the dialect's own shapes. */
function isKept(shape: Shape): boolean {
  return shape.unknown !== true && shape.noTokens !== true && shape.nests !== true;
}

/** Random, of this process: without it, whoever reads an id could try words until one gives its digest. */
const secret = randomBytes(32);

const digestOf = (text: string): string =>
  `{${createHash('sha256').update(secret).update(text).digest('hex').slice(0, 16)}}`;

/** Digests of short keys, which repeat from object to object and from request to request. */
const digests = new Map<string, string>();
const mostDigests = 1_024;
const longestKept = 64;

/**
 * How ids spell a key that is not the dialect's own: `{…}`, 16 hexadecimal digits, equal for equal keys of this process. Never as it is, and
 * never mind what it looks like: ids go into records and to approvers, and a key can be a secret.
 */
export function strangerStep(key: string): string {
  const known = digests.get(key);
  if (known !== undefined) return known;
  const step = digestOf(key);
  if (key.length > longestKept) return step;
  if (digests.size >= mostDigests) digests.clear();
  digests.set(key, step);
  return step;
}

/**
 * UTF-16 units of an id that those below it begin with. Longer ones are written as a digest: names that stand once in a body are in the
 * id of each of the thousands of texts below them, and each of those is recorded.
 */
const longestPrefix = 256;

/**
 * One place of a body: where it stands, what its lane is called, what may stand there. The places of a dialect's own fields
 * are made once and kept, so that reading a frame builds no ids.
 */
export class Place implements ShapePlace {
  readonly id: string;
  readonly shape: Shape;
  readonly #parent: Place | undefined;
  readonly #name: string | number;
  #path: readonly (string | number)[] | undefined = undefined;
  #fields: Map<string, Place> | undefined = undefined;
  #elements: Place[] | undefined = undefined;
  #shortened: string | undefined = undefined;
  /** Under a name that is not the dialect's. */
  readonly #strange: boolean;

  private constructor(shape: Shape, id: string, parent: Place | undefined, name: string | number, strange = false) {
    this.#strange = strange || (parent !== undefined && parent.#strange);
    this.shape = shape;
    this.id = id;
    this.#parent = parent;
    this.#name = name;
  }

  static root(shape: Shape): Place {
    return new Place(shape, '', undefined, '');
  }

  /** What the ids of places below begin with. */
  get #prefix(): string {
    return this.id.length <= longestPrefix ? this.id : (this.#shortened ??= digestOf(this.id));
  }

  get path(): readonly (string | number)[] {
    if (this.#path === undefined) {
      this.#path = this.#parent === undefined ? [] : [...this.#parent.path, this.#name];
    }
    return this.#path;
  }

  get publicId(): string {
    return this.#strange ? (this.#parent?.publicId ?? '') : this.id;
  }

  known(name: string): Place | undefined {
    const place = this.#fields?.get(name);
    if (place !== undefined) return place;
    const shape = this.shape.fields?.get(name);
    if (shape === undefined) return undefined;
    const made = this.#make(shape, name);
    if (isKept(shape)) (this.#fields ??= new Map<string, Place>()).set(name, made);
    return made;
  }

  stranger(name: string): Place {
    return this.#make(this.shape.rest ?? unlisted, name, true);
  }

  #make(shape: Shape, name: string, strange = false): Place {
    const step = strange ? strangerStep(name) : name;
    return new Place(shape, this.id === '' ? step : `${this.#prefix}.${step}`, this, name, strange);
  }

  element(index: number): Place {
    const place = this.#elements?.[index];
    if (place !== undefined) return place;
    const shape = this.shape.items ?? free;
    const made = new Place(shape, `${this.#prefix}[${index}]`, this, index);
    if (index >= remembered || !isKept(shape)) return made;
    const elements = (this.#elements ??= []);
    // In order, so that the array stays dense.
    if (index === elements.length) elements.push(made);
    return made;
  }

  as(shape: Shape): Place {
    return new Place(shape, this.id, this.#parent, this.#name, this.#strange);
  }
}
