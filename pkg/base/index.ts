export { systemClock } from './clock.ts';
export type { Clock, Timer } from './clock.ts';
export { CodedError, assertNever, describeError } from './errors.ts';
export { createLogger, silentLogger } from './log.ts';
export type { LogFields, LogLevel, LogOptions, LogValue, Logger } from './log.ts';
export { Secret } from './secret.ts';
export { JsonError, JsonNode, JsonParser, applyEdits, jsonValue, parseJson } from './json.ts';
export type { JsonEdit, JsonErrorCode, JsonKind, JsonLimits, JsonValue } from './json.ts';
