import { describeError } from '../base/index.ts';
import type { SessionEnd } from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise, recogniseSocket } from '../dialect/index.ts';
import type { PassthroughTraffic, UpgradeRequest } from '../http/index.ts';
import { normaliseTarget } from '../http/index.ts';
import { abortCause, cutOutcome } from './answer.ts';
import { checkHandshake } from './cors.ts';
import type { Admission, Demand } from './limits.ts';
import type { Decided, LiveRequest } from './live.ts';
import { endedMeanwhile } from './live.ts';
import { accessOf, isInside } from './loopback.ts';
import { refuseUnsigned, targetWithCredential } from './model-credential.ts';
import type { SentCredential } from './model-credential.ts';
import { refuseRenamed } from './model-names.ts';
import { ownerOf } from './owner.ts';
import { decisionOf, govern } from './pipeline.ts';
import type { PipelineOptions } from './pipeline.ts';
import { refusalResponse } from './refusal.ts';
import type { Runtime } from './runtime.ts';
import { Session } from './session.ts';
import { SocketExchange } from './socket-exchange.ts';
import { readTraceparent } from './trace-context.ts';
import { decideAccess, headersToModel, judgeWire, modelHeaders, notePath, proveCaller } from './stages.ts';
import { offerProtocols, protocolHeader } from './subprotocols.ts';
import { framesMustBeRead } from './uninspected.ts';

/**
 * WebSocket handshakes. Those of a dialect, and all that some enforced guard or classification would have to look into or whose answers have limits, are
 * read message by message (pipeline.ts); the others go by unread, where a rule allows their route to the caller.
 */
export function governUpgrade(upgrade: UpgradeRequest, options: PipelineOptions): Promise<void> {
  return isRead(upgrade, options) ? govern(new SocketExchange(upgrade), options) : passUnread(upgrade, options);
}

/** One that no dialect knows: unread, unless something has to look into it. */
async function passUnread(upgrade: UpgradeRequest, options: PipelineOptions): Promise<void> {
  const { metrics, clock, record, newId, logger, noteModelFault, live, entrance, places } = options;
  const route = recognise('GET', '/');
  /** Undefined until both sides are joined. */
  let traffic: PassthroughTraffic | undefined;
  const session = new Session({
    id: newId(),
    clock,
    record,
    exchange: {
      startedAt: upgrade.startedAt,
      peer: upgrade.peer,
      protocol: 'http/1.1',
      method: upgrade.method,
      get bytesIn() {
        return traffic?.bytesIn ?? 0;
      },
      get bytesOut() {
        return traffic?.bytesOut ?? 0;
      },
    },
    trace: readTraceparent(upgrade.headers['traceparent']),
    onFailedOpen: () => metrics.failedOpen(),
    onSealed: (texts) => metrics.textsSealed(texts),
  });
  let handedOver = false;
  let begun = false;
  const begin = (): void => {
    if (!begun) metrics.requestBegan();
    begun = true;
  };
  let admission: Admission | undefined;
  let observed: Admission | undefined;
  let entry: LiveRequest | undefined;
  const finish = (outcome: SessionEnd['outcome'], status: number, error?: RefusedError): void => {
    if (session.ended || handedOver) return;
    begin();
    // Nobody reads how many tokens they were: a quarter of the bytes, both ways.
    const used = Math.ceil((session.exchange.bytesIn + session.exchange.bytesOut) / 4);
    admission?.settle(used);
    observed?.settle(used);
    if (entry !== undefined) live.remove(entry);
    session.end(outcome, status, error?.code);
    metrics.requestEnded(session.operation, error?.code, decisionOf(outcome, session.wouldRefuse));
    for (const act of session.acts()) {
      metrics.ruleActed(act.rule, act.act, act.count ?? 1);
      for (const { by, certainty, count } of act.found ?? []) metrics.found(by, certainty, count);
    }
    metrics.stage('total', session.age);
    metrics.received(session.exchange.bytesIn);
    metrics.sent(session.exchange.bytesOut);
  };
  const refuse = (error: unknown): void => {
    if (session.ended) return;
    const refused = error instanceof RefusedError ? error : new RefusedError('internal_error', { cause: error });
    if (refused.code === 'internal_error')
      logger.error('upgrade failed', { request: session.id, error: describeError(error) });
    const { status, headers, body } = refusalResponse(session, refused, route.dialect);
    finish(status >= 500 ? 'failed' : 'refused', status, refused);
    upgrade.respond(status, headers, body);
  };
  /** After it was let through: by the model, policy or shutdown. */
  const end = (error: RefusedError): void => {
    if (session.ended) return;
    const { code } = error;
    noteModelFault(session.id, error);
    metrics.aborted(abortCause(code));
    finish(cutOutcome(code), traffic === undefined ? 0 : 101, error);
    upgrade.destroy();
  };
  upgrade.onClose((how) => {
    if (session.ended || handedOver) return;
    if (traffic !== undefined && how === 'finished') return finish('completed', 101);
    metrics.aborted('caller');
    finish('aborted', traffic === undefined ? 0 : 101);
  });
  try {
    const runtime = options.runtime.current;
    if (runtime === undefined) throw new RefusedError(options.runtime.absence);
    if (runtime.snapshot.sources.length === 0) throw new RefusedError('no_policy');
    const target = options.model.find(runtime.snapshot);
    session.generation = runtime.snapshot.generation;
    session.content = runtime.snapshot.audit.content;
    session.sealing = runtime.sealing;
    session.onAuditFailure = runtime.snapshot.audit.onFailure;
    if (!isInside(entrance)) judgeWire(runtime, session, upgrade);
    const { path, query } = normaliseTarget(upgrade.target);
    notePath(runtime, session, path);
    refuseRenamed(runtime.snapshot, path, query);
    // Whatever the route is called without an upgrade, this is another protocol on it; but what rules the server stays that.
    session.operation = recognise(upgrade.method, path).operation === 'Admin' ? 'Admin' : 'Other';
    checkHandshake(runtime.snapshot, session, upgrade.headers);
    const { grants, revocations } = options;
    const caller = await proveCaller(runtime, session, upgrade.headers, {
      certificate: upgrade.clientCertificate,
      revocations,
    });
    session.caller = caller;
    const facts = {
      caller,
      operation: session.operation,
      model: undefined,
      entrance,
      ...(grants !== undefined && { grants }),
      ...(revocations !== undefined && { revocations }),
    };
    const access = decideAccess(runtime, session, facts);
    const plan = runtime.snapshot.responsePlan(caller);
    if (framesMustBeRead(runtime, access.credential, caller, plan)) {
      handedOver = true;
      return await govern(new SocketExchange(upgrade), options);
    }
    begin();
    const demand: Demand = {
      promptBytes: 0,
      maxOutputTokens: undefined,
      outputBound: undefined,
      count: 1,
      generates: false,
      countsInput: true,
    };
    const outcome = await options.limiter.admit(access, caller, demand);
    if (outcome.kind === 'refused') {
      session.act(outcome.rule, 'limited', outcome.reason);
      const retryAfter = outcome.retryAfter === undefined ? {} : { retryAfter: outcome.retryAfter };
      throw new RefusedError(outcome.reason, { rule: outcome.rule, ...retryAfter });
    }
    admission = outcome;
    // Gone while the shared count was asked: its end has been recorded, and nothing is opened any more.
    if (session.ended) return void admission.settle(0);
    if (outcome.alone) session.failOpen('limits');
    if (access.observedRules !== undefined) {
      // What policies in Observe mode would have limited, counted apart from what is enforced.
      const seen = await options.observedLimiter.admit({ rules: access.observedRules }, caller, demand);
      if (seen.kind === 'refused') session.act(seen.rule, 'limited', seen.reason, true);
      else observed = seen;
      if (session.ended) return void observed?.settle(0);
    }
    if (outcome.rule !== undefined) session.act(outcome.rule.id, 'allowed');
    // Policy may have been swapped while the caller was proven, and while the shared count was asked.
    const decided: Decided = {
      runtime,
      facts,
      plan,
      mustBeRead(next) {
        const then = accessOf(next.snapshot, facts);
        return framesMustBeRead(next, then.kind === 'allow' && then.credential, caller);
      },
    };
    const ended = endedMeanwhile(decided, options.runtime.current);
    if (ended !== undefined) throw new RefusedError(ended);
    const owner = ownerOf(caller);
    places.take(owner);
    upgrade.onClose(() => places.give(owner));
    session.act('sidegate/uninspected', 'flagged');
    session.begin(runtime.queryForRecord(query));
    const { headers, sent } = modelHeaders(runtime, access, {
      incoming: upgrade.headers,
      passed: headersToModel(runtime, upgrade.headers),
      hosted: target.hosted,
      session,
      caller,
    });
    refuseUnsigned(sent);
    offerProtocols(headers, protocolsOnward(upgrade, path, { runtime, hosted: target.hosted, sent }));
    entry = { ...decided, place: -1, end: (code) => end(new RefusedError(code)) };
    live.add(entry);
    session.toUpstreamAt = clock.monotonic();
    const way = {
      path: targetWithCredential(sent, path + (query === '' ? '' : `?${query}`)),
      headers,
      idleMs: runtime.snapshot.requestLimits.upstreamIdleMs,
    };
    target.passthrough.ws(upgrade, way, {
      begun(_status, joined) {
        traffic = joined;
        session.firstByteAt = clock.monotonic();
      },
      failed(error) {
        if (traffic !== undefined) return end(error);
        noteModelFault(session.id, error);
        refuse(error);
      },
    });
  } catch (error) {
    refuse(error);
  }
}

/** Of an unread one: those that the caller offers, without what may be a credential. */
function protocolsOnward(
  { headers }: UpgradeRequest,
  path: string,
  to: { readonly runtime: Runtime; readonly hosted: boolean; readonly sent: SentCredential | undefined },
): readonly string[] {
  const said = headers[protocolHeader];
  if (said === undefined) return [];
  const offered = said.split(',').map((name) => name.trim());
  // Where whoever is not sent the model's credential keeps their own, they keep it here too.
  const keepsOwn = !to.runtime.snapshot.enforcing && !to.hosted && to.sent === undefined;
  return keepsOwn ? offered : (recogniseSocket(path).socket?.protocols(offered) ?? []);
}

/** A dialect knows its messages, or a policy describes them. */
function isRead(upgrade: UpgradeRequest, { runtime }: PipelineOptions): boolean {
  try {
    const { operation, described } = recogniseSocket(normaliseTarget(upgrade.target).path, runtime.current?.routes);
    return operation === 'Chat' || described !== undefined;
  } catch {
    return false; // refused where its path is asked for
  }
}
