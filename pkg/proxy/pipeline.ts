import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { ByteChain, JsonError, assertNever, describeError, parseJson } from '../base/index.ts';
import type { Clock, JsonEdit, JsonNode, Logger, Timer } from '../base/index.ts';
import type {
  AccessDecision,
  ApprovalAsk,
  ApprovalGate,
  ApprovalPhase,
  ApprovalState,
  Identity,
  IdentityVerifier,
  MatchedRule,
  ReasonCode,
  RequestPlan,
  ResponsePlan,
  SessionEnd,
} from '../core/index.ts';
import { RefusedError, mayPass, requesterOf } from '../core/index.ts';
import type { FilePart, FormText, Projected, RequestView, Route, SplitText } from '../dialect/index.ts';
import {
  isPageQuery,
  binaryType,
  framedChain,
  generic,
  jsonLengthHeader,
  maxRequestValues,
  recognise,
  recogniseRpc,
  recogniseSocket,
} from '../dialect/index.ts';
import type { Exchange, Upstream } from '../http/index.ts';
import { normaliseTarget, offeredProtocols } from '../http/index.ts';
import type { Decision, Metrics } from '../telemetry/index.ts';
import { decodeUtf8, parseInSteps, stepUnits } from './answer-json.ts';
import { Answer, abortCause, cutOutcome } from './answer.ts';
import type { AnswerResult, AnswerReview, ByteBudget } from './answer.ts';
import { checkHandshake, corsHeaders, isPreflight, preflightHeaders } from './cors.ts';
import { filesForRecord } from './file-record.ts';
import type { RecordedFile } from './file-record.ts';
import type { LiveGrants } from './grants.ts';
import type { Questions } from './questions.ts';
import type { LiveRevocations } from './revocations.ts';
import { excerptOf, sealedExcerpt } from './excerpt.ts';
import type { FoundPlaces, NamedText } from './excerpt.ts';
import { holdExchange } from './held-exchange.ts';
import type { HeldExchange } from './held-exchange.ts';
import { hold } from './hold.ts';
import type { Hold, HoldBook } from './hold.ts';
import { outermost } from './edits.ts';
import { blockedBy, editBody, inspectRequest } from './inspect-request.ts';
import type { Admission, Demand, Limiter } from './limits.ts';
import type { Decided, LiveRequest, LiveRequests } from './live.ts';
import { endedMeanwhile } from './live.ts';
import { accessOf, couldAllow, isInside } from './loopback.ts';
import type { Asked, Entrance } from './loopback.ts';
import type { NoteModelFault } from './model-faults.ts';
import { refuseUnsigned, signature, targetWithCredential } from './model-credential.ts';
import type { SentCredential } from './model-credential.ts';
import { refuseRenamed } from './model-names.ts';
import type { ModelName } from './model-names.ts';
import type { ModelPlaces } from './model-places.ts';
import type { ModelTarget, ModelTargets } from './model-target.ts';
import { ownerOf } from './owner.ts';
import type { RecordWriter } from './record-writer.ts';
import { receipt, receiptHeader } from './receipt.ts';
import { refusalResponse, refusalText } from './refusal.ts';
import { RpcExchange, comesAsRpc, isAnyRpcType, isRpcType } from './rpc-exchange.ts';
import { onlyMessage, rpcHeaders, timeoutOf } from './rpc-request.ts';
import { RpcCall } from './rpc-call.ts';
import { rpcUpstream } from './rpc-upstream.ts';
import type { RequestViews, Runtime, RuntimeHolder } from './runtime.ts';
import { isEmpty } from './selection.ts';
import { MessageBatch } from './message-batch.ts';
import { SocketCall } from './socket-call.ts';
import { SocketExchange } from './socket-exchange.ts';
import type { SocketMessage } from './socket-exchange.ts';
import { SentTexts } from './sent-texts.ts';
import { tellingRefusals, tellingRpcRefusals } from './told-refusals.ts';
import { Session } from './session.ts';
import { readTraceparent } from './trace-context.ts';
import type { KeptText } from './session.ts';
import type { Allowed } from './stages.ts';
import { offerProtocols, protocolHeader } from './subprotocols.ts';
import {
  canAsk,
  decideAccess,
  demandOf,
  headersToModel,
  judgeWire,
  limitEdits,
  modelHeaders,
  notePath,
  proveCaller,
  refuseFiles,
  refuseMedia,
  refuseTooLarge,
  refuseUninspectable,
  unreadDocuments,
} from './stages.ts';
import type { ModelHeaders } from './stages.ts';
import { TreeShare } from './tree-share.ts';
import { bodyMustBeRead, socketMayBeRead } from './uninspected.ts';

/** What a pipeline stands on. Everything of it outlives a request. */
export interface PipelineOptions {
  readonly runtime: RuntimeHolder;
  readonly record: RecordWriter;
  readonly approvals: ApprovalGate;
  /** Those who wait for one. */
  readonly holds: HoldBook;
  readonly questions: Questions;
  /** Access for a time. Absent: nobody gives any here. */
  readonly grants?: LiveGrants;
  readonly revocations?: LiveRevocations;
  readonly limiter: Limiter;
  /** Counts for policies in Observe mode: what they would have refused uses up nobody's budget. */
  readonly observedLimiter: Limiter;
  readonly live: LiveRequests;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly noteModelFault: NoteModelFault;
  readonly newId: () => string;
  /** Lets other work run: a turn of the event loop. */
  readonly turn: () => Promise<void>;
  /** Bytes of requests' bodies, and of what is read from them, held by all requests together. */
  readonly bodies: ByteBudget;
  /** Bytes of whole answers held by all requests together. */
  readonly buffers: ByteBudget;
  /** Requests at the model at once. */
  readonly places: ModelPlaces;
  /** By which kind of listener the requests of this pipeline come. */
  readonly entrance: Entrance;
  /** Where they go. */
  readonly model: ModelTargets;
}

/**
 * The way of a request, in order. The listener has already told TLS from plain text and refused ambiguous framing and
 * oversized headers. Every stage either goes on or throws; whatever is thrown ends in a refusal, and the model sees nothing.
 */
export async function govern(exchange: Exchange, options: PipelineOptions): Promise<void> {
  const own = exchange instanceof SocketExchange || !comesAsRpc(exchange) ? exchange : new RpcExchange(exchange);
  const request = new GovernedRequest(own, options);
  try {
    // From the start where policy was swapped meanwhile: bodies may take hours, and nothing goes to the model that the newest did not judge.
    do {
      request.selectPolicy(); // first: without a policy nothing else may be looked at
      request.findModel(); // a port that the policy does not name leads nowhere, whoever asks
      request.normalisePath(); // one reading of the path, before anything is decided on it
      request.recognise(); // operation, from method and path alone: refusals speak the dialect, and name what was asked
      if (request.isPreflight()) return request.answerPreflight(); // has no credential, and is no model's to answer
      request.checkOrigin(); // a page opens a WebSocket without asking first
      await request.identify(); // before the body: strangers may not make us buffer
      if (request.asksAboutApproval()) return await request.tellOfApproval(); // its requester only
      request.turnAway(); // who may do nothing of the kind, whatever the model
      await request.readBody(); // under caps, decoded, parsed strictly
      if (request.isOutdated) continue;
      request.authorise(); // needs the model's name, which stands in the body
      await request.admit(); // limits of the rule that allowed; after access, so that refused requests cost nobody budget
      await request.readOpaqueBody(); // bodies that no dialect parses: only now is it known whether anybody must look into them
      if (request.isOutdated) continue;
      await request.inspect(); // guards; last of the checks, because it is the dearest
    } while (request.mustStartOver());
    await request.hold(); // approvals
    await request.record(); // start and prompt are in the kernel's hands before the model sees a byte
    await request.sign(); // where the model wants each request signed
    request.forward(); // the bytes inspected, with the model's credential
    await request.goOn(); // of a call that takes more messages: each by the same checks as the first
  } catch (error) {
    request.refuse(error);
  } finally {
    request.letGo(); // what was refused is held by nobody
  }
}

class GovernedRequest {
  readonly #exchange: Exchange;
  readonly #options: PipelineOptions;
  readonly #session: Session;
  #runtime: Runtime | undefined;
  #path = '/';
  #query = '';
  #caller: Identity | undefined;
  #provenBy: IdentityVerifier | undefined;
  #route: Route;
  #body: Body | undefined;
  #bodyText = '';
  /** Characters of what was read of it. */
  #bodyUnits = 0;
  #bodyBytes = 0;
  #view: RequestView | undefined;
  #access: Allowed | undefined;
  #admission: Admission | undefined;
  #requestPlan: RequestPlan | undefined;
  #responsePlan: ResponsePlan | undefined;
  #edits: JsonEdit[] = [];
  #lanes: readonly KeptText[] = [];
  #usageAdded = false;
  #stageAt: number;
  #over = false;

  constructor(exchange: Exchange, options: PipelineOptions) {
    const { metrics, record, clock, newId, runtime } = options;
    // As it leaves, by what is in force then: also what is refused before a policy was selected for it, or is read by no stage.
    if (exchange.headers.origin !== undefined || runtime.current?.snapshot.cors !== undefined)
      exchange.withHead?.(() => corsHeaders(runtime.current?.snapshot, exchange));
    this.#exchange = exchange;
    this.#options = options;
    this.#stageAt = exchange.startedAt;
    this.#isRpc = exchange instanceof RpcExchange;
    this.#socket = exchange instanceof SocketExchange ? exchange : undefined;
    // Until it is known: refusals speak as it came.
    this.#route = this.#isRpc ? recogniseRpc('', '') : this.#socket ? recogniseSocket('/') : recognise('GET', '/');
    this.#session = new Session({
      id: newId(),
      clock,
      record,
      exchange,
      trace: readTraceparent(exchange.headers['traceparent']),
      onFailedOpen: () => metrics.failedOpen(),
      onSealed: (texts) => metrics.textsSealed(texts),
    });
    metrics.requestBegan();
    exchange.onClose((how) => this.#closed(how));
  }

  selectPolicy(): void {
    const runtime = this.#inForce();
    if (runtime === undefined) throw new RefusedError(this.#options.runtime.absence);
    if (this.#runtime !== undefined) this.#startOver();
    this.#runtime = runtime;
    const { snapshot } = runtime;
    this.#session.generation = snapshot.generation;
    this.#session.content = snapshot.audit.content;
    this.#session.sealing = runtime.sealing;
    this.#session.onAuditFailure = snapshot.audit.onFailure;
    if (!isInside(this.#options.entrance)) judgeWire(runtime, this.#session, this.#exchange);
    if (snapshot.sources.length === 0 && !isInside(this.#options.entrance)) throw new RefusedError('no_policy');
  }

  /** Policy was swapped since it was selected. */
  get isOutdated(): boolean {
    const { runtime, entrance } = this.#options;
    return (runtime.latest ?? (isInside(entrance) ? runtime.nothing : undefined)) !== this.#runtime;
  }

  /** The same of a call that goes on: a new credential of the model's is for those who open one after it. */
  get #isOverruled(): boolean {
    return this.#options.runtime.latest?.snapshot !== this.#need(this.#runtime).snapshot;
  }

  /** @throws RefusedError policy_changed: policy is edited faster than the request is looked at, which must not go on without end. */
  mustStartOver(): boolean {
    if (!this.isOutdated) return false;
    if (++this.#rounds === mostRounds) throw new RefusedError('policy_changed');
    return true;
  }
  #rounds = 0;

  /** Nothing of it has left, and nothing is on record: of what was decided nothing holds, and what was counted was not. */
  #startOver(): void {
    this.#session.startOver();
    this.#admission?.undo();
    this.#observedAdmission?.undo();
    this.#admission = undefined;
    this.#observedAdmission = undefined;
    this.#uninspected = false;
    this.#usageAdded = false;
    this.#renamedPath = undefined;
    this.#edits = [];
    this.#lanes = [];
  }

  /** From inside the pod a few pages are open before there is any policy, under the rules of none. */
  #inForce(): Runtime | undefined {
    const { runtime, entrance } = this.#options;
    return runtime.current ?? (isInside(entrance) ? runtime.nothing : undefined);
  }

  findModel(): void {
    this.#target = this.#options.model.find(this.#need(this.#runtime).snapshot);
  }
  #target: ModelTarget | undefined;

  normalisePath(): void {
    const { path, query } = normaliseTarget(this.#exchange.target);
    this.#path = path;
    this.#query = query === '' ? '' : `?${query}`;
  }

  /** Paths and model names are the caller's words, too. */
  #nameForRecord(name: string): string {
    return this.#need(this.#runtime).nameForRecord(name);
  }

  async identify(): Promise<void> {
    const runtime = this.#need(this.#runtime);
    // Proven once, it stays so while its providers do: a token may end while the body comes in.
    if (this.#caller === undefined || this.#provenBy !== runtime.verifier) this.#caller = await this.#prove(runtime);
    this.#provenBy = runtime.verifier;
    this.#session.caller = this.#caller;
    this.#stage('identify');
  }

  #prove(runtime: Runtime): Promise<Identity | undefined> {
    const { headers, clientCertificate: certificate } = this.#exchange;
    const { revocations } = this.#options;
    return proveCaller(runtime, this.#session, headers, { certificate, revocations });
  }

  /**
   * For a further message: a call may be open for longer than its credential is good. Where policies only observe, it stays who it was.
   *
   * @throws RefusedError
   */
  async #identifyAgain(): Promise<void> {
    const runtime = this.#need(this.#runtime);
    const before = this.#caller;
    const caller = await this.#prove(runtime);
    if (caller?.issuer === before?.issuer && caller?.subject === before?.subject) this.#caller = caller;
    else if (runtime.snapshot.enforcing) throw new RefusedError('token_invalid');
  }

  recognise(): void {
    const session = this.#session;
    const { method, headers } = this.#exchange;
    const { services, routes } = this.#need(this.#runtime);
    const before = this.#route;
    this.#route = this.#isRpc
      ? recogniseRpc(method, this.#path, services)
      : this.#socket !== undefined
        ? recogniseSocket(this.#path, routes)
        : recognise(method, this.#path, routes);
    const named = this.#hostedName(this.#route.model);
    if (named !== undefined) this.#route = this.#route.calledBy?.(named.as) ?? this.#route;
    // What a policy describes is read anew under another one.
    if (this.#route !== before) this.#view = undefined;
    if (this.#isRpc) this.#keepDeadline(timeoutOf(headers));
    // Paths of routes that a dialect knows are its own words. Others are the caller's, as are those below what administers a server, and of a
    // model's route its name and version, which are masked, and sealed where all is.
    const runtime = this.#need(this.#runtime);
    const { operation, model } = this.#route;
    const isFree = operation === 'Other' || (operation === 'Admin' && !this.#isRpc);
    if (isFree || (session.sealsAll && model !== undefined)) notePath(runtime, session, this.#path);
    else {
      session.pathText = undefined;
      session.path = model === undefined ? this.#path : this.#nameForRecord(this.#path);
    }
    session.dialect = this.#route.dialect.name;
    session.operation = this.#route.operation;
    this.#socket?.check();
    this.#nameModel(this.#route.model ?? this.#modelOfHandshake());
  }

  /** @throws RefusedError invalid_request */
  #modelOfHandshake(): string | undefined {
    try {
      return this.#route.socket?.model(this.#query.slice(1));
    } catch (error) {
      if (!(error instanceof RefusedError) || this.#need(this.#runtime).snapshot.enforcing) throw error;
      this.#session.observe([{ reason: error.code, rule: 'default' }]);
      return undefined;
    }
  }

  isPreflight(): boolean {
    return (
      !this.#isRpc && this.#socket === undefined && isPreflight(this.#need(this.#runtime).snapshot, this.#exchange)
    );
  }

  /** @throws RefusedError as {@link preflightHeaders} */
  answerPreflight(): void {
    const session = this.#session;
    const headers = preflightHeaders(this.#need(this.#runtime).snapshot, session, this.#exchange.headers);
    session.begin([]);
    this.#finish('completed', 204, undefined);
    headers['x-request-id'] = session.id;
    headers[receiptHeader] = receipt(session, true);
    this.#exchange.respond(204, headers, '');
  }

  /** @throws RefusedError as {@link checkHandshake} */
  checkOrigin(): void {
    if (this.#socket === undefined) return;
    checkHandshake(this.#need(this.#runtime).snapshot, this.#session, this.#exchange.headers);
  }

  asksAboutApproval(): boolean {
    return this.#socket === undefined && this.#exchange.method === 'GET' && this.#path.startsWith(approvalPath);
  }

  /** What became of the approval that a caller was pointed to. @throws RefusedError as whatever it stands for was refused */
  async tellOfApproval(): Promise<void> {
    const caller = this.#caller;
    if (caller === undefined) throw new RefusedError('token_missing', { rule: 'default' });
    if (!this.#options.questions.admit(JSON.stringify([caller.issuer, caller.subject])))
      throw new RefusedError('approvals_limited', { retryAfter: 5 });
    const name = this.#path.slice(approvalPath.length);
    const unknown: ApprovalState = { kind: 'problem', problem: 'unavailable' };
    const { promise, resolve } = Promise.withResolvers<ApprovalState>();
    const ticket = this.#options.approvals.watch(name, caller, resolve);
    const timer = this.#options.clock.after(longestQuestionMs, () => resolve(unknown));
    this.#exchange.onClose(() => resolve(unknown));
    const state = await promise;
    timer.cancel();
    ticket.leave();
    if (state.kind === 'problem') throw new RefusedError('approval_unknown');
    const refused = refusedPhases[state.phase];
    if (refused !== undefined) {
      if (refused === 'approval_pending') this.#approvalName = state.name;
      throw new RefusedError(refused);
    }
    const body = JSON.stringify({ id: state.name, status: 'approved', expires_in: Math.ceil(state.leftMs / 1_000) });
    this.#session.begin([]);
    this.#finish('completed', 200, undefined, Buffer.byteLength(body));
    this.#exchange.respond(200, { 'content-type': 'application/json', 'x-request-id': this.#session.id }, body);
  }

  /** A request that no rule allows on any model is refused before its body is read: it would hold memory for nothing. */
  turnAway(): void {
    const runtime = this.#need(this.#runtime);
    const facts = this.#facts();
    // What would be a call to a server of gRPC, and is not read as one.
    if (!this.#isRpc && isAnyRpcType(this.#exchange.headers['content-type'])) {
      if (runtime.snapshot.enforcing) throw new RefusedError('unsupported_media_type');
      this.#session.observe([{ reason: 'unsupported_media_type', rule: 'default' }]);
    }
    if (couldAllow(runtime.snapshot, facts)) return;
    // Which model is not known yet: only what is denied on every model is denied by that rule.
    if (this.#caller !== undefined)
      return void decideAccess(runtime, this.#session, { ...facts, model: facts.model ?? noModel });
    this.#session.act('default', 'denied');
    throw new RefusedError('token_missing', { rule: 'default' });
  }

  async readBody(): Promise<void> {
    const { snapshot } = this.#need(this.#runtime);
    if (this.#route.body === 'none') return this.#refusePageQuery();
    if (this.#opaque) return;
    if (this.#socket !== undefined && !this.#goesOn) return; // a handshake has none
    const body = this.#body === undefined ? await this.#read() : this.#fitting(this.#body);
    // Management routes are called without a body, too; inference is not.
    const { operation } = this.#route;
    if (body.length === 0 && !this.#isRpc && (operation === 'Admin' || operation === 'Other')) return;
    if (this.#view !== undefined) {
      this.#refuseHeaders(); // the policy before may have let them by
      return this.#nameModel(this.#view.model ?? this.#route.model);
    }
    try {
      await this.#parse(body);
    } catch (error) {
      if (this.#over || !(error instanceof RefusedError) || snapshot.enforcing) throw error;
      if (this.#route.body === 'rpc' && this.#route.rpc === undefined) throw error; // there is nobody who could take it further
      this.#session.observe([{ reason: error.code, rule: 'default' }]);
    }
  }

  /** A list or a page of models is asked for without a body: no dialect reads its query. @throws RefusedError invalid_request */
  #refusePageQuery(): void {
    if (this.#query === '' || this.#route.operation !== 'ListModels' || isPageQuery(this.#query.slice(1))) return;
    this.#refuseModel('query');
  }

  /** Read under a policy before this one: held to this one's limit. */
  #fitting(body: Body): Body {
    refuseTooLarge(this.#need(this.#runtime), body.length);
    return body;
  }

  async #read(): Promise<Body> {
    const { maxBodyBytes, bodyTimeoutMs } = this.#need(this.#runtime).snapshot.requestLimits;
    const timeoutMs = Math.min(bodyTimeoutMs, this.#leftMs ?? bodyTimeoutMs);
    if (this.#route.rpc?.clientStreams === true)
      return (this.#body = await this.#nextMessage(timeoutMs)) ?? Buffer.alloc(0);
    const limits = { maxBytes: maxBodyBytes, timeoutMs, owner: ownerOf(this.#caller) };
    const pieces = this.#isRpc ? this.#exchange.readPieces?.(limits) : undefined;
    const body = await (pieces ?? this.#exchange.readBody(limits));
    this.#options.metrics.received(this.#exchange.bytesIn);
    this.#refuseGone();
    this.#body = body;
    return body;
  }

  async #parse(body: Body): Promise<void> {
    this.#refuseHeaders();
    this.#treeShare?.release();
    const share = new TreeShare(this.#options.bodies, ownerOf(this.#caller), body.length);
    this.#treeShare = share;
    let nodes = 0;
    const grown = (now: number): void => {
      nodes = now;
      share.grow(nodes);
    };
    const root =
      this.#route.body === 'rpc'
        ? await this.#projectMessage(body, share, grown)
        : await this.#parseText(this.#textOf(body instanceof ByteChain ? body.bytes() : body), grown);
    this.#view = this.#route.dialect.request(this.#route, root, this.#query.slice(1));
    share.grow(nodes + this.#view.listNumbers);
    this.#session.stream = this.#view.stream;
    this.#modelNode = this.#view.modelNode ?? root.get('model') ?? root.get('model_name');
    this.#nameModel(this.#view.model ?? this.#route.model);
  }
  /** Where the caller's headers go on as they are, these do too. @throws RefusedError invalid_request */
  #refuseHeaders(): void {
    if (!this.#need(this.#runtime).snapshot.enforcing) return;
    const { headers } = this.#exchange;
    for (const name of this.#route.refusedHeaders ?? [])
      if (headers[name] !== undefined) throw new RefusedError('invalid_request', { detail: name });
  }

  /** Where the body names the model, in the dialects that do. */
  #modelNode: JsonNode | undefined;

  /** @throws RefusedError body_too_large, invalid_json, as `grown` and for a caller who is gone */
  async #parseText(text: string, grown: (nodes: number) => void): Promise<JsonNode> {
    try {
      const root = await parseInSteps(text, this.#turn, { maxNodes: maxRequestValues }, grown);
      this.#bodyText = text;
      this.#bodyUnits = text.length;
      return root;
    } catch (cause) {
      if (cause instanceof JsonError && cause.code === 'nodes')
        throw new RefusedError('body_too_large', { detail: 'values', cause });
      if (cause instanceof JsonError) throw new RefusedError('invalid_json', { detail: cause.code, cause });
      throw cause;
    }
  }

  #treeShare: TreeShare | undefined;

  /** @throws RefusedError unsupported_media_type, invalid_encoding */
  #textOf(body: Buffer): string {
    const headers = this.#socket === undefined ? this.#exchange.headers : {};
    const jsonLength = headers[jsonLengthHeader];
    // Servers end the JSON there, and take what follows for something else.
    if (jsonLength !== undefined) return this.#splitText(body, String(jsonLength));
    const type = headers['content-type'];
    if (this.#isText) return this.#bareText(body, type);
    const { form } = this.#route;
    if (form !== undefined) return (this.#form = form.read(body, type ?? '')).text;
    if (type !== undefined && !jsonBody.test(type)) throw new RefusedError('unsupported_media_type');
    return decodeUtf8(body, () => new RefusedError('invalid_encoding'));
  }

  /** Its body is text and nothing else: read as the JSON string that says the same. */
  get #isText(): boolean {
    return this.#route.described === 'Text';
  }

  /** @throws RefusedError unsupported_media_type, invalid_encoding */
  #bareText(body: Buffer, type: string | undefined): string {
    if (type !== undefined && !textBody.test(type)) throw new RefusedError('unsupported_media_type');
    return JSON.stringify(decodeUtf8(body, () => new RefusedError('invalid_encoding')));
  }

  /** @throws RefusedError unsupported_media_type, invalid_request */
  #splitText(body: Buffer, jsonLength: string): string {
    const { split } = this.#route;
    if (split === undefined) throw new RefusedError('unsupported_media_type', { detail: jsonLengthHeader });
    this.#split = split.request(body, jsonLength);
    return this.#split.text;
  }
  /** Of a body that is JSON first, and bytes after it. */
  #split: SplitText | undefined;
  /** Of a body that is a form. */
  #form: FormText | undefined;
  /** A rule finds something in the form's boundary, which is no text of anybody's: another goes on. */
  #boundaryGoes = false;

  /** The one message of a call, as the JSON that says the same. */
  async #projectMessage(body: Body, share: TreeShare, grown: (nodes: number) => void): Promise<JsonNode> {
    const { headers } = this.#exchange;
    const { rpc } = this.#route;
    if (!this.#isRpc || !isRpcType(headers['content-type']) || rpc === undefined)
      throw new RefusedError('unsupported_media_type');
    const { maxBodyBytes } = this.#need(this.#runtime).snapshot.requestLimits;
    const bytes = body instanceof ByteChain ? body : ByteChain.of(body);
    const message = await onlyMessage(bytes, headers, maxBodyBytes, (more) => share.add(more));
    this.#refuseGone();
    this.#message = rpc.request(message, grown);
    this.#bodyUnits = this.#message.units;
    return this.#message.root;
  }
  readonly #isRpc: boolean;
  /** It is a WebSocket. */
  readonly #socket: SocketExchange | undefined;
  #message: Projected | undefined;

  #nameModel(model: string | undefined): void {
    this.#model = model;
    this.#session.model = model === undefined ? undefined : this.#nameForRecord(model);
  }
  #model: string | undefined;

  authorise(): void {
    const runtime = this.#need(this.#runtime);
    const { snapshot } = runtime;
    this.#access = decideAccess(runtime, this.#session, this.#facts());
    this.#requestPlan = snapshot.requestPlan(this.#caller);
    this.#responsePlan = snapshot.responsePlan(this.#caller);
    refuseUninspectable(this.#requestPlan, this.#access, this.#view);
    for (const model of this.#view?.others ?? []) decideAccess(runtime, this.#session, { ...this.#facts(), model });
    this.#letPass([...(this.#view?.files ?? []), ...unreadDocuments(this.#requestPlan, this.#view)]);
    if (this.#view !== undefined) refuseMedia(runtime, this.#session, this.#access, this.#view);
    if (this.#socket !== undefined && !socketMayBeRead(this.#responsePlan))
      throw new RefusedError('unsupported_media_type', { detail: 'websocket' });
    this.#stage('access');
  }

  /** What nobody reads goes on only where each policy that allows the request says so; where all only observe, that is recorded. */
  #letPass(files: readonly FilePart[]): void {
    if (files.length === 0) return;
    refuseFiles(this.#need(this.#runtime), this.#session, this.#need(this.#access), files);
    this.#session.act('sidegate/uninspected', 'flagged');
  }

  #mayLeave(access: Allowed, file: FilePart): boolean {
    const may = mayPass(access, file);
    if (may) this.#session.act('sidegate/uninspected', 'flagged');
    return may;
  }

  #facts(): Asked {
    const { entrance, grants, revocations } = this.#options;
    return {
      caller: this.#caller,
      operation: this.#route.operation,
      model: this.#model,
      entrance,
      ...(grants !== undefined && { grants }),
      ...(revocations !== undefined && { revocations }),
    };
  }

  async readOpaqueBody(): Promise<void> {
    if (!this.#opaque) return;
    const runtime = this.#need(this.#runtime);
    const plan = this.#need(this.#responsePlan);
    const { inspects } = this.#need(this.#requestPlan);
    this.#uninspected = this.#body === undefined && !bodyMustBeRead(runtime, this.#caller, plan);
    // What can be said of a body that nobody reads, before the model is called.
    if (this.#uninspected) return refuseTooLarge(runtime, Number(this.#exchange.headers['content-length'] ?? 0));
    const body = this.#body === undefined ? await this.#read() : this.#fitting(this.#body);
    if (inspects && body.length > 0) throw new RefusedError('unsupported_media_type', { detail: 'uninspectable' });
  }

  /** A body that no dialect can parse: of an unknown route, and not said to be JSON. */
  get #opaque(): boolean {
    if (this.#route.body === 'opaque') return true;
    if (this.#route.body === 'rpc' || this.#route.described !== undefined || this.#socket !== undefined) return false;
    return this.#route.operation === 'Other' && !jsonBody.test(this.#exchange.headers['content-type'] ?? '');
  }

  /** No rule of this caller's looks into this route: bytes pass as they are, in both directions. */
  #uninspected = false;

  async admit(): Promise<void> {
    const { limiter } = this.#options;
    const access = this.#need(this.#access);
    const view = this.#view;
    const demand = demandOf(this.#route.operation, view, this.#body?.length ?? 0, {
      isRpc: this.#isRpc,
      isSocket: this.#socket !== undefined,
      unread:
        this.#goesOn && this.#route.socket !== undefined && this.#route.described !== undefined && view === undefined,
    });
    const answer = limiter.admit(access, this.#caller, demand);
    const outcome = answer instanceof Promise ? await answer : answer;
    if (outcome.kind === 'refused') {
      this.#session.act(outcome.rule, 'limited', outcome.reason);
      const retryAfter = outcome.retryAfter === undefined ? {} : { retryAfter: outcome.retryAfter };
      throw new RefusedError(outcome.reason, { rule: outcome.rule, ...retryAfter });
    }
    this.#admission = outcome;
    if (outcome.alone) this.#session.failOpen('limits');
    if (access.observedRules !== undefined) await this.#observeLimits(access.observedRules, demand);
    this.#refuseGone(); // while the shared count was asked: the refusal gives the place back
    if (outcome.rule !== undefined) this.#session.act(outcome.rule.id, 'allowed');
    this.#renameModel();
    if (view === undefined) return;
    const { edits, usageAdded } = limitEdits(view, outcome);
    this.#usageAdded = usageAdded;
    this.#edits.push(...edits);
  }

  /** @throws RefusedError upstream_unsupported where the model is named in a path or query that names no other, or in a body that was not read. */
  #renameModel(): void {
    // What nobody knows, and names no model of which the name could be written anew.
    const isUnknown = this.#route.operation === 'Other' && this.#route.model === undefined;
    if (this.#socket === undefined ? isUnknown : !this.#goesOn)
      refuseRenamed(this.#need(this.#runtime).snapshot, this.#path, this.#query.slice(1));
    // A second model stands where nothing writes it anew.
    if (this.#view?.others?.some((other) => this.#hostedName(other) !== undefined) === true)
      throw new RefusedError('upstream_unsupported', { detail: 'models' });
    const renamed = this.#hostedName(this.#model);
    this.#renamed = renamed;
    if (renamed === undefined) return;
    if (this.#route.model !== undefined) return this.#renameInPath(renamed.as);
    const node = this.#view === undefined ? undefined : this.#modelNode;
    if (node?.string !== this.#model || node === undefined)
      throw new RefusedError('upstream_unsupported', { detail: 'models' });
    this.#edits.push({ start: node.start, end: node.end, text: JSON.stringify(renamed.as) });
  }

  /** What the endpoint calls it; undefined: as its callers do. */
  #hostedName(model: string | undefined): ModelName | undefined {
    const { hosted } = this.#need(this.#runtime).snapshot.upstream ?? {};
    return model === undefined ? undefined : hosted?.models?.find(({ name }) => name === model);
  }

  /** @throws RefusedError upstream_unsupported */
  #renameInPath(as: string): void {
    const { renamed, body } = this.#route;
    if (renamed === undefined || (this.#view === undefined && body !== 'none'))
      throw new RefusedError('upstream_unsupported', { detail: 'models' });
    this.#renamedPath = renamed(as);
    this.#edits.push(...(this.#view?.renameModel?.(as) ?? []));
  }
  #renamedPath: string | undefined;
  #renamed: ModelName | undefined;

  /** Path and query as the model gets them. */
  get #targetPath(): string {
    return (this.#renamedPath ?? this.#path) + this.#query;
  }

  /** What policies in Observe mode would have limited: counted apart from what is enforced, and recorded. */
  async #observeLimits(rules: readonly MatchedRule[], demand: Demand): Promise<void> {
    const outcome = await this.#options.observedLimiter.admit({ rules }, this.#caller, demand);
    if (outcome.kind === 'refused') this.#session.act(outcome.rule, 'limited', outcome.reason, true);
    else this.#observedAdmission = outcome;
  }
  #observedAdmission: Admission | undefined;

  async inspect(): Promise<void> {
    const runtime = this.#need(this.#runtime);
    const plan = this.#need(this.#requestPlan);
    const record = this.#need(this.#responsePlan).record;
    // Of a WebSocket they came with its handshake, and were read then.
    const again = this.#socket !== undefined && this.#goesOn;
    this.#headers = again ? {} : headersToModel(runtime, this.#exchange.headers);
    if (this.#socket !== undefined && !again) this.#offerProtocols();
    const views = runtime.requestViews(plan, record);
    const formType = this.#takeFormType(views.act);
    const outcome = await inspectRequest({
      view: this.#view,
      bytes: this.#body?.length ?? 0,
      target: again ? '' : this.#path + this.#query,
      headers: this.#headers,
      plan,
      views,
      rules: runtime.scanner.rules,
      ...(this.#sent !== undefined && { sent: this.#sent }),
      session: this.#session,
      turn: this.#turn,
    });
    for (const name of outcome.maskedHeaders) Reflect.deleteProperty(this.#headers, name);
    if (formType !== undefined) this.#headers['content-type'] = formType;
    this.#heldHeaders = outcome.heldHeaders.toSorted().flatMap((name) => {
      const value = this.#headers[name];
      return value === undefined ? [] : [{ id: name, text: String(value) }];
    });
    const kept = outcome.record.map((text) => this.#session.spell(text));
    const unread = this.#filesOfRequest();
    const files = unread.length === 0 ? [] : await filesForRecord(unread, this.#turn);
    this.#lanes = again ? kept : [...runtime.queryForRecord(this.#query.slice(1)), ...kept, ...files];
    this.#edits.push(...outcome.edits);
    const hides = runtime.responseViews(this.#need(this.#responsePlan)).guarded;
    if (hides && this.#view !== undefined) this.#edits.push(...this.#view.spellTokens());
    this.#stage('inspect');
    const rule = blockedBy(this.#session.acts());
    if (rule !== undefined) {
      await this.record();
      throw new RefusedError('guard_blocked', { rule });
    }
    if (this.#view !== undefined && !views.act.idle) this.#sent?.add(this.#view, outcome.masked, views.act.reach);
    this.#approvals = outcome.approvals.map((one) => one.rule);
    // People who approve see what the record's readers do.
    const spelled = <T extends NamedText>(one: T): T => ({ ...one, id: this.#session.spellName(one.id) });
    this.#places = { kept: outcome.places.kept.map(spelled), more: outcome.places.more };
    this.#heldTexts = outcome.heldTexts.map(spelled);
  }
  /** Those that go on, and that nobody reads. */
  #filesOfRequest(): readonly RecordedFile[] {
    const within = (this.#view?.files ?? []).flatMap(({ type, content }) =>
      content === undefined ? [] : [{ id: 'file', type, content: content() }],
    );
    return [...(this.#form?.files ?? []), ...within];
  }

  /** The header is the form's, and read with it: clients make boundaries of random digits, in which a rule may find something. */
  #takeFormType(act: RequestViews['act']): string | undefined {
    const type = this.#form === undefined ? undefined : this.#headers['content-type'];
    if (type === undefined) return undefined;
    Reflect.deleteProperty(this.#headers, 'content-type');
    this.#boundaryGoes = act.mask(String(type), 'prose', 'complete').hits.length > 0;
    return String(type);
  }

  /** Names that the caller made are text as headers are: those that a rule masks are offered to nobody. */
  #offerProtocols(): void {
    // The model's handshake is one of its own.
    const offered = offeredProtocols(this.#exchange.headers);
    offerProtocols(this.#headers, this.#route.socket?.protocols(offered) ?? []);
  }

  #places: Pick<FoundPlaces, 'kept' | 'more'> = { kept: [], more: 0 };
  #heldTexts: readonly NamedText[] = [];
  #headers: OutgoingHttpHeaders = {};
  #approvals: readonly string[] = [];
  /** Those that hold what an approver is asked about, as they go to the model. */
  #heldHeaders: readonly NamedText[] = [];

  /** Names and values, in turn. @param isForm its header says how it is divided, which is another with each try */
  #boundHeaders(isForm: boolean): readonly string[] {
    const asked = new Set(this.#heldHeaders.map(({ id }) => id));
    return Object.keys(this.#headers)
      .filter((name) => asked.has(name) || !ofOneTry.has(name))
      .filter((name) => !isForm || name !== 'content-type')
      .sort()
      .flatMap((name) => [name, String(this.#headers[name])]);
  }

  async hold(): Promise<void> {
    if (this.#approvals.length === 0) return;
    await this.record(); // while it waits, and also where nobody lets it through
    const runtime = this.#need(this.#runtime);
    const excerpt = this.#session.sealsAll
      ? sealedExcerpt(this.#lanes.map(({ id, text }) => ({ id, length: text.length })))
      : excerptOf(
          [
            ...this.#lanes,
            ...this.#heldHeaders.map(({ id, text }) => ({ id, text: runtime.forRecord(asSent(text)) })),
            ...this.#heldTexts,
          ],
          this.#places,
        );
    this.#heldTexts = [];
    this.#places = { kept: [], more: 0 };
    const { body, stream, same } = this.#finished(); // what was read of it would wait with it
    if (stream && !this.#asksForAsync()) this.#holdExchange();
    await this.#ask({
      direction: 'Request',
      rules: this.#approvals,
      digest: digestOf(
        `${this.#exchange.method} ${this.#path}${this.#query}`,
        this.#boundHeaders(same !== undefined),
        same ?? body,
      ),
      excerpt,
      bytes: 2 * (body?.length ?? 0),
    });
    this.#held?.release();
    this.#stage('hold');
  }

  /** @throws RefusedError unless it was approved, and spent for this session. */
  async #ask(
    what: Pick<ApprovalAsk, 'direction' | 'rules' | 'digest' | 'excerpt'> & { readonly bytes: number },
  ): Promise<void> {
    const { approvals: gate, holds: book, live, clock } = this.#options;
    const { bytes, ...held } = what;
    const runtime = this.#need(this.#runtime);
    const session = this.#session;
    const { approvals, terms } = runtime.snapshot;
    const requester = this.#caller;
    const rule = held.rules[0] ?? 'default';
    if (!canAsk(runtime, requester)) throw new RefusedError('approval_unavailable', { rule });
    this.#refuseGone();
    // Nobody decides under a policy that went while the body or the answer came in: it may have been changed for the sake of who decides.
    if (this.#inForce()?.snapshot.terms !== terms) throw new RefusedError('policy_changed', { rule });
    const waiting = hold({
      gate,
      book,
      live,
      clock,
      session,
      ask: {
        ...held,
        // The model's name is bound as it came, and told as the record tells it: it is the caller's word.
        digest: withModel(held.digest, this.#model),
        model: session.model,
        // Cut somewhere, perhaps within a pair of surrogates: half of one is no text to whoever reads it.
        excerpt: held.excerpt.toWellFormed(),
        requester: requesterOf(requester),
        operation: this.#route.operation,
        session: session.nameHold(),
      },
      snapshot: () => (this.#inForce() ?? runtime).snapshot.hash,
      bytes,
      timeoutMs: approvals?.timeoutMs ?? 0,
      facts: { runtime, facts: this.#facts(), plan: this.#need(this.#responsePlan) },
      onPending: (name) => held.direction === 'Request' && this.#comesBack(name),
      ...(held.direction === 'Request' && { beforeClaim: () => this.#takePlace() }),
    });
    this.#waiting = waiting;
    try {
      await waiting.approved;
    } finally {
      this.#waiting = undefined;
    }
  }

  /** Whoever asked for a stream is kept from thinking that nobody is there. */
  #holdExchange(): void {
    const session = this.#session;
    if (this.#held !== undefined) return this.#held.hold();
    const { dialect, streams } = this.#answers ?? this.#route;
    const [framing] = streams;
    this.#held = holdExchange({
      exchange: this.#exchange,
      clock: this.#options.clock,
      framing,
      headers: () => ({
        'content-type': framing?.contentType,
        'cache-control': 'no-cache',
        'x-request-id': session.id,
        [receiptHeader]: receipt(session, false),
      }),
      errorEvent: dialect.errorEvent,
      failed: () => this.#refusalFrame(new RefusedError('upstream_error', { detail: 'empty' })),
    });
  }
  #waiting: Hold | undefined;
  #held: HeldExchange | undefined;
  #approvalName: string | undefined;

  /** Calls of gRPC and WebSockets have no way to come back. */
  #asksForAsync(): boolean {
    return !this.#isRpc && this.#socket === undefined && asksForAsync(this.#exchange);
  }

  /** `Prefer: respond-async` (RFC 7240): the caller polls, and sends the same request again once it is approved. */
  #comesBack(name: string): boolean {
    if (!this.#asksForAsync()) return false;
    this.#approvalName = name;
    return true;
  }

  /** The request as the model will get it, once nothing of it is to be read or changed any more: of all that was read only this is kept. */
  #finished(): FinishedRequest {
    if (this.#ready !== undefined) return this.#ready;
    const ready = {
      ...(this.#form === undefined ? this.#finishedBody() : this.#finishedForm(this.#form)),
      route: this.#view?.answers ?? this.#route,
      stops: this.#view?.stops ?? false,
      stream: this.#view?.stream ?? false,
    };
    this.letGo();
    this.#answers = ready.route;
    return (this.#ready = ready);
  }

  #finishedBody(): Pick<FinishedRequest, 'body' | 'jsonBytes' | 'same'> {
    const body = this.#body;
    const split = this.#split?.edited(outermost(this.#edits));
    this.#bodyBytes = body?.length ?? 0;
    return {
      body: split?.body ?? (body === undefined ? undefined : this.#editedBody(body)),
      jsonBytes: split?.jsonBytes,
      same: undefined,
    };
  }

  #finishedForm(read: FormText): Pick<FinishedRequest, 'body' | 'jsonBytes' | 'same'> {
    const form = read.edited(outermost(this.#edits), this.#boundaryGoes);
    this.#headers['content-type'] = form.contentType;
    // Without its files: nobody knows how many tokens a picture is.
    this.#bodyBytes = Buffer.byteLength(this.#bodyText);
    return {
      body: form.body,
      jsonBytes: undefined,
      same: this.#approvals.length === 0 ? undefined : form.same(),
    };
  }
  #ready: FinishedRequest | undefined;
  #answers: Route | undefined;

  #editedBody(body: Body): Body {
    if (this.#message === undefined) {
      if (body instanceof ByteChain) return body;
      const edited = editBody(body, this.#bodyText, this.#edits);
      return edited === body || !this.#isText ? edited : Buffer.from(parseJson(edited.toString('utf8')).string ?? '');
    }
    const edits = outermost(this.#edits);
    // Compressed as it came only where the header that says so goes with it.
    const asItCame = body.at(0) === 0 || !this.#need(this.#runtime).snapshot.enforcing;
    return edits.length === 0 && asItCame ? body : framedChain(this.#message.edited(edits));
  }

  async record(): Promise<void> {
    this.#refuseGone();
    if (this.#bodyUnits > stepUnits && !this.#goesOn) {
      this.#session.prepare(this.#lanes);
      while (this.#session.commitSome()) await this.#turn();
    }
    if (!this.#goesOn) this.#session.begin(this.#lanes);
    else if (!this.#added) {
      this.#added = true;
      this.#session.add(this.#lanes);
    }
  }

  #refuseGone(): void {
    if (this.#over) throw new RefusedError('malformed_http', { detail: 'aborted' });
    if (this.#late) throw new RefusedError('deadline_exceeded');
  }

  /** Nobody looks into a request that nobody waits for. */
  readonly #turn = async (): Promise<void> => {
    await this.#options.turn();
    this.#refuseGone();
  };

  /** All of it was read, and the model takes its time: what waits must not be copied from heap to heap by the collector. */
  letGo(): void {
    this.#treeShare?.release();
    this.#ready = undefined;
    this.#body = undefined;
    this.#message = undefined;
    this.#split = undefined;
    this.#form = undefined;
    this.#bodyText = '';
    this.#bodyUnits = 0;
    this.#view = undefined;
    this.#modelNode = undefined;
    this.#lanes = [];
    this.#edits = [];
  }

  #headersFor(target: ModelTarget): ModelHeaders {
    return modelHeaders(this.#need(this.#runtime), this.#need(this.#access), {
      incoming: this.#exchange.headers,
      passed: this.#headers,
      hosted: target.hosted,
      session: this.#session,
      caller: this.#caller,
    });
  }

  /**
   * Over what is sent, so nothing of it may change any more.
   *
   * @throws RefusedError upstream_unsupported: what goes on while it comes in cannot be signed before.
   */
  async sign(): Promise<void> {
    const use = this.#need(this.#runtime).snapshot.upstream?.credential?.use;
    if (use?.kind !== 'SigV4') return;
    const target = this.#need(this.#target);
    if (this.#form !== undefined) this.#finished(); // the header that says what it is may change with it
    const { headers, sent } = this.#headersFor(target);
    if (sent === undefined) return;
    if (this.#uninspected || this.#isRpc || this.#socket !== undefined) refuseUnsigned(sent);
    const { body } = this.#finished();
    const request = {
      method: this.#exchange.method,
      base: target.url,
      target: this.#targetPath,
      headers,
      body: body instanceof ByteChain ? body.bytes() : body,
    };
    this.#signature = await signature(use, sent.value, request, this.#options.clock.now());
  }
  #signature: OutgoingHttpHeaders | undefined;

  #isDescribed({ services }: Runtime): boolean {
    return this.#isRpc ? services.route(this.#path) === this.#route : this.#route.described !== undefined;
  }

  forward(): void {
    const { metrics } = this.#options;
    const runtime = this.#need(this.#runtime);
    const target = this.#need(this.#target);
    const plan = this.#need(this.#responsePlan);
    const facts = this.#facts();
    // Policy may have been swapped, and a grant have ended, while it was recorded or a person was asked.
    const decided: Decided = {
      runtime,
      facts,
      plan,
      described: this.#isDescribed(runtime),
      ...(this.#uninspected && { mustBeRead: (next) => bodyMustBeRead(next, this.#caller) }),
    };
    this.#refuseGone();
    const ended = endedMeanwhile(decided, this.#inForce());
    if (ended !== undefined) throw new RefusedError(ended);
    this.#takePlace();
    const { body, jsonBytes, stops, stream: streams, route } = this.#finished();
    this.#ready = undefined;
    const access = this.#need(this.#access);
    const { headers, sent } = this.#headersFor(target);
    if (this.#signature !== undefined) Object.assign(headers, this.#signature);
    this.#signature = undefined;
    this.#session.toUpstreamAt = this.#options.clock.monotonic();
    metrics.exchange(this.#route.dialect.name, this.#exchange.protocol);
    const path = targetWithCredential(sent, this.#targetPath);
    if (this.#uninspected) return this.#passThrough(decided, path, headers, sent);
    if (body !== undefined) headers['content-length'] = body.length;
    if (jsonBytes !== undefined) headers[jsonLengthHeader] = jsonBytes;
    const review = this.#reviewOf(runtime, plan);
    if (review !== undefined && streams) this.#holdExchange();
    const answer = new Answer({
      ...this.#options,
      upstream: this.#upstreamOf(target, sent),
      session: this.#session,
      exchange: this.#held ?? this.#exchange,
      runtime,
      facts,
      plan,
      described: decided.described,
      views: review === undefined ? runtime.responseViews(plan) : runtime.reviewViews(plan),
      ...(review !== undefined && { review }),
      route,
      mayPass: (file) => this.#mayLeave(access, file),
      // Other files may pass, or none: what is under way is not asked again.
      mustBeRead: (next) => !lets(accessOf(next.snapshot, facts), access),
      promised: this.#held?.framing,
      stops,
      dropUsage: this.#usageAdded,
      renamed: this.#renamed,
      ownCredential: sent !== undefined,
      onResult: (result) => {
        this.#settle(answer);
        this.#result = result;
        if (this.#closedAs !== undefined) this.#closed(this.#closedAs);
      },
    });
    this.#answer = answer;
    answer.begin({
      method: this.#exchange.method,
      path,
      headers: this.#isRpc ? rpcHeaders(headers, this.#leftMs) : headers,
      body,
      idleMs: runtime.snapshot.requestLimits.upstreamIdleMs,
    });
  }

  /**
   * Once: of a request that was held right before its approval is spent, so that none is spent for a request that finds no place, and who waits
   * for people keeps none.
   *
   * @throws RefusedError overloaded, caller_share_used
   */
  #takePlace(): void {
    if (this.#placed) return;
    const { places } = this.#options;
    const owner = ownerOf(this.#caller);
    places.take(owner);
    this.#placed = true;
    this.#exchange.onClose(() => places.give(owner));
  }
  #placed = false;

  /** Where some rule of this caller's needs an approval for what it finds in an answer, and there are people to ask. */
  #reviewOf(runtime: Runtime, plan: ResponsePlan): AnswerReview | undefined {
    if (isEmpty(plan.approve) || !canAsk(runtime, this.#caller)) return undefined;
    return (finished) => this.#ask({ direction: 'Response', ...finished });
  }

  /** Nothing of it is read; it still ends when a policy no longer allows it. */
  #passThrough(decided: Decided, path: string, headers: OutgoingHttpHeaders, sent: SentCredential | undefined): void {
    const { live, metrics, clock } = this.#options;
    const exchange = this.#exchange;
    const session = this.#session;
    const { maxBodyBytes, bodyTimeoutMs, upstreamIdleMs } = decided.runtime.snapshot.requestLimits;
    const entry: LiveRequest = { ...decided, place: -1, end: (code) => this.#endPassThrough(new RefusedError(code)) };
    live.add(entry);
    exchange.onClose(() => {
      live.remove(entry);
      metrics.received(exchange.bytesIn);
    });
    session.act('sidegate/uninspected', 'flagged');
    const route = {
      path,
      headers,
      idleMs: upstreamIdleMs,
      everyHeader: !decided.runtime.snapshot.enforcing,
      body: { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs },
    };
    this.#need(this.#target).passthrough.web(exchange, route, {
      begun: (status) => {
        if (status === 401 && sent?.use.kind === 'OAuth') this.#options.runtime.tokenRefused(sent.value);
        session.firstByteAt = clock.monotonic();
        this.#result = { outcome: 'completed', status, code: undefined };
      },
      failed: (error) => this.#endPassThrough(error),
    });
  }

  /** By the model, a limit, policy or shutdown: a refusal where nothing left yet, and otherwise a cut. */
  #endPassThrough(error: RefusedError): void {
    if (this.#over) return;
    const { metrics, noteModelFault } = this.#options;
    const { code } = error;
    noteModelFault(this.#session.id, error);
    metrics.aborted(abortCause(code));
    const begun = this.#result;
    if (begun === undefined) return this.refuse(error);
    this.#result = { outcome: cutOutcome(code), status: begun.status, code };
    // What the model broke off, its route does.
    if (!code.startsWith('upstream_')) this.#exchange.destroy();
  }

  #answer: Answer | undefined;
  #result: AnswerResult | undefined;
  #closedAs: 'finished' | 'aborted' | undefined;

  /** The connection's part of it is over: now the record can say how many bytes left. */
  #closed(how: 'finished' | 'aborted'): void {
    this.#closedAs = how;
    this.#waiting?.abandon();
    const result = this.#result;
    if (how === 'aborted' && result?.code === undefined) {
      if (this.#answer !== undefined) {
        this.#answer.abort(); // the model's work ends at once
        this.#settle(this.#answer); // what it has said until then is charged
      }
      this.#finish('aborted', result?.status ?? 0, undefined);
    } else if (result !== undefined) this.#finish(result.outcome, result.status, result.code);
    this.#answer?.letGo();
  }

  /** Of what nobody reads, a quarter of the bytes, both ways. */
  #settleUninspected(): void {
    this.#charge(Math.ceil((this.#exchange.bytesIn + this.#exchange.bytesOut) / 4));
  }

  /** Tokens that were used. Only the first call counts. */
  #charge(tokens: number): void {
    this.#admission?.settle(tokens);
    this.#observedAdmission?.settle(tokens);
  }

  /** Without usage of the model's own, a quarter of the bytes that it sent is taken for tokens. */
  #settle(answer: Answer): void {
    if (this.#socket !== undefined) {
      if (answer.usage !== undefined) this.#session.tokens = answer.usage;
      return this.#chargeSocket();
    }
    const used = answer.usage ?? {
      input: Math.ceil((this.#goesOn ? this.#bodyBytes : (this.#body?.length ?? this.#bodyBytes)) / 4),
      output: Math.ceil(Math.max(0, answer.textBytes - this.#chargedOut) / 4),
    };
    if (answer.usage !== undefined) this.#session.tokens = answer.usage;
    this.#charge(used.input + used.output);
  }

  #upstreamOf({ upstream, rpc, socket }: ModelTarget, sent: SentCredential | undefined): Upstream {
    const refused = sent?.use.kind === 'OAuth' ? () => this.#options.runtime.tokenRefused(sent.value) : undefined;
    const told = (model: Upstream): Upstream => (refused === undefined ? model : tellingRefusals(model, refused));
    if (this.#socket !== undefined) return told(this.#openSocket(this.#socket, socket));
    if (!this.#isRpc) return told(upstream);
    if (rpc === undefined) throw new RefusedError('upstream_unsupported');
    const model = refused === undefined ? rpc : tellingRpcRefusals(rpc, refused);
    if (this.#route.rpc?.clientStreams !== true) return rpcUpstream(model, sent !== undefined);
    this.#call = new RpcCall(model, sent !== undefined);
    return this.#call.upstream;
  }

  #openSocket(exchange: SocketExchange, model: ModelTarget['socket']): Upstream {
    if (model === undefined) throw new RefusedError('upstream_unsupported');
    const { maxBodyBytes } = this.#need(this.#runtime).snapshot.requestLimits;
    exchange.limits = { maxBytes: maxBodyBytes, owner: ownerOf(this.#caller) };
    const offered = String(this.#headers[protocolHeader] ?? '');
    const protocols = offered === '' ? [] : offered.split(', ');
    this.#socketCall = new SocketCall({ model, exchange, clock: this.#options.clock, protocols });
    return this.#socketCall.upstream;
  }
  #socketCall: SocketCall | undefined;

  /** Takes more messages. */
  #call: RpcCall | undefined;
  /** The first message of a call has gone to the model. */
  #goesOn = false;
  /** Bytes of its answers that messages before the last were charged for. */
  #chargedOut = 0;
  /** Bytes of its messages that are counted. */
  #received = 0;
  /** The message under way is on record. */
  #added = false;
  /** Of a WebSocket: what its caller sent before, as the model has it. A message that is refused ends the connection. */
  #sent: SentTexts | undefined;

  /** @param beginMs how long it may take until it is there; undefined: as long as model and caller bear it. */
  async #nextMessage(beginMs?: number): Promise<Buffer | undefined> {
    const { maxBodyBytes, bodyTimeoutMs } = this.#need(this.#runtime).snapshot.requestLimits;
    const message = await this.#exchange.nextMessage?.({
      maxBytes: maxBodyBytes,
      timeoutMs: bodyTimeoutMs,
      owner: ownerOf(this.#caller),
      ...(beginMs !== undefined && { beginMs }),
    });
    this.#options.metrics.received(this.#exchange.bytesIn - this.#received);
    this.#received = this.#exchange.bytesIn;
    this.#refuseGone();
    return message;
  }

  /**
   * Further messages of a call. Each is a request of its own to access, limits, guards, approvals and the record; the first that is refused
   * ends the call. All speak to one model, under one policy: who is to speak to another, or under another, calls anew.
   */
  async goOn(): Promise<void> {
    if (this.#socket !== undefined) return this.#goOnSocket(this.#socket);
    const call = this.#call;
    if (call === undefined) return;
    this.#goesOn = true;
    const model = this.#model;
    for (;;) {
      const message = await this.#nextMessage();
      if (message === undefined) return call.finish();
      if (this.#isOverruled) throw new RefusedError('policy_changed');
      await this.#identifyAgain();
      this.#body = message;
      this.#added = false;
      await this.readBody();
      if (this.#model !== model) this.#refuseModel('model_name');
      this.authorise();
      this.#chargeBefore();
      await this.admit();
      await this.inspect();
      await this.hold();
      await this.record();
      if (this.#isOverruled) throw new RefusedError('policy_changed');
      await call.write(bytesOf(this.#finished().body));
      this.letGo();
    }
  }

  /**
   * Messages of a WebSocket's caller: as those of a call of gRPC. One counts as a request, but for those that go on with what the one before began
   * (sound), until an answer has ended between them. Of those that are there already some go on in one write, once one write has recorded them all.
   */
  async #goOnSocket(exchange: SocketExchange): Promise<void> {
    const call = this.#need(this.#socketCall);
    this.#goesOn = true;
    this.#sent = new SentTexts();
    const batch = new MessageBatch();
    try {
      for (;;) {
        if (!exchange.hasMessage || batch.full) await this.#send(call, batch);
        const message = await exchange.nextSocketMessage();
        this.#options.metrics.received(exchange.bytesIn - this.#received);
        this.#received = exchange.bytesIn;
        if (message === undefined) break;
        await this.#takeMessage(message, call, batch);
      }
    } catch (error) {
      await this.#send(call, batch); // those before it were let through
      throw error;
    }
    return this.#closeSocket(exchange, call);
  }

  async #takeMessage(message: SocketMessage, call: SocketCall, batch: MessageBatch): Promise<void> {
    const model = this.#model;
    this.#refuseGone();
    if (this.#isOverruled) throw new RefusedError('policy_changed');
    await this.#identifyAgain();
    this.#body = message.bytes;
    this.#added = false;
    if (!message.binary) await this.readBody();
    if (this.#view?.model !== undefined && this.#view.model !== model) this.#refuseModel('model');
    this.#nameModel(model);
    this.authorise();
    if (message.binary) this.#letPass([{ type: binaryType, bytes: message.bytes.length }]);
    if (this.#countsAnew()) {
      this.#chargeSocket();
      await this.admit();
    } else this.#socketBytes += message.bytes.length;
    await this.inspect();
    if (this.#approvals.length > 0) await this.#send(call, batch); // people take their time
    await this.hold();
    this.#refuseGone();
    // Of one that was held it is on record already what people were asked about.
    const texts = this.#added ? [] : this.#lanes;
    const { body } = this.#finished();
    const bytes = body === undefined ? message.bytes : bytesOf(body);
    const frames = bytes === message.bytes ? message.frames : [bytes.length];
    batch.add({ message: { bytes, binary: message.binary, frames }, texts });
    this.letGo();
  }

  /** What was let through, under the policy that is in force, once it is on record. @throws RefusedError */
  async #send(call: SocketCall, batch: MessageBatch): Promise<void> {
    if (batch.empty) return;
    const messages = batch.take();
    this.#refuseGone();
    if (this.#isOverruled) throw new RefusedError('policy_changed');
    // No sooner: what is dropped here was not sent.
    for (const { texts } of messages) this.#session.queue(texts);
    this.#session.commit();
    await call.send(messages.map(({ message }) => message));
  }

  /**
   * A further message names another model than the one that its connection was opened for, or a query says what none may. Where policies only observe, that
   * is recorded.
   *
   * @throws RefusedError invalid_request
   */
  #refuseModel(detail: string): void {
    if (this.#need(this.#runtime).snapshot.enforcing) throw new RefusedError('invalid_request', { detail });
    this.#session.observe([{ reason: 'invalid_request', rule: 'default' }]);
  }

  /** What is said about why is text, too. */
  async #closeSocket(exchange: SocketExchange, call: SocketCall): Promise<void> {
    const end = exchange.closedBy;
    if (end === undefined || this.#over) return; // the model, or policy, ended it; or the caller is gone
    if (end.reason === '') return call.close(end);
    this.#added = false;
    this.#body = Buffer.from(JSON.stringify({ reason: end.reason }));
    this.#bodyText = this.#body.toString('utf8');
    this.#view = generic.request(this.#route, parseJson(this.#bodyText));
    await this.inspect();
    await this.hold();
    await this.record();
    const { body } = this.#finished();
    const said = body === undefined ? undefined : parseJson(bytesOf(body).toString('utf8')).get('reason')?.string;
    call.close({ code: end.code, reason: said ?? '' });
    this.letGo();
  }

  /** Whether the message under way is a request of its own. */
  #countsAnew(): boolean {
    const continues = this.#view?.continues === true;
    const answered = this.#answer?.usageSoFar;
    const same = continues && this.#continuing && (answered?.output ?? 0) === this.#usedBefore.output;
    this.#continuing = continues;
    return !same;
  }
  #continuing = false;
  /** What the model said was used, when the message before was charged. */
  #usedBefore = { input: 0, output: 0 };
  /** Bytes of messages since then. */
  #socketBytes = 0;

  /** What was used since the message before that counted: as the model says, where it has said anything since; else a quarter of the bytes. */
  #chargeSocket(): void {
    const used = this.#answer?.usageSoFar ?? { input: 0, output: 0 };
    const said = used.input - this.#usedBefore.input + used.output - this.#usedBefore.output;
    const { bytesOut } = this.#exchange;
    this.#charge(said > 0 ? said : Math.ceil((this.#socketBytes + bytesOut - this.#chargedOut) / 4));
    this.#usedBefore = { input: used.input, output: used.output };
    this.#chargedOut = bytesOut;
    this.#socketBytes = this.#body?.length ?? 0;
  }

  /** The message before: its bytes, and those that the call has answered meanwhile. */
  #chargeBefore(): void {
    const { bytesOut } = this.#exchange;
    this.#charge(Math.ceil((this.#bodyBytes + bytesOut - this.#chargedOut) / 4));
    this.#chargedOut = bytesOut;
    this.#bodyBytes = 0; // until the next has gone to the model
  }

  refuse(error: unknown): void {
    if (this.#answer !== undefined) {
      this.#answer.refuse(error);
      // The call ended while a further message was admitted: nobody else would give its place back.
      if (this.#over) this.#charge(0);
      return;
    }
    // Also where the caller went while a stage waited: what was admitted since gives its place back.
    // What was let through uninspected is charged for its bytes, as at any other end.
    if (!this.#uninspected || this.#session.toUpstreamAt === undefined) this.#charge(0);
    if (this.#over) return;
    const refused = error instanceof RefusedError ? error : new RefusedError('internal_error', { cause: error });
    if (refused.code === 'internal_error') {
      this.#options.logger.error('request failed', { request: this.#session.id, error: describeError(error) });
    }
    const { status, headers, body } = refusalResponse(this.#session, refused, this.#route.dialect);
    if (refused.code === 'approval_pending' && this.#approvalName !== undefined) {
      headers['location'] = approvalPath + this.#approvalName;
      headers['retry-after'] = '5';
      headers['preference-applied'] = 'respond-async';
    }
    // The record of a refusal first: it is small, and the caller may be gone the moment that it is written.
    this.#held?.release();
    const frame = this.#held?.begun === true ? this.#refusalFrame(refused) : undefined;
    const bytes = this.#exchange.method === 'HEAD' ? 0 : Buffer.byteLength(frame ?? body);
    this.#finish(status >= 500 ? 'failed' : 'refused', status, refused.code, bytes);
    if (frame === undefined) this.#exchange.respond(status, headers, body);
    else this.#exchange.end(frame);
  }

  /** In a stream that has begun before there was an answer. */
  #refusalFrame(refused: RefusedError): string {
    const { dialect, streams } = this.#route;
    return streams[0]?.frame(dialect.refusal(refusalText(this.#session, refused)), dialect.errorEvent) ?? '';
  }

  /** @param toLeave bytes of an answer that leaves right behind it. */
  #finish(outcome: SessionEnd['outcome'], status: number, code: ReasonCode | undefined, toLeave = 0): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline?.cancel();
    const { metrics } = this.#options;
    const session = this.#session;
    if (this.#uninspected) this.#settleUninspected();
    if (outcome === 'aborted') {
      this.#charge(Math.ceil((this.#body?.length ?? this.#bodyBytes) / 4));
      metrics.aborted('caller');
    }
    this.#charge(0); // no more than once: what was settled stays
    session.end(outcome, status, code, toLeave);
    metrics.requestEnded(session.operation, code, decisionOf(outcome, session.wouldRefuse));
    for (const act of session.acts()) {
      metrics.ruleActed(act.rule, act.act, act.count ?? 1);
      for (const { by, certainty, count } of act.found ?? []) metrics.found(by, certainty, count);
    }
    metrics.stage('total', session.age);
    metrics.sent(this.#exchange.bytesOut + toLeave);
  }

  /** @param ms from the head of the request on; undefined: its caller waits as long as it takes. */
  #keepDeadline(ms: number | undefined): void {
    if (ms === undefined || this.#deadline !== undefined) return;
    const { clock } = this.#options;
    this.#deadlineAt = this.#exchange.startedAt + ms;
    this.#deadline = clock.after(Math.max(0, this.#deadlineAt - clock.monotonic()), () => {
      this.#late = true;
      this.#waiting?.end('deadline_exceeded');
      this.#answer?.end('deadline_exceeded');
    });
  }
  #deadline: Timer | undefined;
  #deadlineAt = 0;
  #late = false;

  /** Milliseconds until its caller gives up; undefined: it does not. */
  get #leftMs(): number | undefined {
    return this.#deadline === undefined ? undefined : Math.max(0, this.#deadlineAt - this.#options.clock.monotonic());
  }

  #stage(stage: 'identify' | 'access' | 'inspect' | 'hold'): void {
    const now = this.#options.clock.monotonic();
    this.#options.metrics.stage(stage, now - this.#stageAt);
    this.#stageAt = now;
  }

  /** A stage that has not run is a mistake in the list above: deny. */
  #need<T>(value: T | undefined): T {
    if (value === undefined) throw new RefusedError('internal_error', { detail: 'order' });
    return value;
  }
}

/** Of a call of gRPC in the pieces in which it came. */
type Body = Buffer | ByteChain;

const bytesOf = (body: Body | undefined): Buffer =>
  body instanceof ByteChain ? body.bytes() : (body ?? Buffer.alloc(0));

interface FinishedRequest {
  readonly body: Body | undefined;
  /** How many of its bytes are JSON, where others follow. */
  readonly jsonBytes: number | undefined;
  /** As {@link RequestView}. */
  readonly stops: boolean;
  readonly stream: boolean;
  /** How its answer is read. */
  readonly route: Route;
  /** Of a form that people are asked about: what is the same of it whatever its boundary. */
  readonly same: Buffer | undefined;
}

/** The name of a model that only patterns for every model match. */
const noModel = '';

/** Whether files that passed still do. */
function lets(next: AccessDecision, { files }: Allowed): boolean {
  return files === undefined || (next.kind === 'allow' && JSON.stringify(next.files) === JSON.stringify(files));
}

/** Where the state of an approval is told to its requester. */
export const approvalPath = '/.sidegate/approvals/';

/** A header as whoever sent it reads it: Node hands over a unit for each byte. */
function asSent(header: string): string {
  const bytes = Buffer.from(header, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : header;
}

/** Of what goes to the model, these headers differ from one try of the same request to the next. */
const ofOneTry = new Set(['baggage', 'idempotency-key', 'traceparent', 'tracestate', 'user-agent', 'x-request-id']);

/** Of what goes to the model: where, the headers, and the bytes. The first line is JSON: what follows is no part of it. */
function digestOf(where: string, headers: readonly string[], body: Body | undefined): string {
  const digest = createHash('sha256').update(`${JSON.stringify([where, ...headers])}\n`);
  for (const piece of body instanceof ByteChain ? body.pieces : [body ?? '']) digest.update(piece);
  return `sha256:${digest.digest('hex')}`;
}

/** What an approval is bound to beside what it tells. */
const withModel = (digest: string, model: string | undefined): string =>
  `sha256:${createHash('sha256')
    .update(JSON.stringify([digest, model ?? null]))
    .digest('hex')}`;

/** Policies under which one request is looked at. */
const mostRounds = 5;

/** Longest wait for an answer about an approval. */
const longestQuestionMs = 5_000;

/** What a caller is told who asks; Approved: send it again. */
const refusedPhases: Readonly<Record<ApprovalPhase, ReasonCode | undefined>> = {
  Pending: 'approval_pending',
  Approved: undefined,
  Denied: 'approval_denied',
  Expired: 'approval_expired',
  Used: 'approval_used',
  Cancelled: 'approval_unknown',
};

const asksForAsync = (exchange: Exchange): boolean =>
  String(exchange.headers['prefer'] ?? '')
    .split(',')
    .some((one) => one.trim().toLowerCase() === 'respond-async');

const jsonBody = /^application\/(?:[\w.+-]+\+)?json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

const textBody = /^text\/plain\s*(?:;\s*charset="?(?:utf-8|us-ascii)"?\s*)?$/i;

/** As metrics name it. */
export function decisionOf(outcome: SessionEnd['outcome'], wouldRefuse: boolean): Decision {
  switch (outcome) {
    case 'completed':
      return wouldRefuse ? 'observed' : 'allowed';
    case 'refused':
    case 'ended':
      return 'refused';
    case 'aborted':
    case 'failed':
      return outcome;
    default:
      return assertNever(outcome);
  }
}
