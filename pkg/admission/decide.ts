/**
 * Approvals and grants: who makes them, who decides, who takes them back. What the definitions' own rules prove (nothing but appended,
 * one entry a person, phases in their order) stands there; here stands what needs the API server's word on who asks.
 */
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { canonical, workloadsOf } from '../core/index.ts';
import type { Vote } from '../core/index.ts';
import { grantName, longGrantField } from '../crd/index.ts';
import type { MayBecome } from '../kube/index.ts';
import type { MayApprove } from './decide-access.ts';
import { decidableOf, voteFault } from './decide-entry.ts';
import type { GrantRate } from './grant-rate.ts';
import type { NoteChanger } from './note-changer.ts';
import type { AdmissionMetrics } from './metrics.ts';
import { unexpected } from './mutate.ts';
import type { EventSink } from './ports.ts';
import { isFields, refusal } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

export interface DecideOptions {
  /** The controller's user: it alone opens approvals and writes phases. */
  readonly controller: string;
  /** Empty: there is none. */
  readonly breakGlassGroup: string;
  readonly mayApprove: MayApprove;
  readonly mayBecome: MayBecome;
  readonly noteChanger: NoteChanger;
  readonly grantRate: GrantRate;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly metrics: AdmissionMetrics;
  readonly logger: Logger;
}

const kinds: Readonly<Record<string, string>> = {
  inferenceapprovals: 'InferenceApproval',
  inferencegrants: 'InferenceGrant',
};
const allowed: Verdict = { allowed: true };

const specOf = (object: unknown): Readonly<Record<string, unknown>> =>
  isFields(object) && isFields(object['spec']) ? object['spec'] : {};

const metadataOf = (object: unknown): Readonly<Record<string, unknown>> =>
  isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};

const finalizersOf = (object: unknown): readonly unknown[] => {
  const { finalizers } = metadataOf(object);
  return Array.isArray(finalizers) ? finalizers : [];
};

export function createDecide(options: DecideOptions): (request: AdmissionRequest) => Promise<Verdict> {
  const { controller, breakGlassGroup, clock, metrics, logger } = options;

  const withApprove = async (request: AdmissionRequest, otherwise: string): Promise<Verdict> => {
    const { user, groups, resource, namespace, name } = request;
    try {
      if (await options.mayApprove({ user, groups, resource, namespace, name })) return allowed;
    } catch (error) {
      metrics.failed('lookup');
      logger.error('an access review failed', { resource, error: describeError(error) });
      return refusal('[lookup] whether you may approve could not be found out; fix: try again', { status: 503 });
    }
    return refusal(otherwise);
  };

  /** Why these service accounts may have asked for whoever decides; undefined: they cannot act as one of them. */
  const maybeOwn = async (request: AdmissionRequest, accounts: readonly string[]): Promise<Verdict | undefined> => {
    const { user, groups, resource } = request;
    try {
      if (accounts.length === 0 || !(await options.mayBecome({ username: user, groups }, accounts))) return undefined;
    } catch (error) {
      metrics.failed('lookup');
      logger.error('an access review failed', { resource, error: describeError(error) });
      return refusal('[lookup] whether you may act as the caller could not be found out; fix: try again', {
        status: 503,
      });
    }
    return refusal(
      `[cannot_exclude_self_approval] you may act as ${accounts.join(' or ')}, by its tokens, by impersonation or by pods, so that the request may be yours; fix: ask an approver who has no such right in its namespace`,
    );
  };

  /** The new entry of a status; undefined: not exactly one was appended. */
  const appended = (request: AdmissionRequest): Vote | 'none' | undefined => {
    const before = decidableOf(request.resource, request.oldObject);
    const after = decidableOf(request.resource, request.object);
    const kept = after.votes.slice(0, before.votes.length);
    if (canonical(kept) !== canonical(before.votes)) return undefined;
    const added = after.votes.slice(before.votes.length);
    return added.length === 0 ? 'none' : added.length === 1 ? added[0] : undefined;
  };

  const decideAsController = (request: AdmissionRequest): Verdict => {
    if (request.operation !== 'UPDATE') return allowed;
    const vote = appended(request);
    // What a person decides through Kubernetes is the API server's word on that person, and nobody else's.
    return vote !== undefined && vote !== 'none' && vote.user !== undefined
      ? refusal('[other_user] the controller decides in nobody’s name')
      : allowed;
  };

  const decideAsPerson = async (request: AdmissionRequest): Promise<Verdict> => {
    const { user, groups, resource, namespace, name, dryRun } = request;
    const before = decidableOf(resource, request.oldObject);
    const vote = appended(request);
    if (before.rest !== decidableOf(resource, request.object).rest || vote === undefined)
      return refusal(
        '[status] people append exactly one entry to status.decisions and change nothing else; fix: kubectl sidegate approvals approve or deny, which does that',
      );
    if (vote === 'none') return allowed;
    const fault = voteFault(before, vote, { user, groups, breakGlassGroup, now: clock.now() });
    if (fault !== undefined) return refusal(fault);
    // A denial gives nobody anything.
    const own = vote.decision === 'Approve' ? await maybeOwn(request, workloadsOf(before.asker)) : undefined;
    if (own !== undefined) return own;
    if (vote.breakGlass !== true)
      return withApprove(
        request,
        `[no_access] you have not the verb approve on ${resource} in ${namespace}; fix: have an administrator bind ClusterRole sidegate-approver to you`,
      );
    // Of a dry run nothing comes: whoever reads the log is told of what was done.
    if (!dryRun) {
      logger.warn('break-glass approval', { user: user.slice(0, 256), resource, namespace, name });
      metrics.breakGlass('approve');
      options.events(
        { apiVersion: 'sidegate.dev/v1alpha1', kind: kinds[resource] ?? '', name, namespace, uid: uidOf(request) },
        {
          reason: 'BreakGlassApproved',
          action: 'Decide',
          by: user,
          note: `${user.slice(0, 256)} approved alone as a member of group ${breakGlassGroup}`,
        },
      );
    }
    return { allowed: true, audit: { 'break-glass': `approve ${resource}/${name}` } };
  };

  /** That it cannot be noted keeps nobody from taking access back: the record then does not say who it was. */
  const noteWho = async (request: AdmissionRequest): Promise<void> => {
    const { user, namespace, name } = request;
    try {
      const { resourceVersion } = metadataOf(request.oldObject);
      const version = typeof resourceVersion === 'string' ? resourceVersion : '';
      await options.noteChanger({ namespace, uid: uidOf(request) ?? '', resourceVersion: version }, user);
    } catch (error) {
      metrics.eventDropped('failed');
      logger.warn('who takes a grant back could not be noted', { namespace, name, error: describeError(error) });
    }
  };

  /** Of a dry run people are told nothing. */
  const tooOften = ({ namespace, user, dryRun }: AdmissionRequest): Verdict | undefined => {
    const whose = dryRun ? undefined : options.grantRate.take({ namespace, user });
    if (whose === undefined) return undefined;
    const who = whose === 'user' ? 'you ask' : `people of ${namespace} ask`;
    return refusal(
      `[too_often] ${who} for access too often: people are told of each grant; fix: wait some minutes, or ask for one grant that covers more`,
      { status: 429 },
    );
  };

  const onGrant = async (request: AdmissionRequest): Promise<Verdict> => {
    const { operation, user } = request;
    if (operation === 'CREATE') {
      const spec = specOf(request.object);
      const { requestedBy, expiresAt } = spec;
      if (requestedBy !== user)
        return refusal(
          `[other_user] spec.requestedBy must be who creates the grant; fix: write requestedBy: ${JSON.stringify(user)}`,
        );
      if (!(Date.parse(String(expiresAt)) > clock.now()))
        return refusal('[expired] spec.expiresAt is over already; fix: name a time to come');
      const long = longGrantField(spec);
      if (long !== undefined)
        return refusal(
          `[too_long] spec.${long} is longer than sidecars read, which count an emoji as two characters; fix: ask with a shorter one`,
        );
      // Whoever decides does it by name: under one name there is one spec, whoever deletes and creates.
      const name = grantName(spec);
      if (metadataOf(request.object)['name'] !== name)
        return refusal(
          `[name] metadata.name must be made of spec, so that what is approved is what was read; fix: write metadata.name: ${name}, or ask with kubectl sidegate access request of this release`,
        );
      return tooOften(request) ?? allowed;
    }
    if (operation === 'DELETE') {
      // The controller removes those that are long over.
      if (user === controller) return allowed;
      const verdict =
        specOf(request.oldObject)['requestedBy'] === user
          ? allowed
          : await withApprove(
              request,
              '[not_yours] only who asked for a grant, or who may approve it, takes it back; fix: ask an approver',
            );
      if (verdict.allowed && !request.dryRun) await noteWho(request);
      return verdict;
    }
    // Its spec cannot change: the definition says so. Labels and notes are anybody's who may update it.
    return allowed;
  };

  return async (request) => {
    const { group, resource, subResource, operation, user } = request;
    const known = group === 'sidegate.dev' && Object.hasOwn(kinds, resource);
    if (!known || !['', 'status'].includes(subResource) || operation === 'CONNECT') {
      metrics.failed('unexpected');
      return unexpected(request);
    }
    const { object, oldObject } = request;
    // Nothing that was taken back is kept in being by who had it. Those that the API server itself sets on deletion are not asked about.
    if (finalizersOf(object).some((one) => !finalizersOf(oldObject).includes(one)))
      return refusal(`[finalizers] ${resource} take no finalizers; fix: leave metadata.finalizers out`);
    if (subResource === 'status') return user === controller ? decideAsController(request) : decideAsPerson(request);
    if (resource === 'inferencegrants') return onGrant(request);
    return user === controller
      ? decideAsController(request)
      : refusal(
          '[not_yours] approvals are opened, changed and removed by the controller alone; fix: to decide, kubectl sidegate approvals approve or deny',
        );
  };
}

function uidOf({ oldObject }: AdmissionRequest): string | undefined {
  const { uid } = metadataOf(oldObject);
  return typeof uid === 'string' ? uid : undefined;
}
