import { jsonValue } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import { mostHoldingRules } from '../core/index.ts';
import type { ApprovalRequester, FiguresMessage, UpMessage } from './messages.ts';
import {
  auditHead,
  beatReaders,
  goodbye,
  hash,
  objectName,
  operation,
  purpose,
  seenVersions,
  ticket,
  yes,
} from './read-common.ts';
import { boolean, fields, integer, list, matching, maybe, nullable, oneOf, record, text } from './shape.ts';
import type { Reader } from './shape.ts';
import { readTagged } from './tagged.ts';

const port = integer(1, 65_535);
const uid = matching(/^[A-Za-z0-9-]{1,64}$/);

const requester: Reader<ApprovalRequester> = fields<ApprovalRequester>({
  provider: text(400, 1),
  issuer: text(512, 1),
  subject: text(512, 1),
  kubernetesUser: nullable(text(256, 1)),
  naming: maybe(text(320, 1)),
  sub: maybe(text(512, 1)),
});

const count = integer(0, Number.MAX_SAFE_INTEGER);
const figures: Reader<FiguresMessage> = fields<FiguresMessage>({
  type: oneOf('figures'),
  optional: yes,
  uptimeMs: count,
  requests: count,
  refused: count,
  masked: count,
  held: count,
  live: count,
  streams: count,
  waiting: count,
  generation: nullable(text(400)),
  policyAgeMs: nullable(count),
  recent: fields<FiguresMessage['recent']>({ ms: count, requests: count, refused: count }),
});

const readers: { readonly [Type in UpMessage['type']]: Reader<Extract<UpMessage, { type: Type }>> } = {
  hello: fields({
    type: oneOf('hello'),
    version: integer(1, 1_000_000),
    pod: fields({ namespace: objectName, name: objectName, uid }),
    portMap: record(/^[1-9][0-9]{0,4}$/, port, 64),
    capture: oneOf('Redirect', 'NamedPort'),
    software: text(64),
    holds: nullable(hash),
    seen: seenVersions,
    audit: nullable(auditHead),
    serving: nullable(list(text(253), 300)),
  }),
  ack: fields({ type: oneOf('ack'), hash }),
  nack: fields({ type: oneOf('nack'), hash, reason: oneOf('stale', 'invalid', 'unusable'), message: text(1_000) }),
  csr: fields({ type: oneOf('csr'), purpose, csr: text(4_096, 1) }),
  'approval-ask': fields({
    type: oneOf('approval-ask'),
    id: ticket,
    direction: oneOf('Request', 'Response'),
    rules: list(text(400, 1), mostHoldingRules),
    requester,
    operation,
    model: nullable(text(256, 1)),
    digest: matching(/^sha256:[0-9a-f]{64}$/),
    snapshot: hash,
    session: ticket,
    excerpt: text(4_096),
  }),
  'approval-watch': fields({ type: oneOf('approval-watch'), id: ticket, name: objectName, requester }),
  'approval-claim': fields({ type: oneOf('approval-claim'), id: ticket }),
  'approval-leave': fields({ type: oneOf('approval-leave'), id: ticket, keep: boolean }),
  figures,
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
