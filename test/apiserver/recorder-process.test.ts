import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openCluster } from '../../cmd/kubectl-sidegate/open-cluster.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import { describeError, jsonValue, parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import { controlPlane, inferenceLabel, inferenceLabelValue } from '../../pkg/contract/index.ts';
import { grantName } from '../../pkg/crd/index.ts';
import { KubeError, createKubeClient, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { KubeCall, KubeClient, KubeObject } from '../../pkg/kube/index.ts';
import { createAuthority, createKeyRequest, readAuthority, writeWorkloadId } from '../../pkg/pki/index.ts';
import type { HeadMap } from '../../pkg/recorder/index.ts';
import { sessionEvents, sessionId } from '../../pkg/recorder/testing/chains.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { runCommand } from '../cluster/command.ts';
import { findPrograms } from '../cluster/programs.ts';
import { bundledProcesses } from '../support/bundles.ts';
import { fixedPorts } from '../support/ports.ts';
import { until } from '../support/wait.ts';
import { installControllerRoles, ownNamespace, startControllerProcess } from './controller-process.ts';
import type { ControllerProcess } from './controller-process.ts';
import { serviceAccountFolder } from './controller-process.ts';
import { installDefinitions } from './custom-resources.ts';
import { machineAddress as address } from './pod-proxy.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';

// The bundled recorder with what the controller makes for it and the chart's roles; records of a sidecar's own code; and the
// auditor's commands through the API server's service proxy.

let server: ApiServer;
let admin: KubeClient;
let controller: ControllerProcess;
let folder: string;
let bundled: string;
let account: string;
let listen: number;
let uid: string;
let recorder: { readonly child: ChildProcess; readonly port: number; readonly audit: number; log(): string };

const secret = async (name: string): Promise<Readonly<Record<string, string>>> => {
  const found = await admin.find<KubeObject & { readonly data: Readonly<Record<string, string>> }>(resources.secrets, {
    namespace: ownNamespace,
    name,
  });
  return Object.fromEntries(
    Object.entries(found?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
};

async function startRecorderProcess(): Promise<typeof recorder> {
  const child = spawn(
    process.execPath,
    [
      join(bundled, 'recorder.js'),
      `--data=${join(folder, 'data')}`,
      `--tls=${folder}`,
      `--trust=${join(folder, 'ca.crt')}`,
      `--log-key=${join(folder, 'key.pem')}`,
      '--publish-heads',
      `--namespace=${ownNamespace}`,
      `--kubeconfig=${join(folder, 'kubeconfig')}`,
      `--listen=127.0.0.1:${listen}`,
      '--audit=0.0.0.0:0',
      '--admin=127.0.0.1:0',
    ],
    { env: {}, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const found = (): RegExpExecArray | null => /"recorder is up","port":(\d+),"audit":(\d+)/.exec(text);
  await until(
    () => found() !== null,
    () => `the recorder: ${text}`,
  );
  const [, port, audit] = found() ?? [];
  return { child, port: Number(port), audit: Number(audit), log: () => text };
}

const governedPod: KubeObject & { readonly spec: object } = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'llama-0', namespace: 'ml', labels: { [inferenceLabel]: inferenceLabelValue } },
  spec: { containers: [{ name: 'llama', image: 'llama' }] },
};
const podName = 'sidegate-recorder-0';

/** The service and where it leads, as the endpoint controller would have written it. */
async function publish(port: number): Promise<void> {
  if (address === undefined) return;
  const ref = { namespace: ownNamespace, name: podName };
  if ((await admin.find(resources.pods, ref)) === undefined) {
    const spec = { containers: [{ name: 'recorder', image: 'sidegate:1' }] };
    await admin.create(
      resources.pods,
      { apiVersion: 'v1', kind: 'Pod', metadata: ref, spec },
      { namespace: ownNamespace },
    );
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
    await admin.patch(resources.pods, ref, { type: 'merge', body: { status } }, 'status');
  }
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: controlPlane.recorder, namespace: ownNamespace },
      spec: { ports: [{ name: 'audit', port: 8445, targetPort: port, protocol: 'TCP' }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: controlPlane.recorder, namespace: ownNamespace },
      // The proxy goes to addresses of pods alone.
      subsets: [
        {
          addresses: [{ ip: address, targetRef: { kind: 'Pod', namespace: ownNamespace, name: podName } }],
          ports: [{ name: 'audit', port, protocol: 'TCP' }],
        },
      ],
    },
  ];
  for (const object of objects) {
    const { status, stderr } = await server.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) });
    if (status !== 0) throw new Error(stderr);
  }
}

beforeAll(async () => {
  [server, bundled] = [await startApiServer(), bundledProcesses()];
  folder = mkdtempSync(join(tmpdir(), 'sidegate-recorder-process-'));
  await installDefinitions(server);
  for (const name of [ownNamespace, 'ml']) await server.namespace(name);
  await installControllerRoles(server);
  const { helm = '' } = findPrograms(['helm']);
  const chart = resolve(import.meta.dirname, '../../charts/sidegate');
  const parts = ['recorder/serviceaccount', 'recorder/rbac', 'recorder/heads', 'admission/log-heads'].flatMap(
    (name) => ['-s', `templates/${name}.yaml`],
  );
  const rendered = await runCommand(helm, ['template', 'sidegate', chart, '-n', ownNamespace, ...parts]);
  const applied = await server.kubectl(['apply', '-f', '-'], { input: rendered.stdout });
  if (applied.status !== 0) throw new Error(`${rendered.stderr}${applied.stderr}`);
  admin = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
  account = await serviceAccountFolder(server, admin);
  [listen = 0] = await fixedPorts(1);
  mkdirSync(join(folder, 'controller-spool'));
  // Its pod: without it, its record would count as that of one that is gone.
  const controllerPod = {
    ...governedPod,
    metadata: { namespace: ownNamespace, name: 'sidegate-controller-1' },
  };
  await admin.create(resources.pods, controllerPod, { namespace: ownNamespace });
  controller = await startControllerProcess(server, {
    bundle: bundled,
    account,
    replica: 'sidegate-controller-1',
    args: [`--recorder=https://localhost:${listen}`, `--spool=${join(folder, 'controller-spool')}`],
  });
  await until(
    async () =>
      (await secret(controlPlane.recorderTls))['tls.crt'] !== undefined &&
      (await secret(controlPlane.logKey))['key.pem'] !== undefined &&
      (await admin.find(resources.configMaps, { namespace: ownNamespace, name: controlPlane.log })) !== undefined,
    'what the controller makes for the recorder',
  );
  const state = readAuthority(await secret(controlPlane.authority));
  const authority = createAuthority({ state, clock: systemClock });
  // The controller's certificate for it has no name that leads to this machine.
  const serving = createKeyRequest();
  const dnsNames = ['localhost', `${controlPlane.recorder}.${ownNamespace}.svc`];
  uid = (await admin.create<KubeObject>(resources.pods, governedPod, { namespace: 'ml' })).metadata.uid ?? '';
  const { key, csr } = createKeyRequest();
  const uri = writeWorkloadId('cluster.local', { namespace: 'ml', serviceAccount: 'default', uid });
  // The recorder's own account, with the chart's roles.
  const token = await admin.create<{ readonly status: { readonly token: string } }>(
    resources.serviceAccounts,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } },
    { namespace: ownNamespace, name: controlPlane.recorder, subresource: 'token' },
  );
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'c',
        cluster: { server: server.url, 'certificate-authority-data': Buffer.from(server.ca).toString('base64') },
      },
    ],
    users: [{ name: 'u', user: { token: token.status.token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  for (const [name, text] of Object.entries({
    'tls.crt': await authority.sign({ purpose: 'server', csr: serving.csr, dnsNames }),
    'tls.key': serving.key,
    'ca.crt': authority.bundle(),
    'key.pem': (await secret(controlPlane.logKey))['key.pem'],
    kubeconfig: JSON.stringify(kubeconfig),
    'identity.pem': await authority.sign({ purpose: 'client', csr, uri }),
    'identity-key.pem': key,
  }))
    writeFileSync(join(folder, name), text ?? '');
  mkdirSync(join(folder, 'spool'));
  recorder = await startRecorderProcess();
}, 200_000);
afterAll(async () => {
  recorder?.child.kill('SIGKILL');
  controller?.child.kill('SIGKILL');
  admin?.close();
  await server?.stop();
  for (const one of [folder, account]) if (one !== undefined) rmSync(one, { recursive: true, force: true });
});

/** Sends sessions as a sidecar does, until they are acknowledged. The recorder's real name is in its certificate. */
async function record(sessions: readonly Parameters<typeof sessionEvents>[0][]): Promise<void> {
  const pod = openPodRecord({
    folder: join(folder, 'spool'),
    limit: 1 << 30,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
  });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const sender = pod.sendBy({
    identity: () => ({ cert: read('identity.pem'), key: read('identity-key.pem') }),
    trust: () => read('ca.crt'),
    recorder: () => `https://127.0.0.1:${recorder.port}`,
    recorderName: () => `${controlPlane.recorder}.${ownNamespace}.svc`,
    onRecorder: () => () => undefined,
  });
  for (const session of sessions) pod.audit.append(sessionEvents(session));
  const sent = await sender.flush(20_000);
  await pod.finish(5_000);
  if (!sent) throw new Error(`the record was not acknowledged: ${recorder.log()}`);
}

/** Where the machine has no address but loopback, which the service proxy refuses, questions go past it. */
function around(client: KubeClient): KubeClient {
  if (address !== undefined) return client;
  return {
    ...client,
    request(call) {
      const [, path] =
        /^\/api\/v1\/namespaces\/[^/]+\/services\/https:sidegate-recorder:audit\/proxy(.*)$/.exec(call.path) ?? [];
      return path === undefined ? client.request(call) : askDirectly({ ...call, path });
    },
  };
}
function askDirectly({ method, path, headers, body }: KubeCall): Promise<JsonValue> {
  return new Promise((done, failed) => {
    const ca = readFileSync(join(folder, 'ca.crt'), 'utf8');
    const servername = `${controlPlane.recorder}.${ownNamespace}.svc`;
    const sent = httpsRequest({ host: '127.0.0.1', port: recorder.audit, method, path, headers, ca, servername });
    sent.on('error', failed);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const answer = jsonValue(parseJson(text)) as { readonly message?: string };
        if (response.statusCode === 200) done(answer as JsonValue);
        else failed(new KubeError('refused', answer.message ?? ''));
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const sidegate = (line: string, kubeconfig = server.kubeconfig) =>
  sidegateCommand([...line.split(' '), '--kubeconfig', kubeconfig], {
    writeFile: (path, text) => writeFileSync(path, text),
    async openCluster(choice) {
      const cluster = await openCluster(choice);
      return { ...cluster, client: around(cluster.client) };
    },
  });

describe('the recorder', () => {
  test('keeps what a sidecar sends, and auditors find, read and prove it', async () => {
    await record([
      { id: sessionId(1), user: 'ana', ask: 'where is the falcon' },
      { id: sessionId(2), user: 'bob', outcome: 'refused', rule: 'support/no-secrets', by: ['Secrets'] },
    ]);
    // SIGTERM signs the head; a start goes on with the same log.
    recorder.child.kill('SIGTERM');
    await until(() => recorder.child.exitCode !== null, 'the end of the recorder');
    expect(recorder.child.exitCode).toBe(0);
    recorder = await startRecorderProcess();
    await publish(recorder.audit);

    const search = async (flags: string): Promise<string[]> => {
      const { code, out, err } = await sidegate(`audit search -o jsonl ${flags}`.trim());
      expect({ code, err }).toEqual({ code: 0, err: '' });
      return out
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => parseJson(line).get('session')?.text ?? '');
    };
    let last = '';
    const way = async (): Promise<boolean> => {
      const { code, err } = await sidegate('audit search');
      last = err;
      return code === 0;
    };
    await until(way, () => `the way to the recorder: ${last}`);
    expect(await search('--user ana')).toEqual([sessionId(1)]);
    expect(await search('--text falcon')).toEqual([sessionId(1)]);
    expect(await search('--act blocked --detector Secrets')).toEqual([sessionId(2)]);
    expect(await search('-n other')).toEqual([]);
    const table = await sidegate('audit search --rule support/no-secrets');
    expect(table.out).toMatch(/^TIME .*\n.*bob .*refused .*guard_blocked/);
    const shown = await sidegate(`audit show ${sessionId(1)}`);
    expect(shown.out).toContain('where is the falcon');
    expect((await sidegate(`audit show ${sessionId(9)}`)).code).toBe(1);
    const replayed = await sidegate(`audit replay ${sessionId(1)} --speed 10`);
    expect(replayed.out).toMatch(/^> \+0 ms .*\n\| where is the falcon\n< \+5 ms .*\n\| hi\n= \+12 ms/);
    expect((await sidegate(`audit explain ${sessionId(2)}`)).out).toContain('support/no-secrets: blocked by Secrets');

    const proven = await sidegate(`audit verify --save-head ${join(folder, 'head')}`);
    expect(proven).toMatchObject({ code: 0, err: '' });
    expect(proven.out).toMatch(/^proven: [0-9]+ entries under [1-9][0-9]* signed heads, [1-9][0-9]* lines/);

    const file = join(folder, 'export.jsonl');
    const key = join(folder, 'public.pem');
    expect(await sidegate(`audit export --out ${file} --key-out ${key}`)).toMatchObject({ code: 0 });
    const offline = `audit verify --file ${file} --key ${key} --head ${join(folder, 'head')}`;
    expect(await sidegate(offline, '/nowhere')).toMatchObject({ code: 0 });
    const one = `--session ${sessionId(1)}`;
    expect((await sidegate(`audit verify ${one}`)).out).toMatch(
      /^proven: session [0-9a-f]{32}: 3 lines under the head/,
    );
    expect((await sidegate(`${offline} ${one}`, '/nowhere')).out).toMatch(/^proven: session/);
    const receipt = `id=${sessionId(1)};`;
    expect(await sidegate(`audit verify --receipt ${receipt}`)).toMatchObject({ code: 2 });
    // The authorities that the cluster publishes are those that the log names.
    expect(await sidegate(`${offline} --authorities ${join(folder, 'ca.crt')}`, '/nowhere')).toMatchObject({ code: 0 });
    expect((await sidegate(`audit verify`)).out).toMatch(/ [1-9][0-9]* of them signed by their sidecars/);
    writeFileSync(file, readFileSync(file, 'utf8').replace('where is the falcon', 'where is the pigeon'));
    const found = await sidegate(offline, '/nowhere');
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/^changed: entry [0-9]+: line 1 of spiffe/);
    expect(await sidegate(`${offline} ${one}`, '/nowhere')).toMatchObject({ code: 1 });

    // Who asked what is on record itself.
    const entries = await sidegate(`audit export --no-lines --out ${file}`);
    expect(entries.code).toBe(0);
    const read = readFileSync(file, 'utf8');
    expect(read).toContain(`system:serviceaccount:${ownNamespace}:${controlPlane.auditor} (says: `);
    expect(read).toContain('falcon');
  }, 120_000);

  test('keeps its signed heads in the cluster, where it cannot take one back', async () => {
    await publish(recorder.audit);
    const ref = { namespace: ownNamespace, name: controlPlane.logHeads };
    const heads = async (): Promise<Readonly<Record<string, string>>> =>
      (await admin.find<HeadMap>(resources.configMaps, ref))?.data ?? {};
    await until(async () => Object.keys(await heads()).length > 0, recorder.log);
    await until(
      async () => (await sidegate('audit verify --heads')).code === 0,
      () => recorder.log(),
    );
    expect((await sidegate('audit verify --heads')).out).toMatch(
      /\nkey [0-9a-f]{16}: [1-9][0-9]* heads, over [0-9]+ to/,
    );
    const [[day = '', head = ''] = []] = Object.entries(await heads());
    const size = Number(/"size":([0-9]+)/.exec(head)?.[1]);
    const other = (to: number): string => head.replace(/"size":[0-9]+/, `"size":${to}`);
    const later = (to: number): string => `${2_100 + to}-01-01`;
    const said = (text: string): string => (text.includes('[heads]') ? 'refused' : text);
    /** By the account that alone may. */
    const patchWith = async (body: object): Promise<string> => {
      const file = join(folder, 'patch.json');
      writeFileSync(file, JSON.stringify(body));
      const { status, stderr } = await server.kubectl([
        ...['patch', 'configmap', ref.name, '-n', ref.namespace, '--type=merge', `--patch-file=${file}`],
        `--as=system:serviceaccount:${ref.namespace}:${controlPlane.recorder}`,
      ]);
      return status === 0 ? 'done' : said(stderr);
    };
    const patch = (data: Record<string, string | null>): Promise<string> => patchWith({ data });
    const patchAsAnother = (body: object): Promise<string> =>
      admin.patch(resources.configMaps, ref, { type: 'merge', body }).then(
        () => 'done',
        (error: unknown) => said(describeError(error)),
      );
    await until(async () => (await patch({ [day]: null })) === 'refused', 'the policy is in force');
    if ((await heads())[day] === undefined) await patch({ [day]: head });
    for (const data of [
      { [day]: null },
      { [day]: other(size - 1) },
      { [day]: 'x' },
      { '2020-01-01': head },
      { words: head },
      { [later(0)]: 'x' },
    ])
      expect([data, await patch(data)]).toEqual([data, 'refused']);
    // Nobody else adds one, whatever rights they have; what is no head they may write.
    for (const data of [{ [later(0)]: other(size + 1) }, { [day]: other(size + 1) }, { [later(0)]: head }])
      expect([data, await patchAsAnother({ data })]).toEqual([data, 'refused']);
    expect(await patchAsAnother({ metadata: { labels: { 'sidegate.dev/test': 'of-another' } } })).toBe('done');
    // A head that nobody signed is taken, and found; an old one under a day to come keeps no longer one from being written.
    expect(await patch({ [later(399)]: head })).toBe('done');
    expect(await patch({ [day]: other(size + 1_000_000) })).toBe('done');
    expect(await patch({ [later(0)]: other(size + 2_000_000) })).toBe('done');
    expect(await patch({ [day]: other(size + 3_000_000) })).toBe('refused');
    const found = await sidegate('audit verify --heads');
    expect([found.code, found.out]).toEqual([1, expect.stringContaining('head_forged')]);
    // Nor may anybody keep them out for ever by what is no head.
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid: '00000000-0000-4000-8000-000000000000' };
    for (const body of [
      { immutable: true },
      { binaryData: { words: 'AAAA' } },
      { metadata: { ownerReferences: [owner] } },
    ])
      expect([body, await patchAsAnother(body), await patchWith(body)]).toEqual([body, 'refused', 'refused']);
    // However many days there are, and are said to be to come, none goes: eight years of them.
    const many = (from: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: 1_450 }, (_, at) => [
          new Date(Date.UTC(2_600, 0, from + at)).toISOString().slice(0, 10),
          head,
        ]),
      );
    expect(await patch(many(1))).toBe('done');
    expect(await patch({ ...many(2_001), [day]: null })).toBe('refused');
    expect(await patch(many(2_001))).toBe('done');
    for (const data of [{ '2700-01-01': head, [day]: null }, { [day]: null }, { [later(399)]: null }])
      expect([data, await patch(data)]).toEqual([data, 'refused']);
    expect(await patch({ '2700-01-01': other(size + 4_000_000) })).toBe('done');
    // Its own account may write there, and make or delete nothing.
    const may = (verb: string): Promise<{ readonly stdout: string }> =>
      server.kubectl([
        ...['auth', 'can-i', verb, `configmap/${ref.name}`, '-n', ref.namespace],
        `--as=system:serviceaccount:${ref.namespace}:${controlPlane.recorder}`,
      ]);
    for (const [verb, answer] of [
      ['patch', 'yes'],
      ['delete', 'no'],
      ['update', 'no'],
    ] as const)
      expect([verb, (await may(verb)).stdout.trim()]).toEqual([verb, answer]);
  }, 120_000);

  test('answers nobody whose token was revoked, with the rights that the chart gives it', async () => {
    await publish(recorder.audit);
    const list = { namespace: ownNamespace, name: controlPlane.revocations };
    await until(async () => (await admin.find(resources.configMaps, list)) !== undefined, 'the list');
    const auditor = { namespace: ownNamespace, name: controlPlane.auditor, subresource: 'token' };
    const { status } = await admin.create<{ readonly status: { readonly token: string } }>(
      resources.serviceAccounts,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } },
      auditor,
    );
    const claims = Buffer.from(status.token.split('.')[1] ?? '', 'base64url').toString();
    const issuer = parseJson(claims).get('iss')?.string ?? '';
    const subject = `system:serviceaccount:${ownNamespace}:${controlPlane.auditor}`;
    const search = () => sidegate('audit search');
    await until(async () => (await search()).code === 0, recorder.log);
    const taken = await sidegate(
      `access revoke-token --issuer ${issuer} --subject ${subject} --for 1h --system ${ownNamespace}`,
    );
    const [, name = ''] = /^(\S+):/.exec(taken.out) ?? [];
    await until(async () => (await search()).code === 1, recorder.log);
    expect((await search()).err).toContain('the token is not one for the recorder');
    await sidegate(`access revoke-token --undo ${name} --system ${ownNamespace}`);
    await until(async () => (await search()).code === 0, recorder.log);
    // That list, and no other object of its kind.
    const may = (what: string): Promise<{ readonly stdout: string }> =>
      server.kubectl([
        ...['auth', 'can-i', 'watch', what, '-n', ownNamespace],
        `--as=system:serviceaccount:${ownNamespace}:${controlPlane.recorder}`,
      ]);
    const answers = [];
    for (const what of [`configmap/${list.name}`, 'configmaps', 'inferencepolicies.sidegate.dev', 'secrets'])
      answers.push((await may(what)).stdout.trim());
    expect(answers).toEqual(['yes', 'no', 'no', 'no']);
  }, 120_000);

  test('is told by the controller how policies are, by the certificate that the controller has made for it; nobody else is', async () => {
    const spec = { access: [{ name: 'r', effect: 'Allow', subjects: [{ anyone: true }], operations: ['Health'] }] };
    const policy = { apiVersion: 'sidegate.dev/v1alpha1', kind: 'InferencePolicy', metadata: { name: 'told' }, spec };
    await admin.create(resources.inferencePolicies, policy, { namespace: 'ml' });
    const made = await secret(controlPlane.recorderTls);
    const ca = readFileSync(join(folder, 'ca.crt'), 'utf8');
    const servername = `${controlPlane.controller}.${ownNamespace}.svc`;
    const ask = (own: { readonly cert?: string | undefined; readonly key?: string | undefined }): Promise<string> =>
      new Promise((done, failed) => {
        const at = { host: '127.0.0.1', port: controller.decisions, path: '/v1/policies?namespace=ml', servername, ca };
        const sent = httpsRequest({ ...at, ...own, agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () => done(`${response.statusCode ?? 0} ${text}`));
        });
        sent.on('error', failed);
        sent.end();
      });
    const own = { cert: made['tls.crt'], key: made['tls.key'] };
    await until(async () => /"type":"Accepted","status":"True"/.test(await ask(own)), controller.log);
    expect(await ask(own)).toMatch(
      /^200 \{"policies":\[\{"namespace":"ml","name":"told","generation":1,"observed":1,"cond/,
    );
    expect(await ask(own)).not.toContain('subjects');
    const sidecar = ['identity.pem', 'identity-key.pem'].map((name) => readFileSync(join(folder, name), 'utf8'));
    for (const others of [{}, { cert: sidecar[0], key: sidecar[1] }])
      expect(await ask(others)).toBe('403 {"error":"not_allowed"}');
  }, 120_000);

  test('has what became of grants and revocations, from the controller’s own record', async () => {
    await publish(recorder.audit);
    const list = { namespace: ownNamespace, name: controlPlane.revocations };
    await until(async () => (await admin.find(resources.configMaps, list)) !== undefined, 'the list');
    const spec = {
      ...{ issuer: 'https://idp', subject: 'gil', operations: ['Chat'], models: ['m'], reason: 'x' },
      ...{ requestedBy: 'kim', expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
    };
    const name = grantName(spec);
    const metadata = { namespace: 'ml', name };
    const grant = { apiVersion: 'sidegate.dev/v1alpha1', kind: 'InferenceGrant', metadata, spec };
    await admin.create(resources.inferenceGrants, grant, { namespace: 'ml' });
    // The controller has seen it: no pod of the namespace says who decides.
    const seen = async (): Promise<boolean> =>
      JSON.stringify(await admin.find(resources.inferenceGrants, { namespace: 'ml', name })).includes('Decidable');
    await until(seen, controller.log);
    await admin.delete(resources.inferenceGrants, { namespace: 'ml', name });
    const revoke = 'access revoke-token --issuer https://idp --subject mallory';
    expect(await sidegate(revoke)).toMatchObject({ code: 0, err: '' });
    const search = async (flags: string): Promise<string> => (await sidegate(`audit search ${flags}`)).out;
    await until(
      async () => (await search('--operation Revocation --user mallory')).includes('revoked'),
      controller.log,
    );
    await until(async () => (await search('--operation Grant --user gil')).includes('withdrawn'), controller.log);
    const [, id = ''] = /([0-9a-f]{32})/.exec(await search('--operation Grant --user gil')) ?? [];
    expect((await sidegate(`audit show ${id}`)).out).toMatch(
      / grant ml\/grant-[0-9a-f]{40}: withdrawn for gil asked by kim until 20/,
    );
    expect(controller.log()).not.toContain('could not be recorded');
  }, 60_000);

  test('says which record did not come to its end with its pod, as the controller tells it', async () => {
    await publish(recorder.audit);
    await until(() => /"message":"serving"/.test(controller.log()), 'the controller');
    // Not a word that it stops: it may have written more.
    await record([{ id: sessionId(3) }]);
    await admin.delete(resources.pods, { namespace: 'ml', name: 'llama-0' });
    const found = async (): Promise<boolean> => (await sidegate('audit verify')).out.includes('lost with its pod');
    await until(found, () => `the entry: ${controller.log().slice(-2_000)}`, 60_000);
    const { code, out } = await sidegate('audit verify');
    expect(code).toBe(0);
    expect(out).toContain(`lost with its pod: spiffe://cluster.local/ns/ml/sa/default/pod/${uid}, gone at 20`);
    expect(out).toContain('it did not say that it stops');
  }, 120_000);

  test('answers nobody without a token for it, or without the right', async () => {
    await publish(recorder.audit);
    const token = async (
      audiences: readonly string[] | undefined,
      namespace: string,
      name: string,
    ): Promise<string> => {
      const made = await admin.create<{ readonly status: { readonly token: string } }>(
        resources.serviceAccounts,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { expirationSeconds: 600, ...(audiences === undefined ? {} : { audiences }) },
        },
        { namespace, name, subresource: 'token' },
      );
      return made.status.token;
    };
    const path = `/api/v1/namespaces/${ownNamespace}/services/https:${controlPlane.recorder}:audit/proxy/v1/search`;
    const ask = async (headers: Readonly<Record<string, string>>, body: object = {}): Promise<string> => {
      try {
        await around(admin).request({ method: 'POST', path, body, headers });
        return 'answered';
      } catch (error) {
        return (error as Error).message;
      }
    };
    const header = async (...of: Parameters<typeof token>) => ({ 'x-sidegate-token': await token(...of) });
    expect(await ask({})).toMatch(/token/);
    // Of the API server itself: not for the recorder.
    expect(await ask(await header(undefined, ownNamespace, controlPlane.auditor))).toMatch(/token/);
    expect(await ask(await header(['sidegate.dev/controller'], ownNamespace, controlPlane.auditor))).toMatch(/token/);
    const stranger = await header(['sidegate.dev/recorder'], 'ml', 'default');
    expect(await ask(stranger)).toMatch(/may not/);
    const good = await header(['sidegate.dev/recorder'], ownNamespace, controlPlane.auditor);
    expect(await ask(good)).toBe('answered');
    expect(await ask(good, { everything: true })).toMatch(/everything/);
    // A right in one namespace is for that one alone.
    const bound = await server.kubectl([
      'create',
      'rolebinding',
      'auditors',
      '-n',
      'ml',
      '--clusterrole=sidegate-record-reader',
      '--serviceaccount=ml:auditor',
    ]);
    expect(bound.status).toBe(0);
    expect((await server.kubectl(['create', 'serviceaccount', 'auditor', '-n', 'ml'])).status).toBe(0);
    const ofNamespace = await header(['sidegate.dev/recorder'], 'ml', 'auditor');
    expect(await ask(ofNamespace, { namespace: 'ml' })).toBe('answered');
    expect(await ask(ofNamespace)).toMatch(/may not/);
    expect(await ask(ofNamespace, { namespace: 'other' })).toMatch(/may not/);
    // Holds are a right of their own.
    const hold = 'audit hold --user ana --reason case-7';
    expect((await sidegate(hold)).err).toMatch(/may not place or release holds/);
    const investigator = [
      'create',
      'clusterrolebinding',
      'investigators',
      '--clusterrole=sidegate-record-investigator',
    ];
    expect((await server.kubectl([...investigator, '--serviceaccount=ml:auditor'])).status).toBe(0);
    expect(await sidegate(`${hold} --service-account ml/auditor`)).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^hold 1\nit holds [0-9]+ sessions, in [0-9]+ blocks of lines\n(?:nothing in the store goes with it: .*\n)?$/,
      ),
      err: '',
    });
    expect((await sidegate('audit holds')).out).toMatch(/^1 .*system:serviceaccount:ml:auditor.*"user":"ana".*case-7/);
    const release = 'audit release 1 --reason closed --service-account ml/auditor';
    expect((await sidegate(release)).out).toBe('hold 1 is released\n');
    expect((await sidegate('audit hold --reason r')).code).toBe(2);
  });
});
