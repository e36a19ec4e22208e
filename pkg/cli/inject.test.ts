import { describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { checkFinalState, inject as injectPod, injectedAnnotation, parseChartOptions } from '../inject/index.ts';
import { testOptions } from '../inject/testing/options.ts';
import { model, pod } from '../inject/testing/pods.ts';
import { run } from './run.ts';
import { noLogin } from '../../test/support/no-login.ts';
import { noFolder } from '../../test/support/no-folder.ts';

const { namespace: _namespace, drawn: _drawn, controller, ...rest } = testOptions;
const options = stringify(
  { ...rest, controller: { url: controller.url, name: controller.name } },
  { aliasDuplicateObjects: false },
);

async function inject(manifest: string, flags = '') {
  const out: string[] = [];
  const err: string[] = [];
  const files: Readonly<Record<string, string>> = { 'o.yaml': options, 'ca.pem': controller.ca, 'm.yaml': manifest };
  const code = await run(
    ['inject', '-f', 'm.yaml', '--options', 'o.yaml', '--ca', 'ca.pem', ...flags.split(' ').filter(Boolean)],
    {
      stdout: (text) => void out.push(text),
      stderr: (text) => void err.push(text),
      readFile: (path) => {
        const text = files[path];
        if (text === undefined) throw new Error('no such file');
        return text;
      },
      writeFile: () => undefined,
      checkPattern: () => undefined,
      login: noLogin,
      publicRoots: [],
      now: () => 0,
      sleep: () => Promise.resolve(),
      folder: noFolder,
      openCluster: () => Promise.reject(new Error('there is none here')),
      ask: () => Promise.reject(new Error('there is none here')),
    },
  );
  return { code, out: out.join(''), err: err.join('') };
}

const template = {
  metadata: { labels: { app: 'a', 'sidegate.dev/inference': 'true' } },
  spec: { containers: [model()] },
};
const workload = (kind: string, spec: unknown = { template }) => stringify({ kind, metadata: { name: 'llama' }, spec });

/** Whether the pod is what the webhook would have made of it in the namespace `default`, but for what is drawn when a pod is made. */
function expectGoverned(value: unknown): void {
  const all = parseChartOptions(options).for({ name: 'default', governed: true }, controller.ca, testOptions.drawn);
  const params = {
    options: all,
    images: [all.image],
    authorities: [controller.ca],
    injected: [injectedAnnotation(all)],
  };
  // What is shown is for looking: it would be refused.
  expect(checkFinalState(value, params).map(({ rule }) => rule)).toEqual(['security_context', 'init_arguments']);
  const stored = injectPod(value, all);
  expect(stored.kind === 'inject' && checkFinalState(stored.pod, params)).toEqual([]);
}

describe('sidegate inject', () => {
  test.each(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job'])(
    'writes into the template of a %s',
    async (kind) => {
      const { code, out, err } = await inject(workload(kind));
      expect(code).toBe(0);
      expectGoverned((parse(out) as { spec: { template: unknown } }).spec.template);
      expect(err).toContain(`${kind} default/llama: [loopback_open_to_root]`);
    },
  );

  test('writes into pods, cron jobs and lists, and leaves the rest', async () => {
    const cron = { kind: 'CronJob', metadata: { name: 'c' }, spec: { jobTemplate: { spec: { template } } } };
    const list = { kind: 'List', items: [pod(), { kind: 'Service', spec: { a: 1 } }] };
    const { code, out } = await inject(`${stringify(cron)}---\n${stringify(list)}---\nkind: Secret\n`);
    expect(code).toBe(0);
    const [first, second, third] = parseAllDocuments(out).map((one) => one.toJS() as unknown) as unknown as [
      { spec: { jobTemplate: { spec: { template: unknown } } } },
      { items: unknown[] },
      unknown,
    ];
    expectGoverned(first.spec.jobTemplate.spec.template);
    expectGoverned(second.items[0]);
    expect(second.items[1]).toEqual({ kind: 'Service', spec: { a: 1 } });
    expect(third).toEqual({ kind: 'Secret' });
  });

  test('takes pods without the label as they are, or as if they had it', async () => {
    const plain = stringify(pod({}, { labels: {} }));
    const without = await inject(plain);
    expect([without.code, parse(without.out)]).toEqual([0, parse(plain)]);
    expect(without.err).toContain('[no_label]');
    expectGoverned(parse((await inject(plain, '--label')).out));
  });

  test('prints every reason of a refusal, and no manifest', async () => {
    const { code, out, err } = await inject(stringify(pod({ hostNetwork: true, hostPID: true })));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/\[host_network\].*\n.*\[host_pid\] .*; fix: remove hostPID\n/);
  });

  test('says what is wrong with a file', async () => {
    expect(await inject('a: [')).toMatchObject({ code: 1, out: '' });
    expect((await inject(workload('Deployment', {}))).err).toContain('[malformed_pod]');
  });

  test('asks the cluster without --options', async () => {
    const err: string[] = [];
    const io = { stderr: (text: string) => void err.push(text), openCluster: () => Promise.reject(new Error('none')) };
    expect(await run(['inject', '-f', 'm.yaml'], io as never)).toBe(1);
    expect(err.join('')).toContain('name one with --kubeconfig');
    expect(await run(['inject'], io as never)).toBe(2);
  });
});
