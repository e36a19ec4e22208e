import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import {
  annotations,
  containers,
  controllerAudience,
  defaultUid,
  drawnGids,
  inferenceLabel,
  listeners,
  volumes,
} from '../../pkg/contract/index.ts';
import { runCommand } from '../cluster/command.ts';
import type { CommandResult } from '../cluster/command.ts';
import { isKept, startNode, stateFolder } from '../cluster/node.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { planDay, system } from '../day/day.ts';
import { breakGlassGroup, datagramPort, labelledPod, startGoverned, undeclaredPort } from './bypass.ts';
import type { Governed, PodParts } from './bypass.ts';

// Every way round the sidecar, walked on a real node under the installed chart: the model's log must not have one line of it.
// It has a cluster of its own: an installed Sidegate governs the whole of it.

process.env['CLUSTER_NETNS'] = 'sidegate-bypass';
process.env['KUBE_STATE'] = '/tmp/sidegate-bypass';
process.env['CGROUP_NAME'] = 'sidegate-bypass';

const wasUp = isKept(stateFolder());

const namespace = `round-${process.pid}`;
let node: ClusterNode;
let governed: Governed;

const chat = [
  ...['-H', 'content-type: application/json', '-d'],
  JSON.stringify({ model: 'llama-3', messages: [{ role: 'user', content: 'attack' }] }),
];
const path = '/v1/chat/completions';

const told = (name: string, action: () => Promise<void>, limitMs = 180_000): void =>
  test(name, () => node.explained(system, () => node.explained(namespace, action)), limitMs);

/** Who tries: an editor of the namespace, and the administrator of the cluster. */
const people = [
  ['an editor', ['--as=eve', '--as-group=system:authenticated']],
  ['the administrator', []],
] as const;

const expectRefused = ({ status, stdout, stderr }: CommandResult, word: string): void =>
  expect({ refused: status !== 0, stdout, stderr }).toMatchObject({
    refused: true,
    stderr: expect.stringContaining(word),
  });

const install = (): Promise<void> =>
  planDay(node, namespace).install([
    ...[`breakGlassGroup=${breakGlassGroup}`, 'controller.replicas=1', 'webhook.replicas=1'],
  ]);

beforeAll(async () => {
  node = await startNode();
  await node.namespace(namespace);
  await node.explained(system, install);
  governed = await node.explained(system, () => node.explained(namespace, () => startGoverned(node, namespace)));
}, 400_000);

afterAll(async () => {
  if (wasUp) await node.removeNamespace(namespace);
  else await runCommand(join(import.meta.dirname, '../cluster/down.sh'), []);
}, 120_000);

describe('over the network', () => {
  told("the model's port is the sidecar's, whoever asks", async () => {
    const stranger = await governed.day.token('inference', 'default');
    await governed.reachesNothing(async () => {
      const at = async (url: string, ...more: string[]): Promise<number> =>
        (await governed.curl(...chat, ...more, url)).status;
      expect(await at(`https://${governed.ip}:8000${path}`)).toBe(401);
      expect(await at(`https://${governed.ip}:8000${path}`, '-H', `authorization: Bearer ${stranger}`)).toBe(403);
      expect(await governed.curl(`https://${governed.ip}:8000/v1/models`)).toMatchObject({ status: 401 });
      expect(await at(`http://${governed.ip}:8000${path}`)).toBe(426);
      expect(await at(`http://${governed.ip}:8000${path}`, '--http2-prior-knowledge')).not.toBe(200);
      expect(await at(`https://${governed.ip}:${listeners.tls}${path}`)).toBe(401);
      for (const port of [listeners.loopback, listeners.helper])
        expect(await at(`http://${governed.ip}:${port}${path}`)).toBe(0);
      for (const port of [listeners.probe, listeners.admin]) {
        for (const page of [path, `/probe/model/startup`, `/probe/../..${path}`, `/probe/model/http:8000${path}`])
          expect(await at(`http://${governed.ip}:${port}${page}`, '--path-as-is')).toBeGreaterThanOrEqual(400);
      }
    });
  });

  told(
    'a hook that the pod declares is called by its kubelet, and by nobody who reaches the pod',
    async () => {
      const listening = ['sh', '-c', "until grep -q ':1F40 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done"];
      const hooked = labelledPod(node.images.tools, namespace, 'hooked', {
        container: { lifecycle: { postStart: { exec: { command: listening } } } },
        beside: { lifecycle: { postStart: { httpGet: { port: 8_000, path: '/hook-was-called' } } } },
      });
      await node.apply(JSON.stringify(hooked));
      await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/hooked', '--timeout=50s']);
      const ip = await node.must(['-n', namespace, 'get', 'pod', 'hooked', '-o', 'jsonpath={.status.podIP}']);
      const calls = async (): Promise<number> =>
        (await node.must(['-n', namespace, 'logs', 'hooked', '-c', 'model'])).split('/hook-was-called').length - 1;
      await node.eventually(async () => (await calls()) === 1);
      const hook = '/probe/beside/post-start';
      const stored = JSON.parse(await node.must(['-n', namespace, 'get', 'pod', 'hooked', '-o', 'json'])) as {
        spec: { containers: { name: string; lifecycle: { postStart: { httpGet: { path: string } } } }[] };
      };
      const real = stored.spec.containers.find(({ name }) => name === 'beside')?.lifecycle.postStart.httpGet.path ?? '';
      expect(real).toMatch(new RegExp(`^${hook}/[A-Za-z0-9_-]{22}$`));
      for (const page of [hook, `${hook}/`, `${hook}/${'A'.repeat(22)}`, `${real.slice(0, -1)}%41`, `${real}/`])
        expect(await governed.curl(`http://${ip}:${listeners.probe}${page}`)).toMatchObject({ status: 404 });
      expect(await calls()).toBe(1);
      // The key is all that keeps others out: this is the kubelet's own way.
      expect(await governed.curl(`http://${ip}:${listeners.probe}${real}`)).toMatchObject({ status: 200 });
      await node.eventually(async () => (await calls()) === 2);
      await node.must(['-n', namespace, 'delete', 'pod', 'hooked', '--wait=false']);
    },
    240_000,
  );

  told('from the node itself likewise', async () => {
    await governed.reachesNothing(async () => {
      const { stdout } = await node.run('curl', [
        '-sk',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        ...chat,
        `https://${governed.ip}:8000${path}`,
      ]);
      expect(stdout).toBe('401');
    });
    await governed.reachesNobody(async () => {
      const { stdout } = await node.run('curl', [
        '-sk',
        '-m',
        '3',
        '-w',
        '%{http_code}',
        `http://${governed.ip}:${undeclaredPort}/attack`,
      ]);
      expect(stdout).toBe('000');
    });
  });

  told('ports that nothing declares are closed, TCP and UDP', async () => {
    const send = `
      const socket = require('node:dgram').createSocket('udp4');
      const ports = [${datagramPort}, 8000, ${listeners.tls}, ${listeners.loopback}];
      let left = ports.length * 3;
      for (let i = 0; i < 3; i++) for (const port of ports) socket.send('attack', port, process.argv[1], () => --left || socket.close());`;
    await governed.reachesNobody(async () => {
      expect(await governed.curl(`http://${governed.ip}:${undeclaredPort}/attack`)).toMatchObject({ status: 0 });
      expect(await node.exec(namespace, 'pod/caller', ['node', '-e', send, governed.ip])).toMatchObject({ status: 0 });
    });
  });

  told("an editor's own Services lead to the sidecar, or nowhere", async () => {
    const service = (name: string, spec: object): object => ({
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } },
      spec,
    });
    const port = (number: number, protocol = 'TCP'): object => ({ port: number, targetPort: number, protocol });
    const items = [
      service('numeric', { selector: { app: 'llama' }, ports: [port(8_000)] }),
      service('side', { selector: { app: 'llama' }, ports: [port(undeclaredPort)] }),
      service('inner', { selector: { app: 'llama' }, ports: [port(listeners.loopback)] }),
      service('datagrams', { selector: { app: 'llama' }, ports: [port(datagramPort, 'UDP')] }),
      service('outer', { selector: { app: 'llama' }, type: 'NodePort', ports: [{ ...port(8_000), nodePort: 31_800 }] }),
      service('by-hand', { ports: [port(8_000)] }),
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'by-hand', namespace, labels: { 'kubernetes.io/service-name': 'by-hand' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [governed.ip], conditions: { ready: true } }],
        ports: [{ port: 8_000, protocol: 'TCP' }],
      },
    ];
    // The role `edit` may not write EndpointSlices; the administrator does it for them.
    await node.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await governed.reachesNothing(async () => {
      for (const name of ['numeric', 'by-hand']) {
        const url = `${name}.${namespace}.svc:8000${path}`;
        await node.eventually(async () => (await governed.curl(...chat, `https://${url}`)).status === 401);
        expect(await governed.curl(...chat, `http://${url}`)).toMatchObject({ status: 426 });
      }
      const nodeIp = await node.must(['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[0].address}']);
      await node.eventually(
        async () => (await governed.curl(...chat, `https://${nodeIp}:31800${path}`)).status === 401,
      );
      expect(await governed.curl(...chat, `http://inner.${namespace}.svc:${listeners.loopback}${path}`)).toMatchObject({
        status: 0,
      });
    });
    await governed.reachesNobody(async () => {
      expect(await governed.curl(`http://side.${namespace}.svc:${undeclaredPort}/attack`)).toMatchObject({ status: 0 });
      const send = `const socket = require('node:dgram').createSocket('udp4'); socket.send('attack', ${datagramPort}, 'datagrams.${namespace}.svc', () => socket.close());`;
      expect(await node.exec(namespace, 'pod/caller', ['node', '-e', send])).toMatchObject({ status: 0 });
    });
  });
});

describe('through the API server', () => {
  test.each(people)(
    '%s without break-glass: every verb that leads into the pod is refused',
    (_, as) =>
      node.explained(namespace, async () => {
        const { pod } = governed;
        const kubectl = (...args: string[]): Promise<CommandResult> =>
          node.kubectl([...as, '-n', namespace, ...args], { timeoutMs: 15_000 });
        const raw = (target: string): Promise<CommandResult> =>
          kubectl('get', '--raw', `/api/v1/namespaces/${namespace}/${target}/proxy${path}`);
        await governed.reachesNothing(async () => {
          for (const container of ['model', 'beside', containers.sidecar])
            expectRefused(await kubectl('exec', pod, '-c', container, '--', 'node', '-e', ''), '[exec]');
          expectRefused(await kubectl('cp', `${pod}:/tmp`, '/tmp/never', '-c', 'model'), '[exec]');
          expectRefused(await kubectl('attach', pod, '-c', 'model'), '[attach]');
          for (const port of [8_000, undeclaredPort, listeners.loopback, listeners.tls])
            expectRefused(await kubectl('port-forward', `pod/${pod}`, `:${port}`), '[portforward]');
          expectRefused(await kubectl('port-forward', 'service/llama', ':443'), '[portforward]');
          expectRefused(
            await kubectl(
              'debug',
              pod,
              `--image=${node.images.tools}`,
              '--target=model',
              '--attach=false',
              '--',
              'sleep',
              '1',
            ),
            as.length === 0 ? '[ephemeral_container]' : 'ephemeralcontainers',
          );
          for (const target of [
            ...[`pods/${pod}`, `pods/${pod}:8000`, `pods/https:${pod}:8000`, `pods/http:${pod}:${undeclaredPort}`],
            ...['services/llama', 'services/https:llama:https', 'services/numeric:8000', 'services/by-hand:8000'],
          ])
            expectRefused(await raw(target), '[proxy]');
        });
      }),
    180_000,
  );

  told('the break-glass group is let through, to the sidecar and no further, and recorded', async () => {
    const script = `
      kubectl --as=ana --as-group=system:masters --as-group=${breakGlassGroup} -n ${namespace} port-forward pod/${governed.pod} \
        18000:8000 18001:${listeners.loopback} 18002:${listeners.tls} 18003:${undeclaredPort} >/dev/null 2>&1 & pid=$!
      trap 'kill $pid' EXIT
      for i in $(seq 300); do curl -s -m 5 -o /dev/null http://127.0.0.1:18000/ && break; sleep 0.1; done
      ask() { curl -sk -m 5 -o /dev/null -w '%{http_code} ' -H 'content-type: application/json' -d '{"model":"llama-3","messages":[]}' "$1${path}"; }
      ask http://127.0.0.1:18000; ask https://127.0.0.1:18000; ask http://127.0.0.1:18001; ask https://127.0.0.1:18002; ask http://127.0.0.1:18003`;
    await governed.reachesNothing(() =>
      governed.reachesNobody(async () => {
        const { stdout } = await node.run('bash', ['-c', script]);
        expect(stdout).toBe('401 401 401 401 000 ');
      }),
    );
    const events = await node.must(['-n', namespace, 'get', 'events', '-o', 'jsonpath={.items[*].reason}']);
    expect(events).toContain('BreakGlassPortforward');
    expect(events).toContain('BreakGlassExec');
  });
});

describe('from beside the model, in its pod', () => {
  const send = (host: string, port: number): string => `
    const sent = require('node:http').request('http://${host}:${port}${path}', { method: 'POST', headers: { 'content-type': 'application/json' } },
      (answer) => { console.log(answer.statusCode); answer.resume(); });
    sent.setTimeout(3000, () => sent.destroy()).on('error', () => console.log(0));
    sent.end(JSON.stringify({ model: 'llama-3', messages: [{ role: 'user', content: 'attack' }] }));`;
  const ask = (host: string, port: number): readonly string[] => ['node', '-e', send(host, port)];

  told('loopback and the own address lead to the sidecar, for root and for others', async () => {
    await governed.reachesNothing(async () => {
      for (const who of ['beside', 'guest'] as const) {
        for (const host of ['127.0.0.1', '127.0.0.2', 'localhost', governed.ip]) {
          const { stdout, stderr } = await governed.insideRun(ask(host, 8_000), who);
          expect({ who, host, stdout, stderr }).toMatchObject({ stdout: '401\n' });
        }
        expect(await governed.insideRun(ask('127.0.0.1', listeners.loopback), who)).toMatchObject({ stdout: '401\n' });
      }
    });
  });

  /** As one who reads the pod's spec knows it: from within the pod it is not to be seen. */
  const sidecarGid = (): Promise<string> =>
    node.must([
      ...['-n', namespace, 'get', 'pod', governed.pod, '-o'],
      `jsonpath={.spec.initContainers[?(@.name=="${containers.sidecar}")].securityContext.runAsGroup}`,
    ]);

  told("root cannot become the sidecar's user, by itself or by a set-uid program of its own", async () => {
    const gid = await sidecarGid();
    const become = `
      for (const [become, id] of [[process.setgid, ${gid}], [process.setgid, 1000], [process.setuid, ${defaultUid}], [process.setuid, 1000]])
        try { become(id); console.log('taken'); } catch (error) { console.log(error.code); }
      ${send('127.0.0.1', 8_000)}`;
    const program = `cp $(which node) /tmp/become && chown ${defaultUid}:${gid} /tmp/become && chmod 6755 /tmp/become
      ls -ln /tmp/become | grep -c '^-rwsr-sr-x.* ${defaultUid} *${gid} '
      /tmp/become -e "console.log(process.geteuid(), process.getegid()); $1"; rm /tmp/become`;
    await governed.reachesNothing(async () => {
      expect(await governed.insideRun(['node', '-e', become])).toMatchObject({
        stdout: 'EPERM\nEPERM\nEPERM\nEPERM\n401\n',
      });
      const shell = ['sh', '-c', program, 'sh', send('127.0.0.1', 8_000).replaceAll('\n', ' ')];
      expect(await governed.insideRun(shell)).toMatchObject({ stdout: '1\n0 0\n401\n' });
    });
  });

  told("the sidecar's uid alone reaches nothing: of an image that names it, and of who may become others", async () => {
    const gid = await sidecarGid();
    expect(Number(gid)).toBeGreaterThanOrEqual(drawnGids.inCluster.first);
    await governed.reachesNothing(async () => {
      for (const group of [0, 1_000, defaultUid, drawnGids.inCluster.first]) {
        const become = `process.setgid(${group}); process.setuid(${defaultUid}); console.log(process.geteuid()); ${send('127.0.0.1', 8_000)}`;
        expect(await governed.insideRun(['node', '-e', become], 'stepper')).toMatchObject({
          stdout: `${defaultUid}\n401\n`,
        });
      }
    });
    // What the kernel tells in the pod of the sidecar's sockets has its uid, and not its gid.
    const look = `cat /proc/net/tcp /proc/net/tcp6; ls -ln /proc/*/fd /tmp /var/run 2>/dev/null`;
    const seen = await governed.insideRun(['sh', '-c', look], 'stepper');
    expect(seen.stdout).toMatch(new RegExp(` ${defaultUid} `));
    expect(seen.stdout).not.toContain(gid);
  });

  told('no process of the sidecar is seen, and its files are not there', async () => {
    const look = `
      const { readdirSync, readFileSync, existsSync } = require('node:fs');
      const seen = readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => readFileSync('/proc/' + pid + '/cmdline', 'utf8'));
      console.log(seen.some((line) => line.includes('side' + 'car.js')), existsSync('/var/run/sidegate'));`;
    expect(await governed.insideRun(['node', '-e', look])).toMatchObject({ stdout: 'false false\n' });
  });

  told("a container without root and without a way to it cannot take the sidecar's uid", async () => {
    const take = `
      for (const become of [process.setuid, process.setgid]) try { become(${defaultUid}); console.log('taken'); } catch (error) { console.log(error.code); }
      setInterval(() => {}, 1e6);`;
    const tight = labelledPod(node.images.tools, namespace, 'tight', {
      beside: {
        command: ['node', '-e', take],
        securityContext: { runAsUser: 1_000, allowPrivilegeEscalation: false },
      },
    });
    await node.apply(JSON.stringify(tight));
    const log = async (): Promise<string> =>
      (await node.kubectl(['-n', namespace, 'logs', 'tight', '-c', 'beside'])).stdout;
    await node.eventually(async () => (await log()).split('\n').length === 3);
    expect(await log()).toBe('EPERM\nEPERM\n');
  });

  told('the traffic rules cannot be read or changed', async () => {
    for (const args of [
      ['list', 'ruleset'],
      ['flush', 'ruleset'],
    ])
      expect((await governed.insideRun(['nft', ...args])).stderr).toContain('Operation not permitted');
    const raw = 'busybox ping -c 1 127.0.0.1';
    expect((await governed.insideRun(['sh', '-c', raw])).status).not.toBe(0);
  });
});

describe('pods that would get round it', () => {
  const uid = defaultUid;
  const capability = (name: string): PodParts => ({ beside: { securityContext: { capabilities: { add: [name] } } } });
  const mount = (name: string): PodParts => ({ beside: { volumeMounts: [{ name, mountPath: '/stolen' }] } });
  const audience = (name: string): PodParts => ({
    spec: {
      volumes: [
        { name, projected: { sources: [{ serviceAccountToken: { audience: controllerAudience, path: 'token' } }] } },
      ],
    },
  });
  const labels = (value: string | undefined): PodParts => ({
    metadata: { labels: value === undefined ? {} : { [inferenceLabel]: value } },
  });
  const rows: readonly (readonly [string, string, PodParts])[] = [
    ['hostNetwork', '[host_network]', { spec: { hostNetwork: true } }],
    ['hostPID', '[host_pid]', { spec: { hostPID: true } }],
    ['a shared process namespace', '[shared_pid]', { spec: { shareProcessNamespace: true } }],
    ["the sidecar's uid in a container", '[reserved_uid]', { beside: { securityContext: { runAsUser: uid } } }],
    ["the sidecar's uid for the pod", '[reserved_uid]', { spec: { securityContext: { runAsUser: uid } } }],
    ...['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN', 'ALL', 'CAP_NET_ADMIN', 'net_admin'].map(
      (name) => [`the capability ${name}`, '[capability]', capability(name)] as const,
    ),
    ['a privileged neighbour', '[privileged]', { beside: { securityContext: { privileged: true } } }],
    ...Object.values(volumes).map((name) => [`a mount of ${name}`, '[reserved_volume]', mount(name)] as const),
    ['a volume with a token of our audience', '[reserved_audience]', audience('mine')],
    ['the same without the label', '[reserved_audience]', { ...audience('mine'), ...labels(undefined) }],
    ['a port of the node', '[host_port]', { container: { ports: [{ containerPort: 8_000, hostPort: 8_000 }] } }],
    ['a UDP port', '[udp_port]', { beside: { ports: [{ containerPort: datagramPort, protocol: 'UDP' }] } }],
    ["one of the sidecar's ports", '[reserved_port]', { beside: { ports: [{ containerPort: listeners.tls }] } }],
    [
      'a sidecar of its own without the label',
      '[reserved_name]',
      { beside: { name: containers.sidecar }, ...labels(undefined) },
    ],
    [
      'an init of its own without the label',
      '[reserved_name]',
      { beside: { name: containers.init }, ...labels(undefined) },
    ],
    ...['True', 'false', 'yes', ''].map(
      (value) => [`the label as ${JSON.stringify(value)}`, '[label', labels(value)] as const,
    ),
  ];

  test.each(rows)('%s: refused', async (_, word, parts) => {
    const pod = labelledPod(node.images.tools, namespace, 'trick', parts);
    const created = await node.kubectl(['--as=eve', '--as-group=system:authenticated', 'create', '-f', '-'], {
      input: JSON.stringify(pod),
    });
    expectRefused(created, word);
    expect(created.stderr).toMatch(/sidegate/);
    expect(await node.must(['-n', namespace, 'get', 'pods', '-o', 'name'])).not.toContain('trick');
  });

  test.each(Object.values(containers))('a container of its own named %s is replaced by ours', async (name) => {
    const pod = labelledPod(node.images.tools, namespace, 'fake', { beside: { name } });
    const stored = JSON.parse(
      await node.must(['create', '--dry-run=server', '-o', 'json', '-f', '-'], { input: JSON.stringify(pod) }),
    ) as { spec: Record<'initContainers' | 'containers', { name: string; image: string }[]> };
    const all = [...stored.spec.initContainers, ...stored.spec.containers];
    expect(all.map((one) => [one.name, one.image])).toEqual([
      [containers.init, node.images.sidegate],
      [containers.sidecar, node.images.sidegate],
      ['model', node.images.tools],
    ]);
  });

  test.each(['kube-system', system])('in %s, where nobody is injected: refused', async (where) => {
    const pod = labelledPod(node.images.tools, where, 'trick');
    expectRefused(await node.kubectl(['create', '-f', '-'], { input: JSON.stringify(pod) }), '[sidecar_present]');
  });

  told(
    'put onto the node past the scheduler, and by a Job: governed like any other',
    async () => {
      const direct = labelledPod(node.images.tools, namespace, 'direct', {
        spec: { nodeName: await node.must(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}']) },
      });
      const { spec } = labelledPod(node.images.tools, namespace, 'job', {
        container: { command: ['node', '-e', ''] },
        beside: { command: ['node', '-e', ''] },
        spec: { restartPolicy: 'Never' },
      });
      const job = {
        ...{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job', namespace } },
        spec: { backoffLimit: 0, template: { metadata: { labels: { [inferenceLabel]: 'true' } }, spec } },
      };
      await node.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [direct, job] }));
      await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/direct', '--timeout=50s']);
      const ip = await node.must(['-n', namespace, 'get', 'pod', 'direct', '-o', 'jsonpath={.status.podIP}']);
      expect(await governed.curl(...chat, `https://${ip}:8000${path}`)).toMatchObject({ status: 401 });
      const { stdout } = await node.kubectl(['-n', namespace, 'logs', 'direct', '-c', 'model']);
      expect(stdout).not.toContain('attack');
      await node.must(['-n', namespace, 'wait', '--for=condition=complete', 'job/job', '--timeout=50s']);
      const names = await node.must([
        '-n',
        namespace,
        'get',
        'pods',
        '-l',
        'job-name=job',
        '-o',
        'jsonpath={.items[0].spec.initContainers[*].name}',
      ]);
      expect(names).toBe(`${containers.init} ${containers.sidecar}`);
    },
    240_000,
  );
});

describe('what runs stays as it was admitted', () => {
  test.each(people)(
    'for %s',
    (_, as) =>
      node.explained(namespace, async () => {
        const { pod } = governed;
        const kubectl = (...args: string[]): Promise<CommandResult> => node.kubectl([...as, '-n', namespace, ...args]);
        const before = await node.must([
          '-n',
          namespace,
          'get',
          'pod',
          pod,
          '-o',
          'jsonpath={.metadata.labels}{.metadata.annotations}{.spec}',
        ]);
        expectRefused(await kubectl('label', 'pod', pod, `${inferenceLabel}-`), '[label]');
        expectRefused(await kubectl('label', 'pod', pod, `${inferenceLabel}=false`, '--overwrite'), '[label]');
        expectRefused(
          await kubectl('annotate', 'pod', pod, `${annotations.portMap}={}`, '--overwrite'),
          '[annotations]',
        );
        expectRefused(await kubectl('annotate', 'pod', pod, `${annotations.injected}-`), '[annotations]');
        expectRefused(await kubectl('annotate', 'pod', pod, `${annotations.modelPorts}=1`), '[annotations]');
        expectRefused(
          await kubectl('set', 'image', `pod/${pod}`, `${containers.sidecar}=${node.images.tools}`),
          '[image]',
        );
        expectRefused(
          await kubectl('set', 'image', `pod/${pod}`, `${containers.init}=${node.images.tools}`),
          '[image]',
        );
        if (as.length === 0) {
          const relabel = JSON.stringify({ metadata: { labels: { [inferenceLabel]: null } } });
          expectRefused(await kubectl('patch', 'pod', pod, '--subresource=status', '-p', relabel), '[label]');
          const shrink = JSON.stringify({
            spec: { initContainers: [{ name: containers.sidecar, resources: { limits: { memory: '900Mi' } } }] },
          });
          expectRefused(await kubectl('patch', 'pod', pod, '--subresource=resize', '-p', shrink), '[resources]');
        }
        const after = await node.must([
          '-n',
          namespace,
          'get',
          'pod',
          pod,
          '-o',
          'jsonpath={.metadata.labels}{.metadata.annotations}{.spec}',
        ]);
        expect(after).toBe(before);
      }),
    180_000,
  );

  test.each(people)('%s mints no token for the controller', async (_, as) => {
    const mint = (...args: string[]): Promise<CommandResult> =>
      node.kubectl([...as, '-n', namespace, 'create', 'token', 'default', ...args]);
    expectRefused(await mint(`--audience=${controllerAudience}`), '[reserved_audience]');
    expectRefused(await mint('--audience=inference', `--audience=${controllerAudience}`), '[reserved_audience]');
    expectRefused(
      await mint(`--audience=${controllerAudience}`, '--bound-object-kind=Pod', `--bound-object-name=${governed.pod}`),
      '[reserved_audience]',
    );
    expect(await mint('--audience=inference')).toMatchObject({ status: 0 });
  });

  told("an editor has no way through the node's own API", async () => {
    const name = await node.must(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}']);
    for (const page of ['pods', `run/${namespace}/${governed.pod}/model?cmd=id`])
      expectRefused(await node.kubectl(['--as=eve', 'get', '--raw', `/api/v1/nodes/${name}/proxy/${page}`]), 'nodes');
  });

  told('an editor cannot take the label of the namespace', async () => {
    expectRefused(
      await node.kubectl(['--as=eve', 'label', 'namespace', namespace, 'sidegate.dev/governed-']),
      'namespaces',
    );
  });

  told('a copy by kubectl debug loses the label, and is refused for the names in it', async () => {
    const copy = await node.kubectl([
      ...[
        '-n',
        namespace,
        'debug',
        governed.pod,
        '--copy-to=copy',
        '--container=model',
        `--image=${node.images.tools}`,
        '--attach=false',
        '--',
        'sleep',
        '100',
      ],
    ]);
    expectRefused(copy, '[reserved_name]');
  });
});

describe('while parts are down', () => {
  const scale = async (deployment: string, replicas: number): Promise<void> => {
    await node.must(['-n', system, 'scale', `deployment/${deployment}`, `--replicas=${replicas}`]);
    if (replicas > 0) await node.must(['-n', system, 'rollout', 'status', `deployment/${deployment}`, '--timeout=60s']);
    else
      await node.must([
        '-n',
        system,
        'wait',
        '--for=delete',
        'pod',
        '-l',
        `app.kubernetes.io/component=${deployment.replace('sidegate-', '')}`,
        '--timeout=60s',
      ]);
  };
  const create = (name: string): Promise<CommandResult> =>
    node.kubectl(['create', '-f', '-'], { input: JSON.stringify(labelledPod(node.images.tools, namespace, name)) });

  told(
    'the controller: running pods go on, and nobody else gets in',
    async () => {
      await scale('sidegate-controller', 0);
      await governed.reachesNothing(async () => {
        expect(await governed.curl(...chat, `https://${governed.ip}:8000${path}`)).toMatchObject({ status: 401 });
      });
      await scale('sidegate-controller', 1);
    },
    240_000,
  );

  told(
    'the webhook: labelled pods and exec into governed ones are refused, the break-glass group, other pods and running ones go on',
    async () => {
      await scale('sidegate-webhook', 0);
      expectRefused(await create('unguarded'), 'inject.sidegate.dev');
      expectRefused(await node.exec(namespace, `pod/${governed.pod}`, ['true'], { container: 'beside' }), '[exec]');
      expect(await node.exec(namespace, 'pod/caller', ['true'])).toMatchObject({ status: 0 });
      expectRefused(
        await node.kubectl(['get', '--raw', `/api/v1/namespaces/${namespace}/services/https:llama:https/proxy/`]),
        'services.sidegate.dev',
      );
      expect(await governed.insideRun(['true'])).toMatchObject({ status: 0 });
      const { stdout } = await node.run('curl', ['-sk', '-m', '5', ...chat, `https://${governed.ip}:8000${path}`]);
      expect(stdout).toContain('token_missing');
    },
    240_000,
  );

  told(
    'its configurations removed: the API server itself refuses labelled pods',
    async () => {
      await node.must(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'sidegate']);
      await node.eventually(async () => (await create('unguarded')).stderr.includes('[sidecar_present]'));
      expect(await node.must(['-n', namespace, 'get', 'pods', '-o', 'name'])).not.toContain('unguarded');
      await install();
      await node.eventually(async () => (await create('guarded')).status === 0);
      // Of what was tried while no webhook let anybody into the caller's pod, either.
      await governed.reachesNothing(() => Promise.resolve());
    },
    240_000,
  );
});
