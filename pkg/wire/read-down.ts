import { jsonValue } from '../base/index.ts';
import type { JsonNode, JsonValue } from '../base/index.ts';
import type { Policy, Revocation, SourceRef } from '../core/index.ts';
import type { DownMessage, RevocationsMessage, SnapshotMessage } from './messages.ts';
import { maxDownBytes } from './messages.ts';
import { beat, goodbye, hash, objectName, operation, purpose, seenVersions, ticket, yes } from './read-common.ts';
import { anyObject, boolean, fields, integer, list, matching, maybe, nullable, oneOf, text } from './shape.ts';
import type { Reader } from './shape.ts';
import { readTagged } from './tagged.ts';
import { WireError } from './wire-error.ts';

const pem = text(256 * 1024, 1);
const name = text(253, 1);
const generation = integer(0, Number.MAX_SAFE_INTEGER);
const kind = oneOf('InferencePolicy', 'ClusterInferencePolicy');
const secretName = { namespace: maybe(name), name, key: name };

const source: Reader<SourceRef> = fields<SourceRef>({
  kind,
  uid: text(64, 1),
  namespace: maybe(name),
  name,
  generation,
});

const specLists = ['providers', 'access', 'guards', 'classification', 'responseLimits', 'analyzers'] as const;

/**
 * The outline of a policy: enough that compiling can walk it. That it is what the controller meant is proven by the
 * snapshot's hash, which covers every byte of meaning.
 */
const policy: Reader<Policy> = (value, at) => {
  const object = anyObject(value, at);
  kind(object['kind'], `${at}.kind`);
  text(64, 1)(object['uid'], `${at}.uid`);
  name(object['name'], `${at}.name`);
  maybe(name)(object['namespace'], `${at}.namespace`);
  generation(object['generation'], `${at}.generation`);
  const spec = anyObject(object['spec'], `${at}.spec`);
  oneOf('Enforce', 'Observe')(spec['mode'], `${at}.spec.mode`);
  maybe(integer(1, Number.MAX_SAFE_INTEGER))(spec['maxPolicyAgeMs'], `${at}.spec.maxPolicyAgeMs`);
  anyObject(spec['selector'], `${at}.spec.selector`);
  for (const one of specLists) list(anyObject, 10_000)(spec[one], `${at}.spec.${one}`);
  return object as unknown as Policy;
};

const snapshot: Reader<SnapshotMessage> = fields<SnapshotMessage>({
  type: oneOf('snapshot'),
  hash,
  sources: list(source, 1_000),
  policies: list(policy, 1_000),
  seen: seenVersions,
});

/** Longest names of tokens that pkg/identity takes. */
const tokenName = text(1_024, 1);
/** More than their ConfigMap holds: 1 MiB at 43 bytes for the shortest entry, its key included, are 24,385. */
const mostRevocations = 32_768;

const revocation: Reader<Revocation> = (value, at) => {
  const { issuer, until, subject, tokenId } = anyObject(value, at);
  const named = {
    issuer: text(1_024, 1)(issuer, `${at}.issuer`),
    until: integer(0, Number.MAX_SAFE_INTEGER)(until, `${at}.until`),
  };
  if (subject !== undefined) return { ...named, subject: tokenName(subject, `${at}.subject`) };
  return { ...named, tokenId: tokenName(tokenId, `${at}.tokenId`) };
};

const revocations: Reader<RevocationsMessage> = fields<RevocationsMessage>({
  type: oneOf('revocations'),
  optional: yes,
  revocations: list(revocation, mostRevocations),
  seen: seenVersions,
});

const readers: { readonly [Type in DownMessage['type']]: Reader<Extract<DownMessage, { type: Type }>> } = {
  welcome: fields({
    type: oneOf('welcome'),
    version: integer(1, 1_000_000),
    heartbeatMs: integer(100, 600_000),
    maxAgeMs: integer(1_000, 86_400_000),
  }),
  snapshot,
  confirm: fields({ type: oneOf('confirm'), hash, seen: seenVersions }),
  invalid: fields({ type: oneOf('invalid'), message: text(4_000), seen: seenVersions }),
  secrets: fields({
    type: oneOf('secrets'),
    values: list(fields({ ...secretName, value: text(maxDownBytes) }), 1_000),
    missing: list(fields(secretName), 1_000),
  }),
  certificate: fields({ type: oneOf('certificate'), purpose, certificate: pem }),
  'certificate-refused': fields({
    type: oneOf('certificate-refused'),
    purpose,
    reason: oneOf('no_names', 'ending', 'refused', 'failed'),
  }),
  renew: fields({ type: oneOf('renew'), purpose }),
  imported: fields({
    type: oneOf('imported'),
    secretName: nullable(name),
    material: nullable(fields({ certificate: pem, key: pem })),
  }),
  'limit-store': fields({
    type: oneOf('limit-store'),
    store: nullable(
      fields({
        url: matching(/^rediss?:\/\/[^@\s]{1,1000}$/),
        username: nullable(matching(/^[^\0]{1,256}$/)),
        password: nullable(matching(/^[^\0]{1,4096}$/)),
        ca: nullable(pem),
      }),
    ),
  }),
  'approval-state': fields({
    type: oneOf('approval-state'),
    id: ticket,
    state: nullable(
      fields({
        name: objectName,
        phase: oneOf('Pending', 'Approved', 'Denied', 'Expired', 'Used', 'Cancelled'),
        yours: boolean,
        leftMs: integer(0, 86_400_000),
        decisions: list(
          fields({
            decision: oneOf('Approve', 'Deny'),
            at: text(40, 1),
            by: text(1_100, 1),
            breakGlass: boolean,
            from: maybe(text(64)),
          }),
          32,
        ),
      }),
    ),
    problem: nullable(oneOf('no_approvers', 'unavailable', 'too_many', 'policy_changed')),
  }),
  grants: fields({
    type: oneOf('grants'),
    grants: list(
      fields({
        name,
        uid: text(64, 1),
        issuer: text(512, 1),
        subject: text(512, 1),
        operations: list(operation, 16),
        models: list(text(256, 1), 64),
        from: integer(0, Number.MAX_SAFE_INTEGER),
        until: integer(0, Number.MAX_SAFE_INTEGER),
      }),
      1_000,
    ),
    seen: seenVersions,
  }),
  revocations,
  recorder: fields({
    type: oneOf('recorder'),
    optional: yes,
    recorder: nullable(fields({ url: matching(/^https:\/\/[A-Za-z0-9.:[\]-]{1,300}$/) })),
  }),
  trust: fields({ type: oneOf('trust'), bundle: matching(/^[^\0]{1,262144}$/) }),
  copies: fields({ type: oneOf('copies'), optional: yes, ageMs: integer(0, Number.MAX_SAFE_INTEGER) }),
  beat,
  goodbye,
};

/**
 * A message of the controller. Undefined: one that this version does not know and may leave aside.
 *
 * @throws WireError
 */
export function readDownMessage(root: JsonNode): DownMessage | undefined {
  return readTagged<DownMessage>(readers as Readonly<Record<string, Reader<DownMessage>>>, jsonValue(root));
}

/** A snapshot that was kept. @throws WireError */
export function readSnapshot(value: JsonValue): SnapshotMessage {
  const message = snapshot(value, 'snapshot');
  if (message.type !== 'snapshot') throw new WireError('message_shape', 'not a snapshot');
  return message;
}

/** Revocations that were kept. @throws WireError */
export function readRevocations(value: JsonValue): RevocationsMessage {
  return revocations(value, 'revocations');
}
