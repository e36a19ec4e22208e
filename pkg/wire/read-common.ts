import type { AuditHead, Beat, Goodbye, SeenVersions } from './messages.ts';
import { operations } from '../core/index.ts';
import { boolean, fields, integer, matching, maybe, nullable, oneOf, record } from './shape.ts';
import type { Reader } from './shape.ts';

/** Readers of what stands in messages of both directions. */

/** SHA-256, hex. */
export const hash = matching(/^[0-9a-f]{64}$/);
/** Decimal digits: only then can two of them be put in order. */
const resourceVersion = matching(/^(?:0|[1-9][0-9]{0,29})$/);

export const seenVersions: Reader<SeenVersions> = record(/^[a-z][a-z0-9.]{0,99}$/, resourceVersion, 32);
export const purpose = oneOf('identity', 'serving');

export const auditHead: Reader<AuditHead> = fields<AuditHead>({
  sequence: integer(0, Number.MAX_SAFE_INTEGER),
  hash,
  chain: maybe(matching(/^[0-9a-f]{32}$/)),
  ended: maybe(boolean),
});

/** Says to readers that do not know the message that they may leave it aside. */
export const yes: Reader<true> = () => true;

export const beatReaders = { type: oneOf('beat'), audit: maybe(nullable(auditHead)) };
export const beat: Reader<Beat> = fields<Beat>(beatReaders);

/** The sidecar's name for an ask. */
export const ticket = matching(/^[0-9a-zA-Z_-]{1,64}$/);
/** RFC 1123, as Kubernetes names things. */
export const objectName = matching(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
export const operation = oneOf(...operations);

export const goodbye: Reader<Goodbye> = fields<Goodbye>({
  type: oneOf('goodbye'),
  reason: oneOf('age', 'shutdown', 'replaced', 'protocol', 'identity', 'gone', 'slow', 'silent', 'stale', 'internal'),
  afterMs: maybe(integer(0, 3_600_000)),
});
