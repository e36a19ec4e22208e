import type { Options } from 'ajv';
import { resourceSchema } from './schema.ts';
import type { SchemaNode } from './schema-node.ts';

/** What ajv is given for a policy: by validator.ts where the source runs, by cmd/build.ts once for every bundle. */

type JsonSchema = { [key: string]: unknown };

/** Unknown fields are refused, which a structural schema of Kubernetes has no word for. */
function toJsonSchema(node: SchemaNode): JsonSchema {
  if (node['x-kubernetes-preserve-unknown-fields'] === true) return {};
  const { properties, items, additionalProperties, ...own } = node;
  const schema: JsonSchema = Object.fromEntries(
    Object.entries(own).filter(([word]) => !word.startsWith('x-') && word !== 'description'),
  );
  if (node['x-kubernetes-int-or-string'] === true) {
    return {
      anyOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', pattern: node.pattern },
      ],
    };
  }
  if (properties !== undefined) {
    schema['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, toJsonSchema(child)]),
    );
    schema['additionalProperties'] = false;
  }
  if (additionalProperties !== undefined) schema['additionalProperties'] = toJsonSchema(additionalProperties);
  if (items !== undefined) schema['items'] = toJsonSchema(items);
  return schema;
}

/** JSON Schema of a whole document of a policy file. */
export const resourceJsonSchema = (): JsonSchema => toJsonSchema(resourceSchema);

/**
 * How ajv reads it. `ownProperties`: values of the YAML reader have no prototype, those of others might. `messages`: faults are
 * worded in shape.ts.
 */
export const validatorOptions = {
  messages: false,
  allErrors: true,
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  ownProperties: true,
} as const satisfies Options;
