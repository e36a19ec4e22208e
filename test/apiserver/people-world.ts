import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectH2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { controlPlane, environment } from '../../pkg/contract/index.ts';
import type { GrantSpecResource, GrantStatusResource } from '../../pkg/crd/index.ts';
import { grantName } from '../../pkg/crd/index.ts';
import { createKubeClient, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { KubeObject } from '../../pkg/kube/index.ts';
import { auditFiles, spooledChains } from '../../pkg/record/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import type { KubeAnswer, KubeClient as PersonalClient } from '../cluster/kube-client.ts';
import { bundledProcesses } from '../support/bundles.ts';
import type { Issuer } from '../support/issuer.ts';
import { startIssuer } from '../support/issuer.ts';
import { fixedPorts } from '../support/ports.ts';
import type { ScriptedModel } from '../support/scripted-model.ts';
import { startScriptedModel } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';
import { apply, eventually, ofKind, renderChart } from './admission-chart.ts';
import { prepareWebhook } from './admission-process.ts';
import type { WebhookProcess } from './admission-process.ts';
import type { ApprovalObject } from './approval-world.ts';
import {
  installControllerRoles,
  ownNamespace,
  removeFolder,
  serviceAccountFolder,
  startControllerProcess,
} from './controller-process.ts';
import type { ControllerProcess } from './controller-process.ts';
import { installDefinitions } from './custom-resources.ts';
import { simulateSidecars } from './simulated-sidecars.ts';

/**
 * Callers, people who decide, and all that is between them: an API server, the controller, the webhook and the sidecars of two pods, each a
 * process of its own with the chart's roles and real tokens, an OpenID provider and a model server. What is not there is a node: the pods
 * exist for the API server alone, and their sidecars run on this machine's loopback.
 */
export interface PeopleWorld {
  readonly server: ApiServer;
  readonly issuer: Issuer;
  readonly model: ScriptedModel;
  /** The controller that was started last. */
  controller(): Controller;
  startController(): Promise<Controller>;
  /** Of the pod `llama-0` or `llama-1`; one after the other has the same folders, as a container that is started again. */
  startSidecar(pod: string): Promise<SidecarProcess>;
  /** Writes the policy of both pods, with these fields of `approvals`; resolves when each sidecar has it. */
  setPolicy(approvals: string): Promise<void>;
  /** A caller's token. */
  token(who: string): Promise<string>;
  /** One request over a connection of its own. */
  ask(sidecar: SidecarProcess, who: string, content: string, more?: { readonly stream?: boolean }): Promise<Call>;
  /** A connection of HTTP/2 that many requests share. */
  connect(sidecar: SidecarProcess, who: string): Promise<SharedConnection>;
  approvals(): Promise<readonly ApprovalObject[]>;
  /** Those of this prompt, oldest first. */
  approvalsOf(content: string): Promise<readonly ApprovalObject[]>;
  /** The one of this prompt that waits, once there is one. */
  waiting(content: string): Promise<string>;
  phase(name: string): Promise<string>;
  /** Appends somebody's decision, as `kubectl patch` does, in their own name. */
  vote(who: string, kind: 'approval' | 'grant', name: string, decision?: 'Approve' | 'Deny'): Promise<KubeAnswer>;
  /** The same by the real kubectl; rejects with what it says where it was not taken. */
  kubectlVote(who: string, name: string): Promise<void>;
  /** Approves by the decision endpoint, with the token of service account `oncall`. */
  voteByToken(name: string): Promise<number>;
  /** Access for a time, which kim asked for and lea approved; resolves when the sidecar lets the caller in. */
  grant(sidecar: SidecarProcess, subject: string, until: number): Promise<string>;
  /** As kim, who asked for it. */
  takeBack(name: string): Promise<KubeAnswer>;
  /** What the controllers recorded of this approval or grant, in order, each step as it was told first. */
  changes(name: string): readonly Recorded[];
  close(): Promise<void>;
}

export interface Controller extends ControllerProcess {
  metrics(): Promise<string>;
  /** Most that it had in memory so far. */
  peakMb(): number;
  /** As a crash does. */
  kill(): Promise<void>;
}

export interface SidecarProcess {
  readonly port: number;
  /** As a crash does. */
  kill(): Promise<void>;
  metrics(): Promise<string>;
  /** Most that it had in memory so far. */
  peakMb(): number;
  log(): string;
}

export interface Answer {
  /** 0: the connection broke before there was one. */
  readonly status: number;
  readonly text: string;
  /** It broke off. */
  readonly broken: boolean;
}

export interface Call {
  /** Never rejects. */
  readonly answer: Promise<Answer>;
  /** What has come so far. */
  text(): string;
}

export interface SharedConnection {
  ask(content: string): Promise<Answer>;
  close(): void;
}

/** A line of the record of a change. */
export interface Recorded {
  readonly step: string;
  readonly caller: { readonly subject: string };
  readonly usedBy?: string;
  readonly by?: string;
  readonly decisions?: readonly { readonly by: string; readonly at: string; readonly from?: string }[];
}

export const namespace = 'ml';
const podNames = ['llama-0', 'llama-1'] as const;
/** By which callers know the pods. */
const servingName = `llama.${namespace}.svc`;
const controllerName = `${controlPlane.controller}.${ownNamespace}.svc`;
const base = `/apis/sidegate.dev/v1alpha1/namespaces/${namespace}`;
const plural = { approval: 'inferenceapprovals', grant: 'inferencegrants' } as const;
/** Group of Kubernetes, and of the tokens of callers who need no grant. */
const [leads, engineers] = ['ml-leads', 'ml-eng'];

const policy = (issuer: string, approvals: string): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: p, namespace: ${namespace} }
spec:
  mode: Enforce
  identity:
    providers:
    - name: corp
      oidc: { issuer: "${issuer}", audiences: [inference], groupsClaim: groups, caSecretRef: { name: issuer-ca, key: ca.crt } }
      kubernetesUser: { claim: sub }
    - { name: robots, serviceAccount: { audiences: [decisions] } }
  access:
  - { name: engineers, effect: Allow, subjects: [{ group: ${engineers} }], operations: [Chat] }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: {
    approvers: [{ kubernetesGroup: ${leads} }, { subject: "system:serviceaccount:${namespace}:oncall", provider: robots }],
    ${approvals}
  }
`;

/** Most that a process had in memory, MB (proc_pid_status(5), `VmHWM`). */
const peakMb = ({ pid }: ChildProcess): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Infinity) / 1024;

const killed = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
};

const metricsAt = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

const bodyOf = (content: string, stream = false): string =>
  JSON.stringify({ model: 'llama-3-8b', ...(stream && { stream }), messages: [{ role: 'user', content }] });

/** @param approvals of the policy: `required` and `timeout` */
export async function startPeopleWorld(approvals: string): Promise<PeopleWorld> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    return await open(approvals, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** @param closers takes how to end each part, once there is something to end */
async function open(approvals: string, closers: (() => unknown)[], close: () => Promise<void>): Promise<PeopleWorld> {
  const issuerAuthority = await createClusterAuthority('authority');
  const issuerTls = await issuerAuthority.issue('issuer', [], ['localhost']);
  const [server, bundled, issuer, model, chart] = await Promise.all([
    startApiServer(),
    bundledProcesses(),
    startIssuer({ tls: issuerTls }),
    startScriptedModel(),
    renderChart(),
  ]);
  closers.push(
    () => server.stop(),
    () => issuer.close(),
    () => model.close(),
  );
  const admin = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
  closers.push(() => admin.close());
  await installDefinitions(server);
  for (const name of [ownNamespace, namespace]) await server.namespace(name);
  await installControllerRoles(server);
  await server.client.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'oncall' } });
  const account = await serviceAccountFolder(server, admin);
  closers.push(() => removeFolder(account));

  // Before there is a webhook, which would write a sidecar into them.
  const simulated = simulateSidecars(admin);
  const uids = new Map<string, string>();
  for (const name of podNames) {
    const uid = await simulated.makePod(name, '127.0.0.1');
    uids.set(name, uid);
    for (const part of ['state', 'spool']) mkdirSync(join(server.folder, name, part), { recursive: true });
    // Nor policies, which let kubelets alone ask for such tokens.
    writeFileSync(join(server.folder, name, 'token'), await simulated.tokenOf(name, uid));
  }
  await admin.create(
    resources.services,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace, name: 'llama' },
      spec: { selector: { app: 'llama' }, ports: [{ port: 443, targetPort: 8000 }] },
    },
    { namespace },
  );
  await admin.create(
    resources.secrets,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace, name: 'issuer-ca' },
      stringData: { 'ca.crt': issuerAuthority.cert },
    },
    { namespace },
  );

  const [streamPort = 0] = await fixedPorts(1);
  const spool = join(server.folder, 'controller-spool');
  mkdirSync(spool);
  let running: Controller | undefined;
  const startController = async (): Promise<Controller> => {
    const process = await startControllerProcess(server, {
      bundle: bundled,
      account,
      replica: 'sidegate-controller-1',
      port: streamPort,
      // Nobody is there: its record stays in the folder.
      args: ['--recorder=https://localhost:1', `--spool=${spool}`],
    });
    const { child, log } = process;
    closers.push(() => killed(child));
    const adminPort = (): string | undefined => /"controller is up".*?"admin":(\d+)/.exec(log())?.[1];
    await until(() => adminPort() !== undefined, log);
    running = {
      ...process,
      metrics: () => metricsAt(Number(adminPort())),
      peakMb: () => peakMb(child),
      kill: () => killed(child),
    };
    return running;
  };
  await startController();
  const trust = async (): Promise<string> =>
    (
      await admin.find<KubeObject & { readonly data: Readonly<Record<string, string>> }>(resources.configMaps, {
        namespace: ownNamespace,
        name: controlPlane.trust,
      })
    )?.data[controlPlane.caKey] ?? '';
  await until(async () => (await trust()) !== '', 'the authority is published', 60_000);
  const ca = await trust();

  const webhook: WebhookProcess = await prepareWebhook(server, chart);
  closers.push(() => webhook.kill());
  const bind = (role: string, kind: 'User' | 'Group', name: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: `${role}-${name}`, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind, name }],
  });
  await apply(server, [
    ...ofKind(chart, 'ClusterRole').filter(({ metadata }) =>
      ['sidegate-approver', 'sidegate-requester'].includes(metadata.name),
    ),
    bind('sidegate-approver', 'Group', leads),
    bind('sidegate-requester', 'User', 'kim'),
  ]);
  await webhook.start();
  const inAnotherName = grantOf(issuer.url, 'guest', Date.now() + 600_000, 'somebody');
  await eventually('the API server trusts the webhook', async () => {
    const { message } = await server.client.request('POST', `${base}/inferencegrants?dryRun=All`, inAnotherName);
    return message.includes('[other_user]');
  });

  const applyPolicy = async (more: string): Promise<void> => {
    const applied = await server.kubectl(['apply', '-f', '-'], { input: policy(issuer.url, more) });
    if (applied.status !== 0) throw new Error(applied.stderr);
  };
  await applyPolicy(approvals);
  const sidecars = new Set<SidecarProcess>();
  const setPolicy = async (more: string): Promise<void> => {
    await applyPolicy(more);
    const { metadata } = await admin.get<KubeObject>(resources.inferencePolicies, { namespace, name: 'p' });
    const info = `sidegate_policy_info{generation="p@${metadata.generation}"`;
    let seen = '';
    for (const one of sidecars) {
      const has = async (): Promise<boolean> => (seen = await one.metrics()).includes(info);
      await until(has, () => `${info}: ${/^sidegate_policy_info.*$/m.exec(seen)?.[0]} ${running?.log()}`, 60_000);
    }
  };

  const people = new Map<string, Promise<PersonalClient>>();
  const groupsOf = (who: string): readonly string[] => (['kim'].includes(who) ? [] : [leads]);
  const as = (who: string): Promise<PersonalClient> => {
    const known = people.get(who) ?? server.as({ user: who, groups: groupsOf(who) });
    people.set(who, known);
    return known;
  };
  const tokens = new Map<string, Promise<string>>();
  // Who needs a grant is in no group.
  const token = (who: string): Promise<string> => {
    const known = tokens.get(who) ?? issuer.token({ sub: who, groups: who.startsWith('guest') ? [] : [engineers] });
    tokens.set(who, known);
    return known;
  };

  const startSidecar = async (pod: string): Promise<SidecarProcess> => {
    const uid = uids.get(pod) ?? '';
    const folder = join(server.folder, pod);
    const [tls = 0, loopback = 0, probe = 0, adminPort = 0] = await fixedPorts(4);
    const child = spawn(
      process.execPath,
      [
        join(bundled, 'sidecar.js'),
        ...['--ports', `${new URL(model.url).port}=${tls}:${loopback}`, '--capture', 'Redirect'],
        ...['--controller', `https://127.0.0.1:${streamPort}`, '--controller-name', controllerName],
        ...['--token-file', join(folder, 'token'), '--state', join(folder, 'state'), '--spool', join(folder, 'spool')],
        ...['--grace', '30', '--host', '127.0.0.1', '--probe-port', `${probe}`, '--admin-port', `${adminPort}`],
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          [environment.controllerCa]: ca,
          [environment.podName]: pod,
          [environment.podNamespace]: namespace,
          [environment.podUid]: uid,
          [environment.podIp]: '127.0.0.1',
        },
      },
    );
    closers.push(() => killed(child));
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (log += piece));
    let reasons = '';
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(log);
        const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
        reasons = await answer.text();
        return answer.status === 200;
      },
      () => `the sidecar is ready: ${reasons}\n${log}\n${running?.log()}`,
      60_000,
    );
    const sidecar: SidecarProcess = {
      port: tls,
      async kill() {
        sidecars.delete(sidecar);
        await killed(child);
      },
      metrics: () => metricsAt(adminPort),
      peakMb: () => peakMb(child),
      log: () => log,
    };
    sidecars.add(sidecar);
    return sidecar;
  };

  const ask: PeopleWorld['ask'] = async ({ port }, who, content, { stream = false } = {}) => {
    const authorization = `Bearer ${await token(who)}`;
    let text = '';
    const answer = new Promise<Answer>((done) => {
      const sent = httpsRequest(
        {
          ...{ host: '127.0.0.1', port, servername: servingName, ca, agent: false },
          ...{ method: 'POST', path: '/v1/chat/completions' },
          headers: { authorization, 'content-type': 'application/json' },
        },
        (response) => {
          const status = response.statusCode ?? 0;
          response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
          response.on('end', () => done({ status, text, broken: !response.complete }));
          response.on('error', () => done({ status, text, broken: true }));
        },
      );
      sent.on('error', () => done({ status: 0, text, broken: true }));
      sent.end(bodyOf(content, stream));
    });
    return { answer, text: () => text };
  };

  const connect: PeopleWorld['connect'] = async ({ port }, who) => {
    const authorization = `Bearer ${await token(who)}`;
    const session = connectH2(`https://127.0.0.1:${port}`, { ca, servername: servingName });
    session.on('error', () => undefined);
    return { ask: (content) => askOver(session, authorization, content), close: () => session.destroy() };
  };

  const approvalsOf: PeopleWorld['approvalsOf'] = async (content) =>
    (await listed())
      .filter(({ spec }) => promptOf(spec) === content)
      .sort((one, other) => numberOf(one) - numberOf(other));
  const listed = (): Promise<readonly ApprovalObject[]> =>
    admin.list<ApprovalObject>(resources.inferenceApprovals, { namespace });
  const votesOn = async (kind: keyof typeof plural, name: string): Promise<Readonly<Record<string, unknown>>> => {
    const { status } = (await server.client.must('GET', `${base}/${plural[kind]}/${name}`)) as {
      status?: { phase?: string; decisions?: readonly object[] };
    };
    return { phase: status?.phase ?? 'Pending', decisions: status?.decisions ?? [] };
  };
  const withVote = async (who: string, kind: keyof typeof plural, name: string, decision: string) => {
    const { phase, decisions } = await votesOn(kind, name);
    const mine = { user: who, decision, at: new Date().toISOString() };
    return { status: { phase, decisions: [...(decisions as readonly object[]), mine] } };
  };
  const vote: PeopleWorld['vote'] = async (who, kind, name, decision = 'Approve') => {
    const body = await withVote(who, kind, name, decision);
    const path = `${base}/${plural[kind]}/${name}/status`;
    return (await as(who)).request('PATCH', path, body, 'application/merge-patch+json');
  };

  return {
    server,
    issuer,
    model,
    controller() {
      if (running === undefined) throw new Error('no controller was started');
      return running;
    },
    startController,
    startSidecar,
    setPolicy,
    token,
    ask,
    connect,
    approvals: listed,
    approvalsOf,
    async waiting(content) {
      let name: string | undefined;
      const pending = ({ status }: ApprovalObject): boolean => (status?.phase ?? 'Pending') === 'Pending';
      await until(
        async () => {
          name = (await approvalsOf(content)).findLast(pending)?.metadata.name;
          // Each list costs something, of a thousand.
          if (name === undefined) await pause(50);
          return name !== undefined;
        },
        () => `'${content}' waits: ${running?.log()}`,
      );
      return name ?? '';
    },
    phase: async (name) =>
      (await admin.get<ApprovalObject>(resources.inferenceApprovals, { namespace, name })).status?.phase ?? 'Pending',
    vote,
    async kubectlVote(who, name) {
      const body = JSON.stringify(await withVote(who, 'approval', name, 'Approve'));
      const kubeconfig = await server.kubeconfigFor(who, groupsOf(who));
      const patch = ['patch', 'inferenceapproval', name, '-n', namespace, '--subresource=status', '--type=merge'];
      const { status, stderr } = await server.kubectl([...patch, '-p', body], { kubeconfig });
      if (status !== 0) throw new Error(stderr);
    },
    async voteByToken(name) {
      const { status } = await admin.create<{ readonly status: { readonly token: string } }>(
        resources.serviceAccounts,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: { audiences: ['decisions'], expirationSeconds: 600 },
        },
        { namespace, name: 'oncall', subresource: 'token' },
      );
      const port = running?.decisions ?? 0;
      return decide({ port, ca, path: `/v1/namespaces/${namespace}/approvals/${name}/decision`, token: status.token });
    },
    async grant(sidecar, subject, end) {
      const asked = grantOf(issuer.url, subject, end, 'kim');
      const { name } = asked.metadata;
      await (await as('kim')).must('POST', `${base}/inferencegrants`, asked);
      type GrantObject = KubeObject & { readonly status?: GrantStatusResource };
      const opened = async (): Promise<boolean> =>
        (await admin.get<GrantObject>(resources.inferenceGrants, { namespace, name })).status?.required !== undefined;
      await until(opened, () => `it is said who decides: ${running?.log()}`, 60_000);
      const { status, message } = await vote('lea', 'grant', name);
      if (status !== 200) throw new Error(message);
      let last = '';
      await until(
        async () => {
          const answer = await (await ask(sidecar, subject, 'hello')).answer;
          last = answer.text;
          return answer.status === 200;
        },
        () => `the grant holds: ${last} ${running?.log()}`,
      );
      return name;
    },
    takeBack: async (name) => (await as('kim')).request('DELETE', `${base}/inferencegrants/${name}`),
    changes(name) {
      const steps = new Map<string, Recorded>();
      for (const line of linesOf(spool)) {
        const at = `${String(line['uid'])} ${String(line['step'])}`;
        // A controller that begins may tell again what the one before it told.
        if (line['name'] === `${namespace}/${name}` && !steps.has(at)) steps.set(at, line as unknown as Recorded);
      }
      return [...steps.values()];
    },
    close,
  };
}

function grantOf(issuer: string, subject: string, end: number, requestedBy: string) {
  const spec: GrantSpecResource = {
    ...{ issuer, subject, operations: ['Chat'], models: ['*'], reason: 'on call' },
    ...{ expiresAt: new Date(end).toISOString(), requestedBy },
  };
  return { apiVersion: 'sidegate.dev/v1alpha1', kind: 'InferenceGrant', metadata: { name: grantName(spec) }, spec };
}

/** What the caller said, as who decides is shown it. */
export const promptOf = ({ excerpt = '' }: ApprovalObject['spec']): string => excerpt.replace(/^.*?: /, '').trimEnd();

/** Approvals of one binding are numbered: `HASH-1`, `HASH-2`. */
const numberOf = ({ metadata }: ApprovalObject): number => Number(metadata.name.split('-').at(-1));

function linesOf(folder: string): readonly Readonly<Record<string, unknown>>[] {
  return spooledChains(folder).flatMap((chain) =>
    auditFiles(join(folder, `record-${chain}.jsonl`)).flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
    ),
  );
}

function askOver(session: ClientHttp2Session, authorization: string, content: string): Promise<Answer> {
  return new Promise((done) => {
    const path = '/v1/chat/completions';
    const stream = session.request({
      ...{ ':method': 'POST', ':path': path },
      ...{ authorization, 'content-type': 'application/json' },
    });
    let [status, text] = [0, ''];
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    stream.on('error', () => done({ status, text, broken: true }));
    stream.on('end', () => done({ status, text, broken: false }));
    stream.on('close', () => done({ status, text, broken: true }));
    stream.end(bodyOf(content));
  });
}

function decide(to: { port: number; ca: string; path: string; token: string }): Promise<number> {
  return new Promise((done, failed) => {
    const sent = httpsRequest(
      {
        ...{ host: '127.0.0.1', port: to.port, servername: controllerName, ca: to.ca, agent: false },
        ...{ method: 'POST', path: to.path, headers: { authorization: `Bearer ${to.token}` } },
      },
      (response) => response.resume().on('end', () => done(response.statusCode ?? 0)),
    );
    sent.on('error', failed);
    sent.end('{"decision":"Approve"}');
  });
}
