import type {
  ApprovalAsk,
  ApprovalDecision,
  ApprovalGate,
  ApprovalPhase,
  ApprovalState,
} from '../../pkg/core/index.ts';

interface Case {
  readonly name: string;
  readonly ask: ApprovalAsk;
  /** All that it is bound to. */
  readonly bound: string;
  phase: ApprovalPhase;
  usedBy: string | undefined;
  readonly decisions: ApprovalDecision[];
  readonly listeners: Set<(state: ApprovalState) => void>;
  waiters: number;
  /** Somebody left it to come back for it. */
  kept: boolean;
}

/** Keeps approvals as the controller does, in memory, and lets a test be the people who decide. */
export interface ApprovalDesk {
  readonly gate: ApprovalGate;
  readonly cases: readonly Case[];
  /** What each asked, in order, also those that joined. */
  readonly asks: readonly ApprovalAsk[];
  decide(decision: 'Approve' | 'Deny' | 'Expire' | 'Cancel', at?: number): void;
}

const finished: ReadonlySet<ApprovalPhase> = new Set(['Denied', 'Expired', 'Used', 'Cancelled']);

export function createApprovalDesk(): ApprovalDesk {
  const cases: Case[] = [];
  const asks: ApprovalAsk[] = [];
  const stateOf = (one: Case): ApprovalState => ({
    kind: 'known',
    name: one.name,
    phase: one.phase,
    leftMs: 60_000,
    decisions: one.decisions,
  });
  const tell = (one: Case): void => {
    for (const listener of [...one.listeners]) listener(stateOf(one));
  };
  const bound = ({ session: _session, excerpt: _excerpt, requester, ...rest }: ApprovalAsk): string =>
    JSON.stringify([rest, requester.issuer, requester.subject]);
  const gate: ApprovalGate = {
    ask(ask, listener) {
      asks.push(ask);
      const key = bound(ask);
      let found = cases.find((one) => !finished.has(one.phase) && one.bound === key);
      if (found === undefined) {
        found = {
          name: `approval-${cases.length + 1}`,
          ask,
          bound: key,
          phase: 'Pending',
          usedBy: undefined,
          decisions: [],
          listeners: new Set(),
          waiters: 0,
          kept: false,
        };
        cases.push(found);
      }
      const one = found;
      one.listeners.add(listener);
      one.waiters++;
      queueMicrotask(() => listener(stateOf(one)));
      let left = false;
      return {
        async claim() {
          await Promise.resolve();
          if (one.phase === 'Used') return one.usedBy === ask.session;
          if (one.phase !== 'Approved') return false;
          one.phase = 'Used';
          one.usedBy = ask.session;
          tell(one);
          return true;
        },
        leave(keep = false) {
          if (left) return;
          left = true;
          one.listeners.delete(listener);
          one.waiters--;
          one.kept ||= keep;
        },
      };
    },
    watch(name, requester, listener) {
      const one = cases.find((each) => each.name === name && each.ask.requester.subject === requester.subject);
      queueMicrotask(() => listener(one === undefined ? { kind: 'problem', problem: 'unavailable' } : stateOf(one)));
      return { leave: () => undefined };
    },
  };
  return {
    gate,
    cases,
    asks,
    decide(decision, at = cases.length - 1) {
      const one = cases[at];
      if (one === undefined) throw new Error(`there is no approval ${at}`);
      const by = { at: '2026-01-01T00:00:00Z', by: 'user:lead', breakGlass: false };
      if (decision === 'Approve' || decision === 'Deny') one.decisions.push({ ...by, decision });
      one.phase = ({ Approve: 'Approved', Deny: 'Denied', Expire: 'Expired', Cancel: 'Cancelled' } as const)[decision];
      tell(one);
    },
  };
}
