import { jsonValue } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import type { UpMessage } from './messages.ts';
import { auditHead, beatReaders, goodbye, hash, purpose, seenVersions } from './read-common.ts';
import { fields, integer, list, matching, nullable, oneOf, record, text } from './shape.ts';
import type { Reader } from './shape.ts';
import { readTagged } from './tagged.ts';

const port = integer(1, 65_535);
/** RFC 1123, as Kubernetes names things. */
const name = matching(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
const uid = matching(/^[A-Za-z0-9-]{1,64}$/);

const readers: { readonly [Type in UpMessage['type']]: Reader<Extract<UpMessage, { type: Type }>> } = {
  hello: fields({
    type: oneOf('hello'),
    version: integer(1, 1_000_000),
    pod: fields({ namespace: name, name, uid }),
    portMap: record(/^[1-9][0-9]{0,4}$/, port, 64),
    capture: oneOf('Redirect', 'NamedPort'),
    software: text(64),
    holds: nullable(hash),
    seen: seenVersions,
    audit: nullable(auditHead),
    serving: nullable(list(text(253), 300)),
  }),
  ack: fields({ type: oneOf('ack'), hash }),
  nack: fields({ type: oneOf('nack'), hash, reason: oneOf('stale', 'invalid'), message: text(1_000) }),
  csr: fields({ type: oneOf('csr'), purpose, csr: text(4_096, 1) }),
  beat: fields({ ...beatReaders }),
  goodbye,
};

/**
 * A message of a sidecar. Undefined: one that this version does not know and may leave aside.
 *
 * @throws WireError
 */
export function readUpMessage(root: JsonNode): UpMessage | undefined {
  return readTagged<UpMessage>(readers as Readonly<Record<string, Reader<UpMessage>>>, jsonValue(root));
}
