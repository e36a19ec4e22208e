import { createHmac, randomBytes } from 'node:crypto';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { canonical, phaseAt, recordedDecision } from '../core/index.ts';
import type {
  ApprovalAsk,
  ApprovalGate,
  ApprovalPhase,
  ApprovalProblem,
  ApprovalState,
  ApprovalTicket,
  AuditSink,
  Identity,
  IdentityVerifierFactory,
  PolicySource,
} from '../core/index.ts';
import { changeOf, isOpen } from './approval-case.ts';
import type { Case } from './approval-case.ts';
import { specOf } from './approval-file.ts';
import type { ApprovalFiles } from './approval-file.ts';
import { createFileDecider } from './file-decider.ts';
import type { BreakGlass, FileDecider } from './file-decider.ts';

/**
 * Approvals of a sidecar that runs on its own. They are kept in memory; files show them to people. Whoever decides proves who they are by a
 * token of one of the policies' providers, as at the controller's decision endpoint.
 *
 * Promise: an approval lets one session through, once, and only what it was asked for. Never the requester, never one person twice,
 * nothing after its end. What cannot be told is no approval. With the process all of it is over.
 */
export interface FileApprovals extends Pick<FileDecider, 'view' | 'decide'> {
  readonly gate: ApprovalGate;
  /** Cancels what waits. */
  close(): void;
}

export interface FileApprovalsOptions {
  readonly files: ApprovalFiles;
  readonly policy: Pick<PolicySource, 'current'>;
  readonly verifiers: IdentityVerifierFactory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where changes go on record that no session is there to record. */
  readonly audit: Pick<AuditSink, 'append'>;
  /** Of each line for it: whether the record took it. */
  readonly onRecorded?: (taken: boolean) => void;
  /** Who may approve alone; undefined: nobody. */
  readonly breakGlass?: BreakGlass | undefined;
  /** One of them did; for a metric. */
  readonly onBreakGlass?: () => void;
  /** Whose token was taken back: they decide nothing. Default: nobody's. */
  readonly revokes?: (who: Identity) => boolean;
  readonly limits?: Partial<FileApprovalLimits>;
}

export interface FileApprovalLimits {
  /** Undecided ones of one caller. */
  readonly perRequester: number;
  /** Undecided ones, and as many finished ones, but for denials that stand. */
  readonly all: number;
  /** One that nobody waits for is cancelled after so long; milliseconds. */
  readonly lonelyMs: number;
  /** Finished ones are shown so long after their end; milliseconds. */
  readonly keepMs: number;
}

const defaultLimits: FileApprovalLimits = { perRequester: 100, all: 2_000, lonelyMs: 30_000, keepMs: 86_400_000 };
/** How often ends are compared with the wall clock. */
const checkMs = 250;

export function createFileApprovals(options: FileApprovalsOptions): FileApprovals {
  const { files, policy, clock, logger } = options;
  const limits: FileApprovalLimits = { ...defaultLimits, ...options.limits };
  /** In the order in which they were opened. */
  const cases = new Map<string, Case>();
  const newest = new Map<string, Case>();
  /** So that who reads a file cannot try what the masked text was. */
  const digestKey = randomBytes(32);
  const keyed = (text: string): string => createHmac('sha256', digestKey).update(text).digest('hex');
  let closed = false;

  const show = (one: Case): void =>
    files.write({
      ...one.file,
      name: one.name,
      expiresAt: one.expiresAt,
      phase: one.phase,
      votes: one.votes,
      usedBy: one.usedBy,
    });
  const tell = (one: Case, listener: (state: ApprovalState) => void): void =>
    listener({
      kind: 'known',
      name: one.name,
      phase: one.phase,
      leftMs: Math.max(0, one.expiresAt - clock.now()),
      decisions: one.votes.map(recordedDecision),
    });
  /** What a session waits for is in its own lines: it is told, and records it before anything follows. */
  const record = (one: Case): void => {
    if (one.waiting > 0) return;
    try {
      options.audit.append([changeOf(one)]);
      options.onRecorded?.(true);
    } catch (error) {
      options.onRecorded?.(false);
      logger.error('what became of an approval could not be recorded', {
        approval: one.name,
        phase: one.phase,
        error: describeError(error),
      });
    }
  };
  const changed = (one: Case): void => {
    logger.info('approval', { approval: one.name, phase: one.phase, votes: one.votes.length });
    record(one);
    if (!isOpen(one)) one.lonely?.cancel();
    try {
      show(one);
    } catch (error) {
      logger.error('an approval is not shown as it is', { approval: one.name, error: describeError(error) });
    }
    for (const listener of [...one.listeners]) tell(one, listener);
  };
  const move = (one: Case, phase: ApprovalPhase): void => {
    if (phase === one.phase) return;
    one.phase = phase;
    changed(one);
  };
  /** What votes and time come to. */
  const settle = (one: Case): void => move(one, phaseAt(one, clock.now()));
  const forget = (one: Case): void => {
    cases.delete(one.name);
    if (newest.get(one.binding) === one) newest.delete(one.binding);
    files.remove(one.name);
  };
  const timer = clock.every(checkMs, () => {
    const now = clock.now();
    let finished = 0;
    for (const one of cases.values()) {
      if (isOpen(one)) settle(one);
      if (!isOpen(one)) finished++;
    }
    for (const one of cases.values()) {
      // Without a denial that stands the same could be asked again.
      if (isOpen(one) || (one.phase === 'Denied' && now < one.expiresAt)) continue;
      if (finished <= limits.all && now < one.expiresAt + limits.keepMs) continue;
      finished--;
      forget(one);
    }
  });

  const tooMany = ({ issuer, subject }: ApprovalAsk['requester']): boolean => {
    const pending = [...cases.values()].filter(({ phase }) => phase === 'Pending');
    const own = pending.filter(({ asker }) => asker.issuer === issuer && asker.subject === subject);
    return pending.length >= limits.all || own.length >= limits.perRequester;
  };
  /** Joins the one that is open for the same, or opens one. A denial stands until its time is over. */
  const open = (ask: ApprovalAsk): Case | ApprovalProblem => {
    const snapshot = policy.current();
    if (closed || snapshot === undefined) return 'unavailable';
    if (snapshot.hash !== ask.snapshot) return 'policy_changed';
    const { approvals } = snapshot;
    const approvers = (approvals?.approvers ?? []).filter(
      ({ kubernetesGroup, kubernetesUser }) => kubernetesGroup === undefined && kubernetesUser === undefined,
    );
    if (approvals?.timeoutMs === undefined || approvers.length === 0) return 'no_approvers';
    const { session: _session, excerpt: _excerpt, ...bound } = ask;
    const { provider, issuer, subject, kubernetesUser } = ask.requester;
    // Keyed, since names begin with it and all else that it is of can be read or guessed.
    const binding = keyed(canonical({ ...bound, requester: { provider, issuer, subject, kubernetesUser } }));
    const known = newest.get(binding);
    const now = clock.now();
    if (known !== undefined) settle(known);
    if (known !== undefined && now < known.expiresAt && (isOpen(known) || known.phase === 'Denied')) return known;
    if (tooMany(ask.requester)) return 'too_many';
    const number = known === undefined ? 1 : Number(known.name.slice(known.name.lastIndexOf('-') + 1)) + 1;
    const digest = `hmac-sha256:${keyed(ask.digest)}`;
    const spec = specOf(ask, snapshot, { ...approvals, approvers }, digest);
    const made: Case = {
      name: `${binding.slice(0, 16)}-${number}`,
      binding,
      file: {
        namespace: snapshot.sources.find(({ namespace }) => namespace !== undefined)?.namespace ?? 'default',
        createdAt: new Date(now).toISOString(),
        spec,
      },
      approvers,
      asker: ask.requester,
      required: approvals.required ?? 1,
      expiresAt: now + approvals.timeoutMs,
      phase: 'Pending',
      votes: [],
      usedBy: undefined,
      listeners: new Set(),
      waiting: 0,
      kept: false,
      lonely: undefined,
    };
    try {
      show(made);
    } catch (error) {
      logger.error('an approval cannot be shown, so nobody is asked', { error: describeError(error) });
      return 'unavailable';
    }
    cases.set(made.name, made);
    newest.set(binding, made);
    logger.info('approval', { approval: made.name, phase: 'Pending', votes: 0 });
    return made;
  };

  const claim = (one: Case, session: string): boolean => {
    settle(one);
    if (one.phase === 'Used') return one.usedBy === session;
    if (one.phase !== 'Approved' || closed) return false;
    one.usedBy = session;
    move(one, 'Used');
    return true;
  };
  const leave = (one: Case, keep: boolean): void => {
    one.waiting--;
    one.kept ||= keep;
    if (one.waiting > 0 || one.kept || !isOpen(one) || closed) return;
    one.lonely?.cancel();
    one.lonely = clock.after(limits.lonelyMs, () => {
      if (one.waiting === 0 && isOpen(one)) move(one, 'Cancelled');
    });
  };
  const gate: ApprovalGate = {
    ask(ask, listener): ApprovalTicket {
      const one = open(ask);
      if (typeof one === 'string') {
        listener({ kind: 'problem', problem: one });
        return { claim: () => Promise.resolve(false), leave: () => undefined };
      }
      one.waiting++;
      one.lonely?.cancel();
      one.listeners.add(listener);
      tell(one, listener);
      let left = false;
      return {
        claim: () => Promise.resolve(!left && claim(one, ask.session)),
        leave(keep = false) {
          if (left) return;
          left = true;
          one.listeners.delete(listener);
          leave(one, keep);
        },
      };
    },
    watch(name, { provider, issuer, subject }, listener) {
      const one = cases.get(name);
      const asker = one?.file.spec.requester;
      if (one === undefined || asker?.provider !== provider || asker.issuer !== issuer || asker.subject !== subject) {
        listener({ kind: 'problem', problem: 'unavailable' });
        return { leave: () => undefined };
      }
      settle(one);
      one.listeners.add(listener);
      tell(one, listener);
      return { leave: () => void one.listeners.delete(listener) };
    },
  };

  const deciding = createFileDecider({
    ...options,
    find: (name) => cases.get(name),
    settle,
    changed,
    closed: () => closed,
  });

  return {
    gate,
    view: deciding.view,
    decide: deciding.decide,
    close() {
      closed = true;
      timer.cancel();
      for (const one of cases.values()) if (isOpen(one)) move(one, 'Cancelled');
      deciding.close();
    },
  };
}
