import type { DocumentFault, FaultPath } from './fault.ts';
import { parseDuration, parseSize } from './quantity.ts';
import { mostPatternUnits, patternUnits } from './pattern-units.ts';
import type { Condition, SchemaNode } from './schema-node.ts';

/**
 * Checks what stands in a schema beside the words of JSON Schema: conditions over several fields, bounds of durations and
 * sizes, URLs, refused texts, entries that must differ, RE2 patterns. The CRDs say the same in CEL (definition/cel.ts). The
 * shape has been checked before: a value is what its node says, or absent.
 */
export interface ConditionOptions {
  /** Says why a pattern cannot be used, or undefined. */
  readonly checkPattern: ((pattern: string, maxLength: number) => string | undefined) | undefined;
  /** Whether files beside the process may be named: never in a cluster, where an author could read the sidecar's own. */
  readonly local: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

interface Place {
  readonly path: FaultPath;
  /** The object in which the value, or the list that it stands in, is a field. */
  readonly around: Fields;
}

const defaultPatternMaxLength = 256;

/** An https URL that this parser and the API server's rule both take; user info, query and fragment have no place in it. */
export const httpsForm =
  /^https:\/\/([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\/[^?#@\x00-\x20\x7f]*)?$/u;

const loopback = /^(localhost|\[::1\]|127(\.[0-9]{1,3}){3})$/;

/** What is wrong with a URL, or undefined. */
function urlFault(text: string, form: SchemaNode['x-sidegate-url'], asked: boolean): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return 'must be a URL such as https://idp.example.com';
  if (url.username !== '' || url.password !== '' || url.hash !== '' || url.search !== '')
    return 'must be a URL without user, password, query and fragment';
  if (url.protocol === 'https:')
    return httpsForm.test(text) ? undefined : 'must be a URL such as https://idp.example.com/path';
  const local = url.protocol === 'http:' && loopback.test(url.hostname);
  if (!local) {
    const where = form === 'HttpsOrLoopback' || asked ? ' (plain http only on a loopback address)' : '';
    return `must begin with https://${where}`;
  }
  if (form === 'HttpsOrLoopbackWhenAsked' && !asked)
    return 'must begin with https://, or set allowInsecureLoopback: true beside it';
  return form === 'Https' ? 'must begin with https://' : undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}

function own(value: Fields, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/** What a condition finds, as faults below the object. */
function conditionFaults(condition: Condition, value: Fields): readonly DocumentFault[] {
  switch (condition.kind) {
    case 'ExactlyOne':
    case 'AtMostOne': {
      const given = condition.of.filter((name) => own(value, name) !== undefined);
      if (given.length === 0 && condition.kind === 'ExactlyOne')
        return [{ path: [], message: `needs one of ${condition.of.join(', ')}` }];
      return given.length <= 1
        ? []
        : [{ path: [], message: `has ${given.join(' and ')}: only one of them can stand here` }];
    }
    case 'AtLeastOne':
      return condition.of.some((name) => isGiven(own(value, name)))
        ? []
        : [{ path: [], message: `needs at least one of ${condition.of.join(', ')}` }];
    case 'Needs': {
      const { field, beside, is } = condition;
      const other = own(value, beside);
      const met = is === undefined ? isGiven(other) : [is].flat().some((one) => one === other);
      if (own(value, field) === undefined || met) return [];
      const needed =
        is === undefined ? `needs ${beside} beside it` : `needs ${beside}: ${[is].flat().join(' or ')} beside it`;
      return [{ path: [field], message: condition.message ?? needed }];
    }
    case 'Wants': {
      const { field, where, is } = condition;
      if (own(value, where) !== is || own(value, field) !== undefined) return [];
      return [{ path: [], message: `with ${where}: ${is} lacks the field "${field}"` }];
    }
    case 'NotBeside': {
      const { field, others, message } = condition;
      const met = own(value, field) !== undefined && others.some((name) => own(value, name) !== undefined);
      return met ? [{ path: [field], message }] : [];
    }
  }
}

function boundsFault(node: SchemaNode, value: unknown): string | undefined {
  const bounds = node['x-sidegate-bounds'];
  if (bounds === undefined) return undefined;
  const parse =
    node['x-kubernetes-int-or-string'] === true ? parseSize : (text: unknown) => parseDuration(String(text));
  const amount = parse(value as string | number) ?? Number.POSITIVE_INFINITY;
  if (amount < (parse(bounds.least) ?? 0)) return `must be at least ${bounds.least}`;
  return amount > (parse(bounds.most) ?? 0) ? `must be at most ${bounds.most}` : undefined;
}

function refusedFault(node: SchemaNode, value: unknown): string | undefined {
  const refused = node['x-sidegate-refused'];
  if (refused === undefined || typeof value !== 'string') return undefined;
  const text = refused.ignoreCase === true ? value.toLowerCase() : value;
  const hit = refused.values.includes(text) || (refused.prefixes ?? []).some((prefix) => text.startsWith(prefix));
  return hit ? refused.message : undefined;
}

class ConditionCheck {
  readonly faults: DocumentFault[] = [];
  readonly #options: ConditionOptions;
  /** Of the patterns so far: no more are read than fit. */
  #patternUnits = 0;
  readonly #letters = new Set<string>();

  constructor(options: ConditionOptions) {
    this.#options = options;
  }

  #add(path: FaultPath, message: string | undefined): void {
    if (message !== undefined) this.faults.push({ path, message });
  }

  check(node: SchemaNode, value: unknown, place: Place): void {
    if (value === undefined) return;
    if (Array.isArray(value)) this.#list(node, value, place);
    else if (value !== null && typeof value === 'object') this.#object(node, value as Fields, place.path);
    else this.#scalar(node, value, place);
  }

  #object(node: SchemaNode, value: Fields, path: FaultPath): void {
    for (const condition of node['x-sidegate-conditions'] ?? []) {
      for (const fault of conditionFaults(condition, value)) this.#add([...path, ...fault.path], fault.message);
    }
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      const field = own(value, name);
      if (field === undefined) continue;
      if (child['x-sidegate-local'] === true && !this.#options.local)
        this.#add(
          [...path, name],
          'is only for a sidecar that runs on its own, from files: in a cluster a Secret takes its place',
        );
      this.check(child, field, { path: [...path, name], around: value });
    }
  }

  #list(node: SchemaNode, items: readonly unknown[], { path, around }: Place): void {
    this.#different(node, items, path);
    const { items: item } = node;
    if (item !== undefined) items.forEach((one, at) => this.check(item, one, { path: [...path, at], around }));
  }

  #different(node: SchemaNode, items: readonly unknown[], path: FaultPath): void {
    for (const name of node['x-kubernetes-list-map-keys'] ?? []) {
      const seen = new Map<unknown, number>();
      items.forEach((item, at) => {
        const value = own(item as Fields, name);
        const before = seen.get(value);
        if (before === undefined) seen.set(value, at);
        else
          this.#add(
            [...path, at, name],
            `${JSON.stringify(value)} is the ${name} of entry ${before} already: give each its own`,
          );
      });
    }
  }

  #scalar(node: SchemaNode, value: unknown, { path, around }: Place): void {
    this.#add(path, boundsFault(node, value));
    this.#add(path, refusedFault(node, value));
    if (typeof value !== 'string') return;
    const form = node['x-sidegate-url'];
    if (form !== undefined) this.#add(path, urlFault(value, form, own(around, 'allowInsecureLoopback') === true));
    if (node['x-sidegate-re2'] === true) {
      const why = this.#patternFault(value, own(around, 'patternMaxLength'));
      this.#add(path, why === undefined ? undefined : `cannot be used: ${why}`);
    }
  }

  #patternFault(pattern: string, maxLength: unknown): string | undefined {
    const { checkPattern } = this.#options;
    if (checkPattern === undefined || this.#patternUnits > mostPatternUnits) return undefined;
    this.#patternUnits += patternUnits(pattern, this.#letters);
    // Said of the first that is too much; those behind it are not looked at.
    if (this.#patternUnits > mostPatternUnits)
      return 'the patterns of this policy are too much together: fewer, or with smaller counted repeats, fewer Unicode classes and (under (?i)) smaller ranges in them';
    return checkPattern(pattern, typeof maxLength === 'number' ? maxLength : defaultPatternMaxLength);
  }
}

/** Everything that the conditions of a schema find in a value of its shape. */
export function checkConditions(
  schema: SchemaNode,
  value: object,
  path: FaultPath,
  options: ConditionOptions,
): readonly DocumentFault[] {
  const check = new ConditionCheck(options);
  check.check(schema, value, { path, around: {} });
  return check.faults;
}
