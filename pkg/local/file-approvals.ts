import { createHmac, randomBytes } from 'node:crypto';
import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import {
  approverIsCaller,
  canonical,
  decisionOf,
  phaseAt,
  recordedDecision,
  sha256,
  tokenVote,
  voteFault,
} from '../core/index.ts';
import type {
  ApprovalAsk,
  ApprovalGate,
  ApprovalPhase,
  ApprovalProblem,
  ApprovalSpec,
  ApprovalState,
  ApprovalTicket,
  Asker,
  Choice,
  DecisionFault,
  Identity,
  IdentityVerifier,
  IdentityVerifierFactory,
  PolicySource,
  TokenVote,
} from '../core/index.ts';
import { specOf } from './approval-file.ts';
import type { ApprovalFile, ApprovalFiles } from './approval-file.ts';

/**
 * Approvals of a sidecar that runs on its own. They are kept in memory; files show them to people. Whoever decides proves who they are by a
 * token of one of the policies' providers, as at the controller's decision endpoint.
 *
 * Promise: an approval lets one session through, once, and only what it was asked for. Never the requester, never one person twice,
 * nothing after its end. What cannot be told is no approval. With the process all of it is over.
 */
export interface FileApprovals {
  readonly gate: ApprovalGate;
  /** What is to be decided, for who is named as approver; who is not learns nothing. */
  view(name: string, token: string): Promise<DecisionOutcome>;
  /** @param from where the decision came from, for the record */
  decide(name: string, token: string, choice: Choice, from: string): Promise<DecisionOutcome>;
  /** Cancels what waits. */
  close(): void;
}

export type DecisionOutcome =
  | { readonly kind: 'fault'; readonly fault: DecisionFault }
  | { readonly kind: 'done'; readonly body: Readonly<Record<string, unknown>> };

export interface FileApprovalsOptions {
  readonly files: ApprovalFiles;
  readonly policy: Pick<PolicySource, 'current'>;
  readonly verifiers: IdentityVerifierFactory;
  readonly clock: Clock;
  readonly logger: Logger;
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

interface Case {
  readonly name: string;
  readonly binding: string;
  readonly file: Pick<ApprovalFile, 'namespace' | 'createdAt' | 'spec'>;
  readonly approvers: ApprovalSpec['approvers'];
  readonly asker: Asker;
  readonly required: number;
  readonly expiresAt: number;
  phase: ApprovalPhase;
  votes: readonly TokenVote[];
  usedBy: string | undefined;
  readonly listeners: Set<(state: ApprovalState) => void>;
  /** Sessions that wait: watching alone keeps nothing open. */
  waiting: number;
  /** Its caller comes back for it. */
  kept: boolean;
  lonely: Timer | undefined;
}

const isOpen = ({ phase }: Case): boolean => phase === 'Pending' || phase === 'Approved';

export function createFileApprovals(options: FileApprovalsOptions): FileApprovals {
  const { files, policy, clock, logger } = options;
  const limits: FileApprovalLimits = { ...defaultLimits, ...options.limits };
  /** In the order in which they were opened. */
  const cases = new Map<string, Case>();
  const newest = new Map<string, Case>();
  /** So that who reads a file cannot try what the masked text was. */
  const digestKey = randomBytes(32);
  let verifier: { readonly key: string; readonly verifier: IdentityVerifier } | undefined;
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
  const changed = (one: Case): void => {
    logger.info('approval', { approval: one.name, phase: one.phase, votes: one.votes.length });
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
    const binding = sha256(canonical(bound));
    const known = newest.get(binding);
    const now = clock.now();
    if (known !== undefined) settle(known);
    if (known !== undefined && now < known.expiresAt && (isOpen(known) || known.phase === 'Denied')) return known;
    if (tooMany(ask.requester)) return 'too_many';
    const number = known === undefined ? 1 : Number(known.name.slice(known.name.lastIndexOf('-') + 1)) + 1;
    const digest = `hmac-sha256:${createHmac('sha256', digestKey).update(ask.digest).digest('hex')}`;
    const made: Case = {
      name: `${binding.slice(0, 16)}-${number}`,
      binding,
      file: {
        namespace: snapshot.sources.find(({ namespace }) => namespace !== undefined)?.namespace ?? 'default',
        createdAt: new Date(now).toISOString(),
        spec: specOf(ask, snapshot, { ...approvals, approvers }, digest),
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
    watch(name, { issuer, subject }, listener) {
      const one = cases.get(name);
      if (one === undefined || one.asker.issuer !== issuer || one.asker.subject !== subject) {
        listener({ kind: 'problem', problem: 'unavailable' });
        return { leave: () => undefined };
      }
      settle(one);
      one.listeners.add(listener);
      tell(one, listener);
      return { leave: () => void one.listeners.delete(listener) };
    },
  };

  const prove = async (token: string): Promise<Identity | DecisionFault> => {
    const providers = policy.current()?.providers ?? [];
    const key = canonical(providers);
    if (verifier?.key !== key) {
      verifier?.verifier.close();
      verifier = { key, verifier: options.verifiers(providers) };
    }
    const result = await verifier.verifier.verify({ token, certificate: undefined });
    if (result.kind === 'proven') return result.identity;
    return result.kind === 'refused' && result.reason === 'identity_unavailable'
      ? 'identity_unavailable'
      : 'unauthenticated';
  };
  const find = async (
    name: string,
    token: string,
  ): Promise<{ readonly one: Case; readonly who: Identity } | { readonly fault: DecisionFault }> => {
    const who = await prove(token);
    if (typeof who === 'string') return { fault: who };
    const one = cases.get(name);
    if (one?.approvers.some((entry) => approverIsCaller(entry, entry.provider, who)) !== true)
      return { fault: 'not_allowed' };
    settle(one);
    return { one, who };
  };
  const viewOf = ({ name, file, phase, votes, required, expiresAt }: Case): DecisionOutcome => {
    const { rules, direction, requester, operation, model, digest, excerpt } = file.spec;
    const about = { rules, direction, requester, operation, model, digest, excerpt };
    const end = new Date(expiresAt).toISOString();
    const { namespace } = file;
    return {
      kind: 'done',
      body: { name, namespace, phase, required, expiresAt: end, decisions: votes.map(decisionOf), ...about },
    };
  };

  return {
    gate,
    async view(name, token) {
      const found = await find(name, token);
      return 'fault' in found ? { kind: 'fault', fault: found.fault } : viewOf(found.one);
    },
    async decide(name, token, choice, from) {
      const found = await find(name, token);
      if ('fault' in found) return { kind: 'fault', fault: found.fault };
      const { one, who } = found;
      const fault = closed ? 'decided' : voteFault(who, one, clock.now());
      if (fault !== undefined) return { kind: 'fault', fault };
      one.votes = [...one.votes, tokenVote(who, { token, from, now: clock.now() }, choice)];
      const phase = phaseAt(one, clock.now());
      if (phase === one.phase) changed(one);
      else move(one, phase);
      return viewOf(one);
    },
    close() {
      closed = true;
      timer.cancel();
      for (const one of cases.values()) if (isOpen(one)) move(one, 'Cancelled');
      verifier?.verifier.close();
    },
  };
}
