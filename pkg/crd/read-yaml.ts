import { LineCounter, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, Node, ParsedNode } from 'yaml';
import type { JsonValue } from '../base/index.ts';
import type { DocumentFault, FaultPath } from './fault.ts';

/**
 * YAML 1.2 text -> plain values, strictly.
 *
 * Promise: it never throws, and accepts only what reads the same everywhere: no duplicate keys, no aliases or merge keys
 * (so that a small file cannot unfold into a large one), no tags, no keys that are not text, no numbers that JSON cannot
 * hold. Values have no prototype, so a key named `__proto__` is only a key.
 *
 * Limit: Kubernetes' own tools read YAML 1.1, where a bare `on`, `yes` or `no` is a boolean: no field of ours has such a name (docs/adr/0010).
 */
export interface YamlDocument {
  /** Undefined when the document has faults, or holds nothing. */
  readonly value: JsonValue | undefined;
  readonly faults: readonly DocumentFault[];
  /** Line of the value at a path, or of the closest one above it that exists. */
  lineOf(path: FaultPath): number | undefined;
}

/** Policy files are written by people; etcd takes no object beyond 1.5 MiB. */
export const longestText = 1024 * 1024;
const mostDocuments = 1000;
export const deepest = 32;
export const mostValues = 100_000;

export const refused = (message: string, line?: number): YamlDocument => ({
  value: undefined,
  faults: [{ path: [], message, line }],
  lineOf: () => undefined,
});

function key(path: FaultPath): string {
  return JSON.stringify(path);
}

/** Walks one document's nodes; stops at the first hundred faults. */
class Reader {
  readonly faults: DocumentFault[] = [];
  readonly lines = new Map<string, number>();
  readonly #counter: LineCounter;
  #values = 0;

  constructor(counter: LineCounter) {
    this.#counter = counter;
  }

  line(node: unknown): number | undefined {
    const range = (node as { range?: readonly number[] | null } | null)?.range;
    const offset = range?.[0];
    return offset === undefined ? undefined : this.#counter.linePos(offset).line;
  }

  #fault(path: FaultPath, message: string, node: unknown): null {
    if (this.faults.length < 100) this.faults.push({ path, message, line: this.line(node) });
    return null;
  }

  read(node: unknown, path: FaultPath): JsonValue {
    const line = this.line(node);
    if (line !== undefined && !this.lines.has(key(path))) this.lines.set(key(path), line);
    if (++this.#values > mostValues) return this.#fault([], 'the document has too many values: split it', node);
    if (path.length > deepest) return this.#fault(path, 'is nested too deeply', node);
    if (isAlias(node)) return this.#fault(path, 'aliases (*name) are not allowed: write the value out', node);
    if (isMap(node)) return this.#map(node.items, path);
    if (isSeq(node)) return node.items.map((item, at) => this.read(item, [...path, at]));
    if (!isScalar(node)) return node === null ? null : this.#fault(path, 'cannot be read', node);
    return this.#scalar(node.value, path, node);
  }

  #map(items: readonly { key: unknown; value: unknown }[], path: FaultPath): JsonValue {
    const value = Object.create(null) as { [key: string]: JsonValue };
    for (const item of items) {
      const name = isScalar(item.key) ? item.key.value : undefined;
      if (typeof name !== 'string') {
        this.#fault(path, 'has a key that is not text: put it in quotes', item.key);
        continue;
      }
      if (name === '<<') {
        this.#fault(path, 'merge keys (<<) are not allowed: write the fields out', item.key);
        continue;
      }
      if (name in value) {
        this.#fault(path, 'this key stands twice: remove one', item.key);
        continue;
      }
      const at = [...path, name];
      const line = this.line(item.key);
      if (line !== undefined) this.lines.set(key(at), line);
      value[name] = this.read(item.value, at);
    }
    return value;
  }

  #scalar(value: unknown, path: FaultPath, node: unknown): JsonValue {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    return this.#fault(path, 'is not a value that JSON can hold: put it in quotes if it is text', node);
  }
}

const wording: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab stands where YAML wants spaces',
  BAD_INDENT: 'the indentation does not fit (fields of one object begin in one column), or a bracket is not closed',
  TAG_RESOLVE_FAILED: 'tags (!name) are not allowed',
  RESOURCE_EXHAUSTION: 'the document is nested too deeply',
  MULTIPLE_ANCHORS: 'anchors (&name) are not allowed',
};

function readDocument(document: Document.Parsed<ParsedNode>, counter: LineCounter): YamlDocument {
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) {
    const faults = new Map<string, DocumentFault>();
    for (const problem of problems) {
      const message = wording[problem.code] ?? `this is not YAML (${problem.code.toLowerCase().replaceAll('_', ' ')})`;
      const { line } = counter.linePos(problem.pos[0]);
      if (faults.size < 20) faults.set(`${line} ${message}`, { path: [], message, line });
    }
    return { value: undefined, faults: [...faults.values()], lineOf: () => undefined };
  }
  const reader = new Reader(counter);
  const contents: Node | null = document.contents;
  const value = reader.read(contents, []);
  return {
    value: reader.faults.length > 0 || value === null ? undefined : value,
    faults: reader.faults,
    lineOf(path) {
      for (let length = path.length; length >= 0; length--) {
        const line = reader.lines.get(key(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return undefined;
    },
  };
}

/** All documents of a text, also empty ones (value undefined, no faults). */
export function readYaml(text: string): readonly YamlDocument[] {
  if (text.length > longestText) return [refused('the file is larger than 1 MiB: split it')];
  const counter = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      customTags: null,
      resolveKnownTags: false,
      merge: false,
      strict: true,
      // It compares each key with all before it; `Reader` has a map.
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      logLevel: 'silent',
      lineCounter: counter,
    });
    if (!Array.isArray(documents)) return [];
    if (documents.length > mostDocuments) return [refused('the file has more than 1000 documents: split it')];
    return documents.map((document) => readDocument(document as Document.Parsed<ParsedNode>, counter));
  } catch {
    // The library recurses: nesting beyond the stack ends here, like anything else that it cannot take.
    return [refused('the file cannot be read: it is nested too deeply')];
  }
}
