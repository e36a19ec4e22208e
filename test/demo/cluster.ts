// `make demo-cluster`: the user's day on a one-node Kubernetes of this machine, one line a step, and the cluster stays up to play with.
// ONCE=1 ends after the tour with the exit code. The cluster itself is brought up by `make cluster-up`.
import { startNode } from '../cluster/node.ts';
import { planDay, secrets, streamedText, system } from '../day/day.ts';
import { policy, workloads } from '../day/manifests.ts';
import { Report } from './report.ts';
import type { Outcome } from './report.ts';

const namespace = 'ml';
const report = new Report();
const node = await startNode();
const day = planDay(node, namespace);

const clean = (text: string): boolean => secrets.every((secret) => !text.includes(secret));
const codeOf = (body: string): string => /"code":"([a-z_]+)"/.exec(body)?.[1] ?? '';
const answered = (
  { status, body }: { readonly status: number; readonly body: string },
  expected: number,
  why: string,
  also = true,
): Outcome => ({ came: `${status} ${codeOf(body)}`.trim(), why, kept: status === expected && also });
const jsonPath = (path: string, ...what: readonly string[]): Promise<string> =>
  node.must(['-n', namespace, 'get', ...what, '-o', `jsonpath=${path}`]);

report.note(`a Kubernetes of this machine's own; images ${node.images.sidegate}, ${node.images.tools}`);

report.heading('A model without Sidegate');
await node.namespace(namespace);
await node.apply(workloads(namespace, node.images.tools));
await report.step('deployment/llama, two replicas, plain HTTP', async () => {
  await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=90s']);
  await node.must(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/caller', '--timeout=60s']);
  return { came: 'ready', why: 'anybody in the cluster may ask it anything', kept: true };
});

report.heading('helm install');
await report.step('helm install sidegate charts/sidegate', async () => {
  await day.install();
  return { came: 'installed', why: `2 controllers and 2 webhooks in ${system}`, kept: true };
});
await report.step('kubectl sidegate check', async () => {
  // A leader is elected within the time of a lease.
  await node.eventually(async () => (await day.sidegate('check')).status === 0);
  const { status, stdout } = await day.sidegate('check');
  return {
    came: stdout.trim().split('\n').at(-1) ?? '',
    why: 'a line for each thing that should hold',
    kept: status === 0,
  };
});

report.heading('kubectl sidegate enable deployment/llama');
await report.step('label the pod template', async () => {
  const { status, stdout } = await day.sidegate('enable', '-n', namespace, 'deployment/llama');
  await node.must(['-n', namespace, 'rollout', 'status', 'deployment/llama', '--timeout=120s'], { timeoutMs: 130_000 });
  return { came: 'rolled out', why: stdout.split('\n')[0] ?? '', kept: status === 0 };
});
await report.step('each pod has', async () => {
  // Pods from before the label may still be ending.
  const governed = 'app=llama,sidegate.dev/inference=true';
  const each = await jsonPath('{range .items[*]}{.spec.initContainers[*].name}{"\\n"}{end}', 'pods', '-l', governed);
  const [names = '', ...others] = each.trim().split('\n');
  const kept = names === 'sidegate-init sidegate' && others.length > 0 && others.every((one) => one === names);
  return { came: names, why: 'the first sets traffic rules and ends', kept };
});
await report.step('kubectl sidegate ca > ca.pem', async () => {
  const pem = await day.trust();
  await node.eventually(async () => (await day.chat('hello')).status !== 0);
  return { came: `${pem.length} bytes`, why: 'what callers trust', kept: pem.includes('BEGIN CERTIFICATE') };
});
await report.step('https://llama.ml.svc, no policy yet', async () =>
  answered(await day.chat('hello'), 403, 'default deny'),
);
await report.step('http://, to the pod itself', async () => {
  const [pod] = await day.models();
  return answered(await day.curl(`http://${pod?.ip ?? ''}:8000/v1/models`), 426, 'the port is captured');
});

report.heading('kubectl apply -f policy.yaml');
let token = '';
await report.step('kubectl get inferencepolicies: ENFORCED', async () => {
  await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
  const enforced = (): Promise<string> => jsonPath('{.status.enforced}', 'inferencepolicy', 'support');
  await node.eventually(async () => (await enforced()) === '2/2');
  token = await day.token();
  await node.eventually(async () => (await day.chat('hello', { token })).status === 200);
  return { came: await enforced(), why: 'counted from what sidecars answered', kept: true };
});
await report.step('nobody', async () => answered(await day.chat('pii'), 401, 'a token is needed'));
await report.step('another service account', async () =>
  answered(await day.chat('pii', { token: await day.token('inference', 'default') }), 403, 'no rule allows it'),
);
await report.step('the caller: personal data in an answer', async () => {
  const answer = await day.chat('pii', { token });
  return answered(answer, 200, 'masked', clean(answer.body));
});
await report.step('the caller: in a stream', async () => {
  const answer = await day.chat('pii', { token, stream: true });
  const text = streamedText(answer.body);
  return answered(answer, 200, text.slice(0, 60), clean(text) && text.length > 20);
});
await report.step('a policy that takes Chat away', async () => {
  await node.apply(policy(namespace, { operations: ['ListModels'] }));
  const start = performance.now();
  await node.eventually(async () => (await day.chat('hello', { token })).status === 403);
  const came = `403 after ${((performance.now() - start) / 1_000).toFixed(1)} s`;
  await node.apply(policy(namespace, { operations: ['Chat', 'ListModels'] }));
  return { came, why: 'running pods, no restart; mostly what kubectl itself takes', kept: true };
});

report.heading('Ways round');
const [pod] = await day.models();
const refused = async (run: Promise<{ status: number; stderr: string }>, why: string): Promise<Outcome> => {
  const { status, stderr } = await run;
  return { came: status === 0 ? 'it worked' : 'refused', why, kept: status !== 0 && stderr.includes('sidegate') };
};
await report.step('kubectl exec', () =>
  refused(
    node.exec(namespace, `pod/${pod?.name ?? ''}`, ['true'], { container: 'model' }),
    'but for the break-glass group',
  ),
);
await report.step('kubectl debug', () =>
  refused(
    node.kubectl([
      ...['-n', namespace, 'debug', pod?.name ?? '', `--image=${node.images.tools}`, '--profile=general', '--', 'true'],
    ]),
    'an admission policy, which holds without the webhook too',
  ),
);
await report.step('take the label away', () =>
  refused(node.kubectl(['-n', namespace, 'label', 'pod', pod?.name ?? '', 'sidegate.dev/inference-']), 'for good'),
);
await report.step('a pod on the host network', () =>
  refused(
    node.kubectl([
      ...['-n', namespace, 'run', 'host', `--image=${node.images.tools}`, '--labels=sidegate.dev/inference=true'],
      ...['--port=8000', '--overrides={"spec":{"hostNetwork":true}}', '--', 'true'],
    ]),
    'past every redirect',
  ),
);

const kept = report.finish();
if (process.env['ONCE'] === '1') process.exit(kept ? 0 : 1);
process.stdout.write(`
The cluster stays up. test/cluster/netns.sh runs a command in its network, with kubectl and helm:

  test/cluster/netns.sh kubectl get ipol,pods -A
  test/cluster/netns.sh kubectl -n ${namespace} edit inferencepolicy support
  TOKEN=$(test/cluster/netns.sh kubectl -n ${namespace} create token caller --audience=inference)
  test/cluster/netns.sh kubectl -n ${namespace} exec -it caller -- curl --cacert /tmp/ca.pem https://llama.${namespace}.svc/v1/models -H "Authorization: Bearer $TOKEN"
  test/cluster/netns.sh node_modules/.bin/node cmd/kubectl-sidegate/main.ts check

make cluster-down removes it.
`);
process.exit(kept ? 0 : 1);
