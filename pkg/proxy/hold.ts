import type { Clock, Timer } from '../base/index.ts';
import type {
  ApprovalAsk,
  ApprovalGate,
  ApprovalProblem,
  ApprovalState,
  ApprovalTicket,
  ReasonCode,
} from '../core/index.ts';
import { RefusedError } from '../core/index.ts';
import type { LiveRequest, LiveRequests } from './live.ts';
import type { Session } from './session.ts';

/**
 * Waits for people. Promise: it goes on only with an approval that was spent for exactly this session; every other way out (denied,
 * expired, nobody to ask, a policy that changed, a caller that went away, too many that wait) is a refusal.
 */

/** How many wait at once. A held request keeps its body, its place among concurrent requests and, on HTTP/1.1, its connection. */
export interface HoldLimits {
  /** In this pod; default 1,000. */
  readonly perPod: number;
  /** Of one caller; default 20. */
  readonly perCaller: number;
  /** Bytes of bodies and answers together; default 32 MiB, half of what all bodies may take, so that those who wait starve nobody. */
  readonly bytes: number;
  /**
   * The same of one caller; default 8 MiB, so that none keeps all others out for as long as an approval lasts. Who holds nothing yet may have
   * one that is longer, of up to half of all.
   */
  readonly bytesPerCaller: number;
  /**
   * Of all bytes so many are kept for callers who hold nothing yet, for one request of each that is not long; default 8 MiB, so that few callers
   * with long ones keep nobody else out.
   */
  readonly keptBytes: number;
}

export const holdLimits: HoldLimits = {
  perPod: 1_000,
  perCaller: 20,
  bytes: 32 * 1024 * 1024,
  bytesPerCaller: 8 * 1024 * 1024,
  keptBytes: 8 * 1024 * 1024,
};

/** Of a request that may take of what is kept: a body of 256 KiB, which counts twice. */
const shortBytes = 512 * 1024;

/** Counts those that wait. */
export class HoldBook {
  readonly #limits: HoldLimits;
  readonly #callers = new Map<string, { count: number; bytes: number }>();
  #count = 0;
  #bytes = 0;

  constructor(limits: HoldLimits = holdLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Returns how to give the place back, once; undefined: there is none. */
  enter(caller: string, bytes: number): (() => void) | undefined {
    const mine = this.#callers.get(caller) ?? { count: 0, bytes: 0 };
    const { perPod, perCaller, bytes: all, bytesPerCaller, keptBytes } = this.#limits;
    const own = mine.count === 0 ? Math.max(bytesPerCaller, all / 2) : bytesPerCaller;
    if (this.#count >= perPod || mine.count >= perCaller) return undefined;
    const most = mine.count === 0 && bytes <= shortBytes ? all : all - keptBytes;
    if (this.#bytes + bytes > most || mine.bytes + bytes > own) return undefined;
    this.#callers.set(caller, mine);
    const add = (count: number, size: number): void => {
      this.#count += count;
      this.#bytes += size;
      mine.count += count;
      mine.bytes += size;
      if (mine.count === 0) this.#callers.delete(caller);
    };
    add(1, bytes);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      add(-1, -bytes);
    };
  }
}

export interface HoldOptions {
  readonly gate: ApprovalGate;
  readonly book: HoldBook;
  readonly live: LiveRequests;
  readonly clock: Clock;
  readonly session: Session;
  readonly ask: Omit<ApprovalAsk, 'snapshot'>;
  /** Of the policy in force, whenever it is asked: keys may have come since. */
  readonly snapshot: () => string;
  /** What is kept in memory meanwhile. */
  readonly bytes: number;
  /** Longest wait, of the policies that ask. */
  readonly timeoutMs: number;
  /** What it was asked under: when anything of it changes, the wait ends. */
  readonly facts: Pick<LiveRequest, 'runtime' | 'facts' | 'plan'>;
  /** Called when there is an approval that waits, with its name; true: the caller comes back for it, so the wait ends here. */
  readonly onPending?: (name: string, leftMs: number) => boolean;
  /** Called before an approval is spent. What it throws ends the wait, and the approval stays for who comes back for it. */
  readonly beforeClaim?: () => void;
}

export interface Hold {
  /** Settles once: the approval was spent for this session. @throws RefusedError */
  readonly approved: Promise<void>;
  /** The caller is gone. */
  abandon(): void;
  /** It may wait no longer. */
  end(code: ReasonCode): void;
}

const problems: Readonly<Record<ApprovalProblem, ReasonCode>> = {
  no_approvers: 'approval_unavailable',
  unavailable: 'approval_unavailable',
  too_many: 'approvals_limited',
  policy_changed: 'policy_changed',
};

/** Somebody else's wait ended and took the approval with it: asked again, a few times. */
const mostAsks = 3;

export function hold(options: HoldOptions): Hold {
  const { promise: approved, resolve, reject } = Promise.withResolvers<void>();
  const waiting = new Waiting(options, resolve, reject);
  waiting.begin();
  return { approved, abandon: () => waiting.abandon(), end: (code) => waiting.end(code) };
}

class Waiting implements LiveRequest {
  readonly runtime: LiveRequest['runtime'];
  readonly facts: LiveRequest['facts'];
  readonly plan: LiveRequest['plan'];
  place = -1;
  readonly bound = true;
  readonly #options: HoldOptions;
  readonly #resolve: () => void;
  readonly #reject: (error: RefusedError) => void;
  #leaveBook: (() => void) | undefined;
  #ticket: ApprovalTicket | undefined;
  #deadline: Timer | undefined;
  #asks = 0;
  /** Of the ask that counts: what an earlier one is told is nothing to us. */
  #current = 0;
  #told = '';
  #last: Extract<ApprovalState, { kind: 'known' }> | undefined;
  #claiming = false;
  #over = false;

  constructor(options: HoldOptions, resolve: () => void, reject: (error: RefusedError) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    ({ runtime: this.runtime, facts: this.facts, plan: this.plan } = options.facts);
  }

  begin(): void {
    const { book, ask, bytes, live, clock, timeoutMs } = this.#options;
    const { issuer, subject } = ask.requester;
    this.#leaveBook = book.enter(JSON.stringify([issuer, subject]), bytes);
    if (this.#leaveBook === undefined) return this.#refuse('approvals_limited', { retryAfter: 5 });
    live.add(this);
    this.#deadline = clock.after(timeoutMs, () => this.#refuse('approval_expired'));
    this.#ask();
  }

  /** By policy, or because the sidecar stops. */
  end(code: ReasonCode): void {
    this.#refuse(code);
  }

  abandon(): void {
    this.#refuse('malformed_http');
  }

  #ask(): void {
    const { gate, ask, snapshot } = this.#options;
    const current = ++this.#current;
    this.#asks++;
    this.#ticket?.leave();
    this.#ticket = undefined;
    const ticket = gate.ask({ ...ask, snapshot: snapshot() }, (state) => {
      if (current === this.#current && !this.#over) this.#hear(state);
    });
    if (this.#over || current !== this.#current) ticket.leave();
    else this.#ticket = ticket;
    if (this.#claiming) this.#claim(); // it was approved before `ask` returned
  }

  #hear(state: ApprovalState): void {
    if (state.kind === 'problem') return this.#refuse(problems[state.problem]);
    this.#write(state);
    switch (state.phase) {
      case 'Pending':
        if (this.#options.onPending?.(state.name, state.leftMs) === true) this.#refuse('approval_pending', {}, true);
        break;
      case 'Approved':
        if (this.#claiming) break;
        this.#claiming = true;
        if (this.#ticket !== undefined) this.#claim();
        break;
      case 'Denied':
        this.#refuse('approval_denied');
        break;
      case 'Expired':
        this.#refuse('approval_expired');
        break;
      case 'Used':
        // Our own claim is answered by its promise.
        if (!this.#claiming) this.#refuse('approval_used');
        break;
      case 'Cancelled':
        if (this.#claiming) break; // what was claimed is answered by its promise; a new ask would be claimed undecided
        if (this.#asks < mostAsks) this.#ask();
        else this.#refuse('approval_unavailable');
        break;
      default:
        this.#refuse('internal_error');
    }
  }

  #claim(): void {
    const ticket = this.#ticket;
    if (ticket === undefined) return;
    try {
      this.#options.beforeClaim?.();
    } catch (error) {
      return this.#fail(
        error instanceof RefusedError ? error : new RefusedError('internal_error', { cause: error }),
        true,
      );
    }
    ticket.claim().then(
      (ours) => {
        if (this.#over) return;
        if (!ours) return this.#refuse('approval_used');
        if (this.#last !== undefined) this.#write({ ...this.#last, phase: 'Used' });
        if (this.#isOver()) return; // it could not be recorded
        for (const rule of this.#options.ask.rules) this.#options.session.act(rule, 'approved');
        this.#close(false);
        this.#resolve();
      },
      () => this.#refuse('approval_unavailable'),
    );
  }

  /** Each change is in the record before anything follows from it. */
  #write(state: Extract<ApprovalState, { kind: 'known' }>): void {
    const said = `${state.name} ${state.phase} ${state.decisions.length}`;
    if (said === this.#told) return;
    this.#told = said;
    this.#last = state;
    const { session, ask } = this.#options;
    try {
      session.approval({
        name: state.name,
        direction: ask.direction === 'Request' ? 'request' : 'response',
        rules: ask.rules,
        phase: state.phase,
        decisions: state.decisions,
      });
    } catch (error) {
      this.#fail(error instanceof RefusedError ? error : new RefusedError('internal_error', { cause: error }));
    }
  }

  #isOver(): boolean {
    return this.#over;
  }

  #refuse(code: ReasonCode, more: { readonly retryAfter?: number } = {}, keep = false): void {
    const rule = this.#options.ask.rules[0];
    this.#fail(new RefusedError(code, { ...(rule !== undefined && { rule }), ...more }), keep);
  }

  #fail(error: RefusedError, keep = false): void {
    if (this.#over) return;
    this.#close(keep);
    this.#reject(error);
  }

  #close(keep: boolean): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#options.live.remove(this);
    this.#leaveBook?.();
    this.#ticket?.leave(keep);
  }
}
