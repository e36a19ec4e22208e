import { JsonError, parseJson, randomId } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import type { ApprovalAsk, ApprovalGate, ApprovalProblem, ApprovalState } from '../core/index.ts';
import { WireError, encodeFrame, maxUpBytes, readUpMessage } from '../wire/index.ts';
import type {
  ApprovalAskMessage,
  ApprovalRequester,
  ApprovalStateMessage,
  ApprovalWatchMessage,
  UpMessage,
} from '../wire/index.ts';

/**
 * Approvals by the controller's stream. What is asked is asked again on each new connection, under the same id, and joins what is
 * open; while there is none, it waits. A claim is repeated too: the controller takes one session's claim once.
 *
 * Guarantee: a claim is true only on the controller's word that this session has spent the approval.
 */
export interface RemoteApprovals {
  readonly gate: ApprovalGate;
  /** A stream stands, and its controller has said what is in force. */
  connected(send: (message: UpMessage) => void): void;
  disconnected(): void;
  take(message: ApprovalStateMessage): void;
  /** Nothing will be asked any more: all who wait are told. */
  close(): void;
}

interface Entry {
  readonly message: ApprovalAskMessage | ApprovalWatchMessage;
  readonly listener: (state: ApprovalState) => void;
  /** Told a final state or a problem. */
  over: boolean;
  /** When it expires, monotonic; undefined: not known yet. */
  until: number | undefined;
  claim: Claim | undefined;
}

interface Claim {
  readonly answer: Promise<boolean>;
  readonly settle: (ours: boolean) => void;
  readonly deadline: Timer | undefined;
}

const isFinal = (phase: string): boolean => phase !== 'Pending' && phase !== 'Approved';

/** What the controller would not take would cost the whole stream: it is not sent. */
function isSendable(message: UpMessage): boolean {
  try {
    const frame = encodeFrame(message);
    if (frame.length > maxUpBytes) return false;
    return readUpMessage(parseJson(JSON.stringify(message))) !== undefined;
  } catch (error) {
    // Half of a surrogate pair in a name, for one: no text to the controller.
    if (error instanceof WireError || error instanceof JsonError) return false;
    throw error;
  }
}

const requesterOf = ({
  provider,
  issuer,
  subject,
  kubernetesUser,
  naming,
  sub,
}: ApprovalAsk['requester']): ApprovalRequester => ({
  provider,
  issuer,
  subject,
  kubernetesUser: kubernetesUser ?? null,
  ...(naming !== undefined && { naming }),
  ...(sub !== undefined && { sub }),
});

export function createRemoteApprovals(options: { readonly clock: Clock; readonly logger: Logger }): RemoteApprovals {
  const { clock, logger } = options;
  const entries = new Map<string, Entry>();
  let send: ((message: UpMessage) => void) | undefined;
  let closed = false;

  const settle = (entry: Entry, ours: boolean): void => {
    const { claim } = entry;
    if (claim === undefined) return;
    claim.deadline?.cancel();
    claim.settle(ours);
  };
  const fail = (entry: Entry, problem: ApprovalProblem): void => {
    settle(entry, false);
    if (entry.over) return;
    entry.over = true;
    entry.listener({ kind: 'problem', problem });
  };
  const say = (entry: Entry): void => {
    send?.(entry.message);
    if (entry.claim !== undefined) send?.({ type: 'approval-claim', id: entry.message.id });
  };
  const enter = (message: Entry['message'], listener: Entry['listener']): Entry => {
    const entry: Entry = { message, listener, over: false, until: undefined, claim: undefined };
    entries.set(message.id, entry);
    if (closed || !isSendable(message)) fail(entry, 'unavailable');
    else say(entry);
    return entry;
  };
  const leave = (entry: Entry, keep: boolean): void => {
    const { id } = entry.message;
    if (!entries.delete(id)) return;
    entry.over = true;
    settle(entry, false);
    send?.({ type: 'approval-leave', id, keep });
  };
  const claim = (entry: Entry): Promise<boolean> => {
    if (entry.claim !== undefined) return entry.claim.answer;
    if (closed || !entries.has(entry.message.id)) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const left = entry.until === undefined ? undefined : Math.max(0, entry.until - clock.monotonic());
    entry.claim = {
      answer: promise,
      settle: resolve,
      deadline: left === undefined ? undefined : clock.after(left, () => resolve(false)),
    };
    send?.({ type: 'approval-claim', id: entry.message.id });
    return promise;
  };

  return {
    gate: {
      ask(ask, listener) {
        const entry = enter(
          {
            type: 'approval-ask',
            id: randomId(),
            direction: ask.direction,
            rules: ask.rules,
            requester: requesterOf(ask.requester),
            operation: ask.operation,
            model: ask.model ?? null,
            digest: ask.digest,
            snapshot: ask.snapshot,
            session: ask.session,
            excerpt: ask.excerpt,
          },
          listener,
        );
        return { claim: () => claim(entry), leave: (keep = false) => leave(entry, keep) };
      },
      watch(name, requester, listener) {
        const entry = enter(
          { type: 'approval-watch', id: randomId(), name, requester: requesterOf(requester) },
          listener,
        );
        return { leave: (keep = false) => leave(entry, keep) };
      },
    },
    connected(by) {
      if (send === by) return;
      send = by;
      for (const entry of entries.values()) if (!entry.over || entry.claim !== undefined) say(entry);
    },
    disconnected() {
      send = undefined;
    },
    take({ id, state, problem }) {
      const entry = entries.get(id);
      // It has left meanwhile.
      if (entry === undefined) return;
      if (state === null) {
        logger.info('nobody can be asked', { problem: problem ?? '' });
        return fail(entry, problem ?? 'unavailable');
      }
      const { name, phase, yours, leftMs, decisions } = state;
      entry.until = clock.monotonic() + leftMs;
      if (isFinal(phase)) settle(entry, phase === 'Used' && yours && entry.message.type === 'approval-ask');
      if (entry.over) return;
      entry.over = isFinal(phase);
      entry.listener({ kind: 'known', name, phase, leftMs, decisions });
    },
    close() {
      closed = true;
      for (const entry of [...entries.values()]) fail(entry, 'unavailable');
      send = undefined;
    },
  };
}
