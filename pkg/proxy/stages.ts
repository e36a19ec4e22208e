import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { JsonEdit } from '../base/index.ts';
import type { AccessDecision, HostedSpec, Identity, Operation, RequestPlan, Snapshot } from '../core/index.ts';
import { RefusedError, mayFetch, mayPass, mayStandWithin } from '../core/index.ts';
import { pdfsOf } from '../dialect/index.ts';
import type { FilePart, RequestView } from '../dialect/index.ts';
import type { Exchange } from '../http/index.ts';
import { everyHeader, requestHeadersToModel } from '../http/index.ts';
import { credentialHeaders, takeCredentials } from '../identity/index.ts';
import type { Admission, Demand } from './limits.ts';
import { accessOf } from './loopback.ts';
import type { Asked } from './loopback.ts';
import { showCredential } from './model-credential.ts';
import type { SentCredential } from './model-credential.ts';
import type { LiveRevocations } from './revocations.ts';
import type { Runtime } from './runtime.ts';
import type { Session } from './session.ts';

/** Stages that requests, WebSocket handshakes and explanations share. Each goes on or throws a refusal. */

export type Allowed = Extract<AccessDecision, { kind: 'allow' }>;

/** What a stage decides by, and where it says what it found. */
type Ruled = Pick<Runtime, 'snapshot'>;
type Noted = Pick<Session, 'act' | 'observe' | 'failOpen'>;

/** Stands in the record for a path that is one of its sealed texts. */
const pathElsewhere = '…';

/** Notes a path that no dialect knows: the caller's words. */
export function notePath(
  runtime: Pick<Runtime, 'nameForRecord' | 'pathForRecord'>,
  session: Pick<Session, 'sealsAll' | 'path' | 'pathText'>,
  path: string,
): void {
  session.pathText = session.sealsAll ? runtime.pathForRecord(path) : undefined;
  session.path = session.sealsAll ? pathElsewhere : runtime.nameForRecord(path);
}

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
export function decideAccess(runtime: Ruled, session: Noted, facts: Asked): Allowed {
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
function requireAnalyzers({ snapshot }: Ruled, session: Noted, { operation }: Asked): void {
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

/** @throws RefusedError body_too_large */
export function refuseTooLarge({ snapshot }: Ruled, bytes: number): void {
  if (bytes > snapshot.requestLimits.maxBodyBytes) throw new RefusedError('body_too_large');
}

/**
 * What cannot be read cannot be guarded; nor can texts that the model has in another order than they come in.
 *
 * @throws RefusedError token_input_uninspectable, invalid_request
 */
export function refuseUninspectable(plan: RequestPlan, access: Allowed, view: RequestView | undefined): void {
  if (!plan.inspects || view === undefined) return;
  if (view.placedBy !== undefined) throw new RefusedError('invalid_request', { detail: view.placedBy });
  if (!view.tokenInput) return;
  if (!access.rules.some((rule) => rule.tokenInput)) throw new RefusedError('token_input_uninspectable');
}

/** Documents within the JSON of a request that is read: a model reads their text, and nobody here does. */
export const unreadDocuments = (plan: RequestPlan, view: RequestView | undefined): readonly FilePart[] =>
  plan.inspects && view !== undefined ? pdfsOf(view) : [];

/**
 * Files of which nobody reads anything. Where every policy observes, what enforcing would have done is recorded.
 *
 * @throws RefusedError file_not_allowed
 */
export function refuseFiles(
  { snapshot }: Ruled,
  session: Pick<Session, 'observe'>,
  access: Allowed,
  files: readonly FilePart[],
): void {
  const refused = files.find((file) => !mayPass(access, file));
  if (refused === undefined) return;
  if (snapshot.enforcing) throw new RefusedError('file_not_allowed', { detail: refused.type });
  session.observe([{ reason: 'file_not_allowed', rule: 'default' }]);
}

/**
 * Pictures, sound and files within the JSON of a request, and what its server is to fetch. Where every policy observes, what enforcing would have done is
 * recorded.
 *
 * @throws RefusedError file_not_allowed
 */
export function refuseMedia(
  { snapshot }: Ruled,
  session: Pick<Session, 'observe'>,
  access: Allowed,
  { media = [], links = [] }: Pick<RequestView, 'media' | 'links'>,
): void {
  const refused = media
    .flatMap(({ types, bytes, disguised }) => types.map((type) => ({ type, bytes, disguised })))
    .find((one) => one.disguised === true || !mayStandWithin(access, one));
  const detail = refused?.type ?? (links.every((url) => mayFetch(access, url)) ? undefined : 'link');
  if (detail === undefined) return;
  if (snapshot.enforcing) throw new RefusedError('file_not_allowed', { detail });
  session.observe([{ reason: 'file_not_allowed', rule: 'default' }]);
}

/**
 * @param bodyBytes length of the body, decoded. @param how a call of gRPC: its output has no limit, and is charged when it ends; of a WebSocket a
 * handshake generates nothing, and each message counts; one that nobody can read, of a route that a policy describes, has no limit either.
 */
export function demandOf(
  operation: Operation,
  view: RequestView | undefined,
  bodyBytes: number,
  how: HowItComes = {},
): Demand {
  const unread = unreadDemand(operation, how);
  const textBytes = view?.lanes.reduce((sum, lane) => sum + (lane.node.end - lane.node.start), 0) ?? 0;
  return {
    // Token ids are in no lane.
    promptBytes: view?.tokenInput === true ? bodyBytes : textBytes,
    maxOutputTokens: view?.maxOutputTokens,
    outputBound: view?.outputBound,
    count: view?.count ?? 1,
    endless: (view?.endless === true || how.unread === true) && (operation === 'Chat' || operation === 'Completions'),
    // What only observing let pass unread is taken for what its route says.
    generates: view?.generates ?? unread.generates,
    countsInput: view?.countsInput ?? unread.countsInput,
  };
}

interface HowItComes {
  readonly isRpc?: boolean;
  readonly isSocket?: boolean;
  readonly unread?: boolean;
}

/** Of what was not read. */
function unreadDemand(operation: Operation, { isRpc = false, isSocket = false }: HowItComes) {
  const isInference = operation === 'Chat' || operation === 'Completions';
  const isCounted = operation === 'Embeddings' || operation === 'Other' || isSocket || (isRpc && isInference);
  return { generates: isInference && !isSocket, countsInput: isCounted };
}

/** What limits change in a body. `usageAdded`: a stream will tell its usage, for which its caller did not ask. */
export function limitEdits(
  view: RequestView,
  { maxOutputTokens, needsUsage }: Pick<Admission, 'maxOutputTokens' | 'needsUsage'>,
): { readonly edits: readonly JsonEdit[]; readonly usageAdded: boolean } {
  const usageAdded = needsUsage && view.stream && !view.usageAsked;
  return {
    edits: [
      ...(maxOutputTokens === undefined ? [] : view.limitOutput(maxOutputTokens)),
      ...(usageAdded ? view.askUsage() : []),
    ],
    usageAdded,
  };
}

/** Whether there is anybody to ask for an approval. Whoever proved nothing cannot be told from those who would decide. */
export function canAsk({ snapshot: { approvals } }: Ruled, caller: Identity | undefined): caller is Identity {
  return caller !== undefined && approvals !== undefined && approvals.approvers.length > 0;
}

/** A hosted endpoint is not the pod's: only who is really allowed reaches it. @throws RefusedError access_denied */
export function refuseHosted({ credential }: Allowed, hosted: boolean): void {
  if (!credential && hosted) throw new RefusedError('access_denied', { rule: 'default' });
}

export interface ModelHeaders {
  readonly headers: OutgoingHttpHeaders;
  /** The model's own credential, where it goes with the request. */
  readonly sent: SentCredential | undefined;
}

/** What of a request's headers guards read and the model gets, credentials apart. Where every policy observes, that is all of them. */
export function headersToModel({ snapshot }: Runtime, incoming: IncomingHttpHeaders): OutgoingHttpHeaders {
  if (snapshot.enforcing) return requestHeadersToModel(incoming);
  const headers = everyHeader(incoming);
  for (const name of callersOwn) Reflect.deleteProperty(headers, name);
  return headers;
}

export interface ModelHeadersOptions {
  readonly incoming: IncomingHttpHeaders;
  /** See {@link headersToModel}. */
  readonly passed: OutgoingHttpHeaders;
  readonly hosted: boolean;
  readonly session: Session;
  readonly caller: Identity | undefined;
}

/**
 * The caller's credential out, the model's in. Where every policy observes, whoever is not sent the model's credential keeps its
 * own: never to a hosted endpoint, which is not the pod's.
 *
 * @throws RefusedError credential_unavailable, access_denied
 */
export function modelHeaders(
  runtime: Runtime,
  access: Allowed,
  { incoming, passed, hosted, session, caller }: ModelHeadersOptions,
): ModelHeaders {
  const { snapshot } = runtime;
  refuseHosted(access, hosted);
  const credential = access.credential ? snapshot.upstream?.credential : undefined;
  // The one that this request's scanner knows, although another may be there by now: what the model says of it is hidden.
  const value = runtime.credential;
  if (credential !== undefined && value === undefined) {
    if (snapshot.enforcing || hosted) throw new RefusedError('credential_unavailable');
    session.observe([{ reason: 'credential_unavailable', rule: 'default' }]);
  }
  const headers = { ...passed };
  if (snapshot.enforcing) bindToCaller(headers, caller, hosted);
  const told = snapshot.upstream?.hosted?.identityHeaders;
  if (told !== undefined) showIdentity(told, caller, headers);
  if (credential !== undefined && value !== undefined) {
    for (const name of billing) Reflect.deleteProperty(headers, name);
    showCredential(credential.use, value, headers);
    return { headers, sent: { use: credential.use, value } };
  }
  if (!snapshot.enforcing && !hosted) for (const name of callersOwn) headers[name] = incoming[name];
  return { headers, sent: undefined };
}

/** What names a request or its answer to the model: to it all callers are one, whose credential the sidecar shows. */
const named = ['idempotency-key', 'x-request-id'];

/**
 * Names of requests are of their caller: equal ones of two callers are two to the model, which would else give one the answer of the other. The same at
 * each replica and in each try. What goes along with a trace (`baggage`, W3C) is the caller's own, and no endpoint's of somebody else.
 */
function bindToCaller(headers: OutgoingHttpHeaders, caller: Identity | undefined, hosted: boolean): void {
  if (hosted) delete headers['baggage'];
  for (const name of named) {
    const value = headers[name];
    if (value === undefined) continue;
    const of = JSON.stringify([name, caller?.issuer ?? null, caller?.subject ?? null, value]);
    const hash = createHash('sha256').update(of).digest('hex');
    // As UUIDs are written (RFC 9562 version 8): servers take no others.
    const [, a, b, c, d, e] = /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(hash) ?? [];
    headers[name] = `${a}-${b}-8${c}-8${d}-${e}`;
  }
}

/** Longest header that says something of a caller. */
const longestIdentityHeader = 4_096;

/**
 * What the policy tells a hosted endpoint of who calls. A caller's own header of that name goes in no case.
 *
 * @throws RefusedError upstream_unsupported for one that is longer than servers take.
 */
function showIdentity(
  told: NonNullable<HostedSpec['identityHeaders']>,
  caller: Identity | undefined,
  headers: OutgoingHttpHeaders,
): void {
  for (const { header, value } of told) {
    Reflect.deleteProperty(headers, header);
    if (caller === undefined) continue;
    const text =
      value === 'Groups'
        ? caller.groups.map((group) => plainText(group).replaceAll(',', '%2C')).join(',')
        : plainText({ Subject: caller.subject, Issuer: caller.issuer, Provider: caller.provider }[value]);
    if (text.length > longestIdentityHeader)
      throw new RefusedError('upstream_unsupported', { detail: 'identityHeaders' });
    headers[header] = text;
  }
}

/** Printable ASCII, and nothing that two texts could share. */
const plainText = (text: string): string =>
  text.toWellFormed().replace(/[^\x21-\x24\x26-\x7e]/gu, (one) => (one === ' ' ? '%20' : encodeURIComponent(one)));

/** What tells the model who calls; no other server needs to know. */
const callersOwn = [...credentialHeaders, 'cookie'];

/** Whose account a hosted model charges: with a key of ours that is not the caller's to say. */
const billing = ['openai-organization', 'openai-project'];

/** How a request came, as the policy asks about it. */
type Wire = Pick<Exchange, 'encrypted' | 'clientCertificate'>;

/**
 * Whether the wire is what the policy wants. The listener judged it by the policy of the time at which the head came; what every policy
 * only observes is recorded.
 *
 * @throws RefusedError tls_required, certificate_required
 */
export function judgeWire({ snapshot: { tls } }: Ruled, session: Pick<Session, 'observe'>, wire: Wire): void {
  const fault = wireFault(tls.inbound, wire);
  if (fault !== undefined) throw new RefusedError(fault);
  const observed = wireFault(tls.observedInbound ?? 'Optional', wire);
  if (observed !== undefined) session.observe([{ reason: observed, rule: 'default' }]);
}

function wireFault(
  wanted: Snapshot['tls']['inbound'],
  { encrypted, clientCertificate }: Wire,
): 'tls_required' | 'certificate_required' | undefined {
  if (wanted !== 'Optional' && !encrypted) return 'tls_required';
  return wanted === 'Mutual' && clientCertificate === undefined ? 'certificate_required' : undefined;
}
