import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createApprovalCache, createApprovalDesk, recordApprovals } from '../../pkg/control/approvals/index.ts';
import type { ApprovalFact, ApprovalKeeper, ApprovalLimits, ApprovalStep } from '../../pkg/control/approvals/index.ts';
import type { PodSnapshot } from '../../pkg/control/stream/index.ts';
import type { Change } from '../../pkg/control/record/index.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import type { Policy, SubjectSpec } from '../../pkg/core/index.ts';
import { guard, label, match, policy, provider, subject } from '../../pkg/core/testing/policies.ts';
import type { ApprovalSpecResource, ApprovalStatusResource } from '../../pkg/crd/index.ts';
import { createKubeClient, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { Cache, EventNote, KubeClient, KubeObject } from '../../pkg/kube/index.ts';
import type { ApprovalAskMessage, ApprovalStateMessage } from '../../pkg/wire/index.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';

/** Sidecars and replicas of the controller around a real API server, where approvals are kept. */

export type ApprovalObject = KubeObject & {
  readonly spec: ApprovalSpecResource;
  readonly status?: ApprovalStatusResource;
};

const approver = (more: Partial<SubjectSpec>, kubernetes: { group?: string; user?: string } = {}) => ({
  ...subject(more),
  kubernetesGroup: kubernetes.group,
  kubernetesUser: kubernetes.user,
});

/** A guard that asks two people of `ml-leads`; 3 minutes. */
export function askingPolicy(
  namespace: string,
  more: { required?: number; generation?: number; approvers?: boolean; keys?: string } = {},
): Policy {
  const { keys } = more;
  const sidegate = { idp: 'okta', audiences: ['inference'], issuer: 'https://s/saml/okta' };
  return policy(
    'p',
    {
      providers: [
        { ...provider('corp'), kubernetesUser: { claim: 'email', prefix: '' } },
        ...(keys === undefined ? [] : [{ ...provider('people'), oidc: undefined, sidegate: { ...sidegate, keys } }]),
      ],
      guards: [guard('risky', { action: 'RequireApproval', match: match('Secrets') }), guard('plain')],
      classification: [
        label('secret', { otherwise: 'RequireApproval' }),
        label('held', { inRequests: 'RequireApproval' }),
      ],
      approvals:
        more.approvers === false
          ? undefined
          : {
              approvers: [approver({}, { group: 'ml-leads' }), approver({ group: 'leads' })],
              required: more.required ?? 2,
              timeoutMs: 180_000,
              maxGrantMs: 3_600_000,
            },
    },
    { namespace, generation: more.generation ?? 1 },
  );
}

export function snapshotOf(...policies: readonly Policy[]): PodSnapshot {
  const { hash, sources } = compileSnapshot(policies, { revision: 0 });
  return { hash, sources, policies, seen: {} };
}

export interface Replica {
  readonly desk: ApprovalKeeper;
  readonly cache: Cache<ApprovalFact>;
  readonly steps: ApprovalStep[];
  readonly notes: EventNote[];
  /** What it saw, and would have recorded if it led. */
  readonly changes: Change[];
  leads: boolean;
  /** As a kill does: nothing is said to anybody, nothing is written any more. */
  stop(): Promise<void>;
}

/** One sidecar's stream. */
export interface Stream {
  readonly messages: ApprovalStateMessage[];
  snapshot: PodSnapshot | undefined;
  ask(id: string, more?: Partial<ApprovalAskMessage>): void;
  claim(id: string): void;
  leave(id: string, keep?: boolean): void;
  watch(id: string, name: string, who?: Partial<ApprovalAskMessage['requester']>): void;
  /** The last thing that was said of an ask: `Pending`, `policy_changed`, `Used mine`. */
  said(id: string): string | undefined;
  name(id: string): string;
  lose(): void;
}

export const ana = {
  provider: 'p/corp',
  issuer: 'https://corp.example.com',
  subject: 'ana',
  kubernetesUser: 'ana@example.com',
  naming: 'sub for inference',
};

export interface ApprovalWorld {
  readonly clock: FakeClock;
  readonly client: KubeClient;
  /** @param more.startedLaterMs so long after what is there was written */
  replica(more?: {
    limits?: Partial<ApprovalLimits>;
    client?: KubeClient;
    leads?: boolean;
    startedLaterMs?: number;
  }): Promise<Replica>;
  stream(replica: Replica, pod: string, namespace: string, snapshot?: PodSnapshot): Stream;
  get(namespace: string, name: string): Promise<ApprovalObject>;
  list(namespace: string): Promise<readonly ApprovalObject[]>;
  vote(namespace: string, name: string, vote: object): Promise<void>;
  close(): Promise<void>;
}

export async function approvalWorld(server: ApiServer): Promise<ApprovalWorld> {
  const clock = fakeClock({ now: Date.now() });
  const client = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
  const replicas = new Set<Replica>();
  let count = 0;
  const get = (namespace: string, name: string): Promise<ApprovalObject> =>
    client.get<ApprovalObject>(resources.inferenceApprovals, { namespace, name });

  return {
    clock,
    client,
    get,
    list: (namespace) => client.list<ApprovalObject>(resources.inferenceApprovals, { namespace }),
    async replica(more = {}) {
      const steps: ApprovalStep[] = [];
      const notes: EventNote[] = [];
      const changes: Change[] = [];
      const by = more.client ?? client;
      const cache = createApprovalCache({ client: by, clock: systemClock, logger: silentLogger });
      const stopRecord = recordApprovals({
        cache,
        now: () => Date.now() + (more.startedLaterMs ?? 0),
        changes: { seen: (change) => void changes.push(change) },
      });
      await cache.whenSynced();
      const desk = createApprovalDesk({
        seal: (digest) => `hmac-${digest}`,
        client: by,
        cache,
        clock,
        logger: silentLogger,
        events: { record: (_about, note) => void notes.push(note) },
        replica: `replica-${++count}`,
        leading: () => replica.leads,
        onStep: (step) => void steps.push(step),
        ...(more.limits !== undefined && { limits: more.limits }),
      });
      const replica: Replica = {
        desk,
        cache,
        steps,
        notes,
        changes,
        leads: more.leads ?? false,
        async stop() {
          replicas.delete(replica);
          stopRecord();
          await Promise.all([desk.close(), cache.stop()]);
        },
      };
      replicas.add(replica);
      return replica;
    },
    stream({ desk }, pod, namespace, first = snapshotOf(askingPolicy(namespace))) {
      const messages: ApprovalStateMessage[] = [];
      const place = desk.connect({
        pod: { namespace, name: pod, uid: `uid-${pod}` },
        snapshot: () => stream.snapshot,
        send: (message) => void messages.push(message),
      });
      const last = (id: string): ApprovalStateMessage | undefined => messages.findLast((one) => one.id === id);
      const stream: Stream = {
        messages,
        snapshot: first,
        ask(id, more = {}) {
          place.take({
            type: 'approval-ask',
            id,
            direction: 'Request',
            rules: ['p/risky'],
            requester: ana,
            operation: 'Chat',
            model: 'llama-3',
            digest: `sha256:${'a'.repeat(64)}`,
            snapshot: stream.snapshot?.hash ?? 'f'.repeat(64),
            session: `session-${pod}-${id}`,
            excerpt: 'print [secret]',
            ...more,
          });
        },
        claim: (id) => place.take({ type: 'approval-claim', id }),
        leave: (id, keep = false) => place.take({ type: 'approval-leave', id, keep }),
        watch: (id, name, who = {}) => place.take({ type: 'approval-watch', id, name, requester: { ...ana, ...who } }),
        said(id) {
          const message = last(id);
          if (message === undefined || message.state === null) return message?.problem ?? undefined;
          return `${message.state.phase}${message.state.yours ? ' mine' : ''}`;
        },
        name: (id) => messages.findLast((one) => one.id === id && one.state !== null)?.state?.name ?? '',
        lose: () => place.closed(),
      };
      return stream;
    },
    async vote(namespace, name, vote) {
      const { status } = await get(namespace, name);
      await client.patch(
        resources.inferenceApprovals,
        { namespace, name },
        {
          type: 'merge',
          body: {
            status: {
              phase: status?.phase ?? 'Pending',
              decisions: [
                ...(status?.decisions ?? []),
                { decision: 'Approve', at: new Date(clock.now()).toISOString(), ...vote },
              ],
            },
          },
        },
        'status',
      );
    },
    async close() {
      for (const replica of replicas) await replica.stop();
      client.close();
    },
  };
}
