import type { TracePoint } from '../core/index.ts';

/** `version-traceid-parentid-flags`; a later version may have more behind it. */
const shape = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x7e]{0,256})?$/;

/**
 * Where in a trace the caller stands, as the header `traceparent` says (W3C Trace Context, section 3.2). Undefined: it says nothing, or not what
 * the standard has it say; so does one that came twice.
 */
export function readTraceparent(header: string | readonly string[] | undefined): TracePoint | undefined {
  if (typeof header !== 'string' || header.length > 512) return undefined;
  const [, version, id, parent, more] = shape.exec(header) ?? [];
  if (id === undefined || parent === undefined || (version === '00' && more !== undefined)) return undefined;
  return { id, parent };
}
