import fc from 'fast-check';
import type { SchemaNode } from '../schema-node.ts';

/** Values near a schema: most fit, some miss it by a field, a form, a bound or a type. */

const texts = [
  'a',
  'abc-1.x',
  'corp',
  'cluster/base/corp',
  '30s',
  '168h',
  '1Mi',
  '512',
  '$.a.b',
  '**.ssn',
  '$.items[*].card',
  'https://idp.example.com',
  'http://proxy.internal:3128',
  'llama-3*',
  '/v1/stories',
  'Tell',
  '.index',
  'Bearer ',
  'x-api-key',
  'image/png',
  'sha256:0',
  'MCowBQYDK2VuAyEAnYfkQ1ohJqbQsbFCV4XRp6L4RE4aWgaq7xWyGkQ7ZlU=',
  '',
  ' ',
  'A_B',
  'a b',
  'a\nb',
  'a\u00a0b',
  'é',
  '😀',
  '😀'.repeat(63),
  '😀'.repeat(64),
  'a'.repeat(63),
  'a'.repeat(64),
  'a'.repeat(256),
  'a'.repeat(257),
  'x'.repeat(1025),
  'on',
  '0',
  '-1',
  '1.5',
  'null',
];

const wrong: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(null, 0, -1, 1.5, 1e21, true, false, 'a', '', [], {}, [
  null,
]);

function fittingText(node: SchemaNode): fc.Arbitrary<string> {
  // eslint-disable-next-line no-restricted-syntax -- patterns of our own schema, on texts of our own
  const form = node.pattern === undefined ? undefined : new RegExp(node.pattern, 'u');
  const fitting = texts.filter(
    (text) =>
      form?.test(text) !== false &&
      [...text].length >= (node.minLength ?? 0) &&
      [...text].length <= (node.maxLength ?? Number.POSITIVE_INFINITY),
  );
  return fitting.length === 0 ? fc.constantFrom(...texts) : fc.constantFrom(...fitting);
}

function fitting(node: SchemaNode): fc.Arbitrary<unknown> {
  if (node.enum !== undefined) return fc.constantFrom<unknown>(...node.enum);
  if (node['x-kubernetes-int-or-string'] === true)
    return fc.oneof(fc.integer({ min: 1, max: 4096 }), fc.constantFrom('1Mi', '512', '4Ki'));
  switch (node.type) {
    case 'string':
      return fittingText(node);
    case 'integer':
      return fc.integer({ min: node.minimum ?? 0, max: Math.min(node.maximum ?? 10, 1_000_000_000) });
    case 'boolean':
      return fc.boolean();
    case 'array': {
      const { items } = node;
      if (items === undefined) return fc.constant([]);
      return fc.array(near(items), { minLength: node.minItems ?? 0, maxLength: 3 });
    }
    default:
      return fittingObject(node);
  }
}

function fittingObject(node: SchemaNode): fc.Arbitrary<unknown> {
  const { properties, additionalProperties } = node;
  if (properties === undefined)
    return additionalProperties === undefined
      ? fc.constant({})
      : fc.dictionary(fc.constantFrom('app', 'tier', 'v'), near(additionalProperties), { maxKeys: 3 });
  const fields = Object.entries(properties)
    .filter(([, child]) => child['x-sidegate-local'] !== true)
    .map(([name, child]): [string, fc.Arbitrary<unknown>] => [name, near(child)]);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...(node.required ?? [])] });
}

/** About one in a hundred misses, of which a whole policy has some hundred. */
function near(node: SchemaNode): fc.Arbitrary<unknown> {
  const miss = fc.oneof(
    wrong,
    fc.constantFrom(...texts),
    fc.integer({ min: -2, max: 70_000 }),
    fitting(node).map((value) =>
      value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value, surplus: 1 } : value,
    ),
  );
  return fc.oneof({ arbitrary: fitting(node), weight: 90 }, { arbitrary: miss, weight: 1 });
}

/** A value of the schema, or close to one. Fields that are only for files are left out. */
export function nearSchema(node: SchemaNode): fc.Arbitrary<unknown> {
  return near(node);
}
