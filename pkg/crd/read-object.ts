import type { JsonValue } from '../base/index.ts';
import { deepest, longestText, mostValues, refused } from './read-yaml.ts';
import type { YamlDocument } from './read-yaml.ts';

class Refused extends Error {}

/**
 * An object that the API server gave, as {@link readYaml} would give it of its text, within the same bounds: many times faster, for those
 * who read in between what they do for others. Whatever is wrong stands in line 1.
 */
export function readObject(object: object): YamlDocument {
  let values = 0;
  const copy = (value: unknown, depth: number): JsonValue => {
    if (++values > mostValues) throw new Refused('the document has too many values: split it');
    if (depth > deepest) throw new Refused('is nested too deeply');
    if (typeof value !== 'object' || value === null) return value as JsonValue;
    if (Array.isArray(value)) return value.map((one) => copy(one, depth + 1));
    // Without a prototype, so that a key named `__proto__` is only a key.
    const fields = Object.create(null) as { [key: string]: JsonValue };
    for (const [name, one] of Object.entries(value)) if (one !== undefined) fields[name] = copy(one, depth + 1);
    return fields;
  };
  try {
    if (JSON.stringify(object).length > longestText) throw new Refused('the object is larger than 1 MiB: split it');
    return { value: copy(object, 0), faults: [], lineOf: () => 1 };
  } catch (error) {
    // The serializer recurses: nesting beyond the stack ends here.
    return refused(error instanceof Refused ? error.message : 'the object cannot be read: it is nested too deeply', 1);
  }
}
