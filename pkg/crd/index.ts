export type { PolicyFault } from './fault.ts';
export { resourceJsonSchema, validatorOptions } from './json-schema.ts';
export { formatFault, parsePolicies } from './parse-policies.ts';
export type { ParseOptions, ParsedPolicies } from './parse-policies.ts';
export { parseDuration, parseSize } from './quantity.ts';
export { apiVersion, inferencePolicySchema, kinds, resourceSchema } from './schema.ts';
export type { PolicyResource, PolicySpecResource } from './schema.ts';
export type { SchemaNode } from './schema-node.ts';
export { policyDoc } from './policy-doc.ts';
