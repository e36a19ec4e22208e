import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import { resourceJsonSchema, validatorOptions } from './json-schema.ts';

/**
 * Whether a value has the shape of a policy; `errors` says what is wrong. Compiling costs a quarter of a process's start and ajv
 * itself some megabytes, so cmd/build.ts puts in place of this file the code that the same schema and options compile to.
 */
export const validateResource: ValidateFunction = new Ajv(validatorOptions).compile(resourceJsonSchema());
