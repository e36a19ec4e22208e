import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { AccessDecision, Identity } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import { requestHeadersToModel } from '../http/index.ts';
import { takeCredentials } from '../identity/index.ts';
import { accessOf } from './loopback.ts';
import type { Asked } from './loopback.ts';
import type { LiveRevocations } from './revocations.ts';
import type { Runtime } from './runtime.ts';
import type { Session } from './session.ts';

/** Stages that requests and WebSocket handshakes share. Each goes on or throws a refusal. */

export type Allowed = Extract<AccessDecision, { kind: 'allow' }>;

/** Who is calling; undefined: nobody was proven, and nothing bad was presented. @throws RefusedError */
export async function proveCaller(
  runtime: Runtime,
  session: Session,
  headers: IncomingHttpHeaders,
  {
    certificate,
    revocations,
  }: { readonly certificate: Uint8Array | undefined; readonly revocations?: LiveRevocations | undefined },
): Promise<Identity | undefined> {
  try {
    const verified = runtime.verifier.verify(takeCredentials(headers, certificate));
    // A cached token is answered without a promise: most requests wait for nothing here.
    const result = verified instanceof Promise ? await verified : verified;
    if (result.kind === 'refused') throw new RefusedError(result.reason);
    if (result.kind !== 'proven') return undefined;
    if (revocations?.revokes(result.identity) === true) throw new RefusedError('token_revoked');
    return result.identity;
  } catch (error) {
    if (!(error instanceof RefusedError) || runtime.snapshot.enforcing) throw error;
    // Observe: whoever is not proven passes as nobody, and it is recorded what enforcing would have done.
    session.observe([{ reason: error.code, rule: 'default' }]);
    return undefined;
  }
}

/** @throws RefusedError */
export function decideAccess(runtime: Runtime, session: Session, facts: Asked): Allowed {
  const decision = accessOf(runtime.snapshot, facts);
  if (decision.kind === 'allow') {
    session.observe(decision.observed);
    requireAnalyzers(runtime, session, facts);
    return decision;
  }
  session.act(decision.refusal.rule, 'denied');
  // Who proved nothing is asked to prove something, before being told what they may not do.
  const reason =
    facts.caller === undefined && decision.refusal.reason === 'access_denied'
      ? 'token_missing'
      : decision.refusal.reason;
  throw new RefusedError(reason, { rule: decision.refusal.rule });
}

/** Pages that carry nothing of a caller's or of the model's. */
const unanalysed: ReadonlySet<string> = new Set(['Health', 'Metrics', 'ListModels']);

/**
 * Nothing calls analyzers yet, so each of them is down: what its `failureMode` says holds. `Deny` is the default.
 *
 * @throws RefusedError analyzer_unavailable
 */
function requireAnalyzers({ snapshot }: Runtime, session: Session, { operation }: Asked): void {
  if (snapshot.analyzers.length === 0 || unanalysed.has(operation)) return;
  const needed = snapshot.analyzers.find((one) => one.failureMode === 'Deny');
  if (needed === undefined) {
    session.failOpen('analyzer');
    return;
  }
  const refusal = { reason: 'analyzer_unavailable', rule: `analyzers/${needed.name}` } as const;
  if (!snapshot.enforcing) return session.observe([refusal]);
  session.act(refusal.rule, 'denied');
  throw new RefusedError(refusal.reason, { rule: refusal.rule });
}

export interface ModelHeaders {
  readonly headers: OutgoingHttpHeaders;
  /** The model's own credential is among them. */
  readonly credentialSent: boolean;
}

/** The caller's credential out, the model's in. @throws RefusedError credential_unavailable, access_denied */
export function modelHeaders(
  runtime: Runtime,
  access: Allowed,
  incoming: IncomingHttpHeaders,
  options: { readonly hosted: boolean },
): ModelHeaders {
  const { snapshot } = runtime;
  const headers = requestHeadersToModel(incoming);
  const credential = snapshot.upstream?.credential;
  if (!access.credential) {
    if (options.hosted) throw new RefusedError('access_denied', { rule: 'default' });
    // Observe: a caller whom access does not really allow keeps its own credential and never gets the model's.
    if (incoming.authorization !== undefined && !snapshot.enforcing) headers['authorization'] = incoming.authorization;
    return { headers, credentialSent: false };
  }
  if (credential === undefined) return { headers, credentialSent: false };
  // The one that this request's scanner knows, although another may be there by now: what the model says of it is hidden.
  if (runtime.credential === undefined) throw new RefusedError('credential_unavailable');
  headers[credential.header] = credential.prefix + runtime.credential;
  return { headers, credentialSent: true };
}
