import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger, systemClock } from '../../pkg/base/index.ts';
import { createGrantCache } from '../../pkg/control/grants/index.ts';
import type { GrantFact } from '../../pkg/control/grants/index.ts';
import { startNotifier } from '../../pkg/control/notices/index.ts';
import type { Channel, NoticeResult, Notifier } from '../../pkg/control/notices/index.ts';
import type { Notice } from '../../pkg/control/notices/notice.ts';
import { resources } from '../../pkg/kube/index.ts';
import type { Cache } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { until } from '../support/wait.ts';
import { approvalWorld, askingPolicy, snapshotOf } from './approval-world.ts';
import type { ApprovalWorld, Replica } from './approval-world.ts';
import { installDefinitions } from './custom-resources.ts';

// Who is told of what, and once, with approvals and grants on a real API server.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
}, 200_000);
afterAll(() => server?.stop());

let world: ApprovalWorld;
let replica: Replica;
let grants: Cache<GrantFact>;
let namespace: string;
let sent: Notice[];
let results: string[];
let log: string[];
let answer: () => Awaited<ReturnType<Channel['send']>>;
let running: Notifier[];
let leading: boolean;
let count = 0;
beforeEach(async () => {
  namespace = `notices-${++count}`;
  await server.namespace(namespace);
  await server.namespace(`${namespace}-system`);
  world = await approvalWorld(server);
  replica = await world.replica();
  const logger = createLogger({ clock: systemClock, level: 'debug', write: (line) => void log.push(line) });
  grants = createGrantCache({ client: world.client, clock: systemClock, logger });
  await grants.whenSynced();
  [sent, results, log, running, leading] = [[], [], [], [], true];
  answer = () => 'sent';
});
afterEach(async () => {
  for (const one of running) await one.close();
  // What waits anywhere in the cluster is told of: nothing may be left for the next test.
  for (const resource of [resources.inferenceApprovals, resources.inferenceGrants])
    for (const { metadata } of await world.client.list(resource, { namespace }))
      await world.client.delete(resource, { namespace, name: metadata.name });
  await grants.stop();
  await world.close();
});

function notify(names: readonly string[] = ['chat'], channels?: readonly Channel[]): Notifier {
  const made = startNotifier({
    ...{ client: world.client, namespace: `${namespace}-system`, approvals: replica.cache, grants, clock: world.clock },
    endpoint: 'https://approvals.example.com',
    logger: createLogger({ clock: systemClock, level: 'debug', write: (line) => void log.push(line) }),
    leading: () => leading,
    channels: channels ?? names.map((name) => ({ name, send: async (notice) => (sent.push(notice), answer()) })),
    onResult: (channel: string, result: NoticeResult) => void results.push(`${channel} ${result}`),
  });
  running.push(made);
  made.lead();
  return made;
}
/** A prompt of a caller that waits. */
async function hold(id: string, excerpt = 'call [phone] now'): Promise<string> {
  const snapshot = snapshotOf(askingPolicy(namespace));
  const stream = world.stream(replica, 'pod-1', namespace, snapshot);
  stream.ask(id, { excerpt, digest: `sha256:${id.padEnd(64, '0')}` });
  await until(() => stream.said(id) === 'Pending', 'it waits');
  return stream.name(id);
}
/** Lets waits of the queue pass. */
const later = async (holds: () => boolean): Promise<void> =>
  until(async () => {
    await world.clock.advanceAsync(500);
    return holds();
  });

describe('people are told', () => {
  test('of an approval, once on each channel, with the excerpt of the object', async () => {
    notify(['chat', 'pager']);
    const name = await hold('1');
    await until(() => sent.length === 2);
    expect(sent[0]).toMatchObject({
      kind: 'approvals',
      namespace,
      name,
      requester: 'ana',
      excerpt: 'call [phone] now',
    });
    await hold('1');
    await hold('2');
    await until(() => sent.length === 4);
    expect(results.toSorted()).toEqual(['chat sent', 'chat sent', 'pager sent', 'pager sent']);
  });

  test('of those that waited before it led', async () => {
    await hold('3');
    notify();
    await until(() => sent.length === 1);
  });

  test('of a grant when it is said who decides, and not before', async () => {
    notify();
    const spec = {
      ...{ issuer: 'https://idp', subject: 'ana', operations: ['Chat'], models: ['*'], reason: 'incident' },
      ...{ expiresAt: new Date(Date.now() + 3_600_000).toISOString(), requestedBy: 'kubernetes-admin' },
    };
    const body = {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferenceGrant',
      metadata: { namespace, name: 'g' },
      spec,
    };
    await world.client.create(resources.inferenceGrants, body as never, { namespace });
    await until(() => grants.get(`${namespace}/g`) !== undefined);
    expect(sent).toEqual([]);
    const status = { phase: 'Pending', required: 1, approvers: [{ group: 'leads' }] };
    await world.client.patch(
      resources.inferenceGrants,
      { namespace, name: 'g' },
      { type: 'merge', body: { status } },
      'status',
    );
    await until(() => sent.length === 1);
    expect(sent[0]).toMatchObject({ kind: 'grants', reason: 'incident', required: 1 });
  });

  test('by the leader alone', async () => {
    leading = false;
    notify();
    await hold('4');
    leading = true;
    running[0]?.lead();
    await until(() => sent.length === 1);
  });

  test('and not again by the next leader, nor after a restart', async () => {
    const first = notify(['chat', 'pager']);
    await hold('5');
    await until(() => results.length === 2);
    await first.close();
    notify(['chat', 'pager', 'mail']);
    const name = await hold('6');
    await until(() => results.length === 6);
    // Of the old one only the channel that is new; of the new one all.
    expect(results.slice(2).toSorted()).toEqual(['chat sent', 'mail sent', 'mail sent', 'pager sent']);
    expect(sent.filter((one) => one.name === name)).toHaveLength(3);
  });
});

describe('a receiver that does not take it', () => {
  test('is tried again until it does, and holds up no other', async () => {
    let failures = 3;
    const bad: Channel = {
      name: 'bad',
      send: async (notice) => {
        sent.push(notice);
        if (failures-- > 0) throw new Error('no answer');
        return 'sent';
      },
    };
    notify([], [bad, { name: 'good', send: async () => 'sent' }]);
    await hold('7');
    await until(() => results.includes('good sent'));
    await later(() => results.includes('bad sent'));
    expect(results.filter((one) => one === 'bad failed')).toHaveLength(3);
    expect(new Set(sent.map(({ uid }) => uid)).size).toBe(1);
  });

  test('and says when, is asked then and not before', async () => {
    let asked = 0;
    answer = () => (asked++ === 0 ? { againMs: 60_000 } : 'sent');
    notify();
    await hold('8');
    await until(() => results.length === 1);
    await world.clock.advanceAsync(59_000);
    expect(sent).toHaveLength(1);
    await later(() => results.includes('chat sent'));
    expect(sent).toHaveLength(2);
  });

  test('for good is not asked again', async () => {
    answer = () => 'refused';
    notify();
    await hold('9');
    await until(() => results.length === 1);
    await world.clock.advanceAsync(120_000);
    expect([sent.length, results]).toEqual([1, ['chat refused']]);
    expect(log.join('\n')).toContain('a receiver refused a notice');
  });

  test('is left alone when somebody has decided meanwhile', async () => {
    answer = () => ({ againMs: 30_000 });
    notify();
    const name = await hold('a');
    await until(() => results.length === 1);
    await world.vote(namespace, name, { decision: 'Deny', user: 'lea', at: new Date().toISOString() });
    await until(async () => (await world.get(namespace, name)).status?.phase === 'Denied');
    await until(() => replica.cache.get(`${namespace}/${name}`)?.phase === 'Denied');
    await world.clock.advanceAsync(60_000);
    expect(sent).toHaveLength(1);
  });
});
