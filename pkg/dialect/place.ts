import { createHash } from 'node:crypto';
import type { Shape } from './shape.ts';
import { free } from './shape.ts';

/** Elements remembered for each array: beyond them a place is made anew, so that memory does not grow with indexes. */
const remembered = 16;

/** Names that may stand in a lane id as they are: ids go into records, and other keys could hold anybody's data. */
const plainName = /^[A-Za-z_][A-Za-z0-9_-]{0,47}$/;

function idOf(name: string): string {
  return plainName.test(name) ? name : `[${createHash('sha256').update(name).digest('hex').slice(0, 16)}]`;
}

/**
 * One place of a body: where it stands, what its lane is called, what may stand there. The places of a dialect's own fields
 * are made once and kept, so that reading a frame builds no ids.
 */
export class Place {
  readonly id: string;
  readonly shape: Shape;
  readonly #parent: Place | undefined;
  readonly #name: string | number;
  #path: readonly (string | number)[] | undefined = undefined;
  readonly #fields = new Map<string, Place>();
  readonly #elements: Place[] = [];
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

  /** From `$`, as the body spells it; elements by the number that names them. */
  get path(): readonly (string | number)[] {
    if (this.#path === undefined) {
      this.#path = this.#parent === undefined ? [] : [...this.#parent.path, this.#name];
    }
    return this.#path;
  }

  /** The id of the nearest place whose name is all the dialect's own words and numbers: safe in an error. */
  get publicId(): string {
    return this.#strange ? (this.#parent?.publicId ?? '') : this.id;
  }

  /** How the ids of all lanes below begin. */
  get prefix(): string {
    return `${this.id}.`;
  }

  /** Undefined: the dialect has no such field here. */
  known(name: string): Place | undefined {
    const place = this.#fields.get(name);
    if (place !== undefined) return place;
    const shape = this.shape.fields?.get(name);
    if (shape === undefined) return undefined;
    const made = this.#make(shape, name);
    // Schemas nest as deep as callers like.
    if (shape.noTokens !== true) this.#fields.set(name, made);
    return made;
  }

  /** A field that the dialect does not have. */
  stranger(name: string): Place {
    return this.#make(this.shape.rest ?? free, name, true);
  }

  #make(shape: Shape, name: string, strange = false): Place {
    const step = idOf(name);
    return new Place(shape, this.id === '' ? step : `${this.id}.${step}`, this, name, strange);
  }

  element(index: number): Place {
    const place = this.#elements[index];
    if (place !== undefined) return place;
    const made = new Place(this.shape.items ?? free, `${this.id}[${index}]`, this, index);
    // In order, so that the array stays dense; unknown places are not kept by anyone.
    if (index === this.#elements.length && index < remembered) this.#elements.push(made);
    return made;
  }

  /** This place, read as something else. */
  as(shape: Shape): Place {
    return new Place(shape, this.id, this.#parent, this.#name, this.#strange);
  }
}
