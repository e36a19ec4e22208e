import type { Clock, Logger } from '../base/index.ts';
import { approverIsCaller, canonical, decisionOf, phaseAt, tokenVote, voteFault } from '../core/index.ts';
import type {
  Choice,
  DecisionFault,
  Identity,
  IdentityVerifier,
  IdentityVerifierFactory,
  PolicySource,
} from '../core/index.ts';
import type { Case } from './approval-case.ts';

/** Decides on approvals of a sidecar that runs on its own, in the name of somebody whom a token of one of the policies' providers proves. */
export interface FileDecider {
  /** What is to be decided, for who is named as approver, or may break the glass; who is not learns nothing. */
  view(name: string, token: string): Promise<DecisionOutcome>;
  /** @param from where the decision came from, for the record */
  decide(name: string, token: string, choice: Choice, from: string): Promise<DecisionOutcome>;
}

export type DecisionOutcome =
  | { readonly kind: 'fault'; readonly fault: DecisionFault }
  | { readonly kind: 'done'; readonly body: Readonly<Record<string, unknown>> };

/**
 * Who may approve alone, whatever the policies name and require: the word of the operator who starts the process. A group or a name counts
 * as this issuer's alone, so that no other provider of a policy makes somebody one of them.
 */
export interface BreakGlass {
  readonly issuer: string;
  /** Any of both. */
  readonly groups: readonly string[];
  readonly subjects: readonly string[];
}

const breaks = (glass: BreakGlass | undefined, { issuer, subject, groups }: Identity): boolean =>
  glass !== undefined &&
  issuer === glass.issuer &&
  (glass.subjects.includes(subject) || glass.groups.some((group) => groups.includes(group)));

export function createFileDecider(options: {
  readonly policy: Pick<PolicySource, 'current'>;
  readonly verifiers: IdentityVerifierFactory;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
  readonly breakGlass?: BreakGlass | undefined;
  /** Somebody approved alone. */
  readonly onBreakGlass?: (() => void) | undefined;
  /** Whose token was taken back. Default: nobody's. */
  readonly revokes?: ((who: Identity) => boolean) | undefined;
  readonly find: (name: string) => Case | undefined;
  /** Brings it to what votes and time come to. */
  readonly settle: (one: Case) => void;
  /** A vote has come in. */
  readonly changed: (one: Case) => void;
  /** The process ends. */
  readonly closed: () => boolean;
}): FileDecider & { close(): void } {
  const { policy, clock, logger, breakGlass } = options;
  let verifier: { readonly key: string; readonly verifier: IdentityVerifier } | undefined;

  const prove = async (token: string): Promise<Identity | DecisionFault> => {
    const providers = policy.current()?.providers ?? [];
    const key = canonical(providers);
    if (verifier?.key !== key) {
      verifier?.verifier.close();
      verifier = { key, verifier: options.verifiers(providers) };
    }
    const result = await verifier.verifier.verify({ token, certificate: undefined });
    if (result.kind === 'proven')
      return options.revokes?.(result.identity) === true ? 'unauthenticated' : result.identity;
    return result.kind === 'refused' && result.reason === 'identity_unavailable'
      ? 'identity_unavailable'
      : 'unauthenticated';
  };
  const isNamed = ({ approvers }: Case, who: Identity): boolean =>
    approvers.some((entry) => approverIsCaller(entry, entry.provider, who));
  const find = async (
    name: string,
    token: string,
    may: (one: Case, who: Identity) => boolean,
  ): Promise<{ readonly one: Case; readonly who: Identity } | { readonly fault: DecisionFault }> => {
    const who = await prove(token);
    if (typeof who === 'string') return { fault: who };
    const one = options.find(name);
    if (one === undefined || !may(one, who)) return { fault: 'not_allowed' };
    options.settle(one);
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
    async view(name, token) {
      const found = await find(name, token, (one, who) => isNamed(one, who) || breaks(breakGlass, who));
      return 'fault' in found ? { kind: 'fault', fault: found.fault } : viewOf(found.one);
    },
    async decide(name, token, choice, from) {
      const alone = choice.breakGlass === true;
      const found = await find(name, token, (one, who) => (alone ? breaks(breakGlass, who) : isNamed(one, who)));
      if ('fault' in found) return { kind: 'fault', fault: found.fault };
      const { one, who } = found;
      const fault = options.closed() ? 'decided' : voteFault(who, one, clock.now());
      if (fault !== undefined) return { kind: 'fault', fault };
      one.votes = [...one.votes, tokenVote(who, { token, from, now: clock.now() }, choice)];
      if (alone) {
        options.onBreakGlass?.();
        logger.warn('the glass was broken: somebody approved alone', { approval: one.name });
      }
      one.phase = phaseAt(one, clock.now());
      options.changed(one);
      return viewOf(one);
    },
    close: () => verifier?.verifier.close(),
  };
}
