/** Rows of descriptors.ts, which is generated. */

/** Number, name, kind, what it holds (a scalar's number, a message's name) and, of a map, the scalar of its keys. Enums are int32. */
export type FieldRow = readonly [number, string, FieldKind, number | string, number?];
/** Kind, input and output. */
export type MethodRow = readonly [MethodKind, string, string];
type FieldKind = 'scalar' | 'enum' | 'message' | 'list' | 'map';
export type MethodKind = 'unary' | 'server_streaming' | 'client_streaming' | 'bidi_streaming';
