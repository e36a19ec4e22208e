import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';
import { parsePolicies } from '../crd/index.ts';
import { inject } from '../inject/index.ts';
import { testOptions } from '../inject/testing/options.ts';
import type { Cluster } from './command.ts';
import { run } from './run.ts';
import { noLogin } from '../../test/support/no-login.ts';
import { noFolder } from '../../test/support/no-folder.ts';

const { namespace: _namespace, drawn: _drawn, controller, ...rest } = testOptions;
const options = stringify(
  { ...rest, image: 'sidegate@sha256:1', controller: { url: controller.url, name: controller.name } },
  { aliasDuplicateObjects: false },
);

async function gateway(line: string, data: Readonly<Record<string, string>> | undefined = undefined) {
  const out: string[] = [];
  const err: string[] = [];
  const asked: unknown[] = [];
  const client = {
    find: (_resource: unknown, at: unknown) => {
      asked.push(at);
      return Promise.resolve(data === undefined ? undefined : { metadata: {}, data });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const code = await run(['gateway', 'create', ...line.split(' ').filter(Boolean)], {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile: () => '',
    writeFile: () => undefined,
    checkPattern: () => undefined,
    login: noLogin,
    publicRoots: [],
    now: () => 0,
    sleep: () => Promise.resolve(),
    folder: noFolder,
    openCluster: () => Promise.resolve({ client, namespace: 'of-context' }),
    ask: () => Promise.reject(new Error('nothing is asked')),
  });
  const objects = parseAllDocuments(out.join('')).map((one) => one.toJS() as Made);
  return { code, err: err.join(''), asked, objects, kinds: objects.map(({ kind }) => kind) };
}
interface Made {
  readonly kind: string;
  readonly metadata: { readonly namespace: string };
  readonly spec: { readonly template: object; readonly ports: readonly object[] };
}

const claude = 'claude --url https://api.example.com/v1 --image sidegate:1 -n ml';

describe('sidegate gateway create', () => {
  test('prints what a gateway is made of, without a cluster; its pod is taken and gets the sidecar', async () => {
    const { code, objects, kinds, asked, err } = await gateway(`${claude} --secret key/api-key --header x-api-key`);
    expect([code, asked]).toEqual([0, []]);
    expect(kinds).toEqual(['Deployment', 'PodDisruptionBudget', 'Service', 'InferencePolicy']);
    expect(new Set(objects.map((one) => one.metadata.namespace))).toEqual(new Set(['ml']));
    expect(err).toContain('allows nothing yet');
    const made = inject(objects[0]?.spec.template, testOptions);
    expect(made).toMatchObject({ kind: 'inject' });
    expect(objects[2]?.spec.ports).toEqual([{ name: 'https', port: 443, targetPort: 'https' }]);
    const { policies, faults } = parsePolicies(stringify(objects[3]), 'p', { local: false });
    expect(faults).toEqual([]);
    expect(policies[0]?.spec.upstream).toMatchObject({
      hosted: { url: 'https://api.example.com/v1' },
      credential: {
        source: { namespace: 'ml', name: 'key', key: 'api-key' },
        use: { header: 'x-api-key', prefix: '' },
      },
    });
    expect(policies[0]?.spec.access).toEqual([]);
  });

  test('one replica needs no budget for disruptions', async () => {
    expect((await gateway(`${claude} --replicas 1`)).kinds).toEqual(['Deployment', 'Service', 'InferencePolicy']);
  });

  test('takes image and namespace from the cluster, and says where it looked', async () => {
    const line = 'claude --url https://api.example.com';
    const found = await gateway(line, { 'options.yaml': options });
    expect(JSON.stringify(found.objects)).toContain('"image":"sidegate@sha256:1"');
    expect(found.objects[0]?.metadata.namespace).toBe('of-context');
    expect(found.asked).toEqual([{ namespace: 'sidegate-system', name: 'sidegate-options' }]);
    const none = await gateway(`${line} --system elsewhere`);
    expect([none.code, none.err]).toEqual([
      1,
      expect.stringContaining('no ConfigMap sidegate-options in elsewhere: name the image with --image'),
    ]);
  });

  test('says everything that is wrong at once', async () => {
    const { code, err } = await gateway('Not_a_name --url http://x --replicas 0 --secret key --image i -n ml');
    expect(code).toBe(2);
    for (const what of ['NAME must be', '--url is needed', '--secret must be', '--replicas must be'])
      expect(err).toContain(what);
    expect((await gateway('x --url https://a --header y --image i -n ml')).err).toContain('--header needs --secret');
    expect((await gateway('--url https://a')).err).toContain('NAME is missing');
  });
});
