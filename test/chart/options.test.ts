import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { controlPlane, controlPorts } from '../../pkg/contract/index.ts';
import {
  defaultOptions,
  istio,
  knativeQueueProxy,
  kserveAgent,
  linkerd,
  parseChartOptions,
} from '../../pkg/inject/index.ts';
import { parseNoticeSettings } from '../../pkg/control/index.ts';
import { parseReceivers } from '../../pkg/recorder/index.ts';
import { parseSettings } from '../../cmd/recorder/settings.ts';
import { tokenSettings } from '../../cmd/controller/tokens-file.ts';
import { only, render, template } from './render.ts';
import type { KubeObject, RenderOptions } from './render.ts';

// What the webhook gives pods comes from values: it must be what pkg/inject means.

const optionsOf = (values: object = {}, options?: RenderOptions): KubeObject =>
  parse(only(render(values, options), 'ConfigMap', controlPlane.options).data[controlPlane.optionsKey]);

describe('the settings of tokens that the controller reads', () => {
  const okta = {
    name: 'okta',
    entityId: 'http://www.okta.com/exk1',
    audiences: ['inference', 'batch'],
    metadataUrl: 'https://corp.okta.com/metadata?a=1&b=<2>',
    ca: '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n',
    groupsAttribute: 'memberOf',
    claims: { email: 'mail' },
  };
  const files = { name: 'files', entityId: 'https://idp', audiences: ['x'], metadataXml: '<a b="{{ c }}">\n</a>' };
  const rendered = (values: object): KubeObject => only(render({ tokens: values }), 'ConfigMap', 'sidegate-tokens');
  const read = (map: KubeObject) => tokenSettings(JSON.parse(map.data['tokens.json']), '/etc/sidegate/tokens');

  test('are those of the values, with metadata and authorities as files beside them', () => {
    const map = rendered({ url: 'https://sidegate.example.com', lifetimeMinutes: 5, idps: [okta, files] });
    const { ca, metadataUrl: url, ...rest } = okta;
    expect(read(map)).toEqual({
      url: 'https://sidegate.example.com',
      lifeMs: 300_000,
      idps: [
        { ...rest, metadata: { url: new URL(url).href, caFile: '/etc/sidegate/tokens/okta.pem' } },
        {
          name: 'files',
          entityId: 'https://idp',
          audiences: ['x'],
          metadata: { file: '/etc/sidegate/tokens/files.xml' },
        },
      ],
    });
    expect([map.data['okta.pem'], map.data['files.xml']]).toEqual([ca, files.metadataXml]);
  });

  test('name the controller’s Service where no address is given; new ones take new pods, new metadata does not', () => {
    expect(read(rendered({ idps: [files] })).url).toBe(`https://${controlPlane.controller}.sidegate-system.svc:8444`);
    const podOf = (idp: object): unknown =>
      only(render({ tokens: { idps: [idp] } }), 'Deployment', controlPlane.controller).spec.template;
    expect(podOf({ ...files, metadataXml: '<b/>' })).toEqual(podOf(files));
    expect(podOf({ ...files, entityId: 'https://other' })).not.toEqual(podOf(files));
  });

  test.each([
    ['two sources of metadata', { ...files, metadataUrl: 'https://x' }],
    ['metadata without TLS', { ...okta, metadataUrl: 'http://x' }],
    ['the sidecars’ audience', { ...files, audiences: ['sidegate.dev/controller'] }],
    ['a field that is not known', { ...files, groupAttribute: 'x' }],
  ])('%s are refused by the chart', (_name, idp) => {
    expect(template({ tokens: { idps: [idp] } }).status).not.toBe(0);
  });
});

test('the archive that the recorder writes to is that of the values', () => {
  const archive = { url: 's3://records/prod', endpoint: 'https://minio.example', pathStyle: true, lockDays: 30 };
  const { spec } = only(render({ recorder: { archive } }), 'StatefulSet', controlPlane.recorder).spec.template;
  expect(parseSettings(spec.containers[0].args.slice(1), {})).toMatchObject({
    settings: {
      archive: {
        location: { bucket: 'records', prefix: 'prod/', endpoint: 'https://minio.example', pathStyle: true },
        lock: { mode: 'COMPLIANCE', days: 30 },
        deleteUnarchived: false,
      },
    },
  });
});

test('lines are kept for the days of the values', () => {
  const recorder = { retentionDays: 30, namespaceRetentionDays: { ml: 7 }, policyRetentionDays: { 'ml/support': 365 } };
  const { spec } = only(render({ recorder }), 'StatefulSet', controlPlane.recorder).spec.template;
  expect(parseSettings(spec.containers[0].args.slice(1), {})).toMatchObject({
    settings: { retention: { all: 30, namespaces: { ml: 7 }, policies: { 'ml/support': 365 } } },
  });
});

test('what namespaces may hold of the store is that of the values', () => {
  const argsOf = (recorder: object): string[] =>
    only(render({ recorder }), 'StatefulSet', controlPlane.recorder).spec.template.spec.containers[0].args.slice(1);
  expect(parseSettings(argsOf({}), {})).toMatchObject({
    settings: { shares: { belowPercent: 5, parts: {}, databaseBytes: undefined } },
  });
  const database = { secretName: 'database', gibibytes: 200 };
  const shared = { store: 'Postgres', database, shares: { below: 10, parts: { finance: 4, ml: 2 } } };
  expect(parseSettings(argsOf(shared), {})).toMatchObject({
    settings: { shares: { belowPercent: 10, parts: { finance: 4, ml: 2 }, databaseBytes: 200 * 1024 ** 3 } },
  });
});

test('the receivers that the recorder reads are those of the values', () => {
  const ship = [
    {
      name: 'splunk',
      type: 'Webhook',
      url: 'https://s.example/raw?channel=1&x=2',
      header: 'authorization',
      headerKey: 'k',
    },
    { name: 'siem', type: 'Syslog', address: 'siem.example:6514', caKey: 'ca.pem' },
  ];
  for (const store of [{}, { store: 'Postgres', replicas: 2, database: { secretName: 'database' } }]) {
    const rendered = render({ recorder: { ...store, ship, shipSecretName: 'receivers' } });
    const pod = only(rendered, 'StatefulSet', controlPlane.recorder).spec.template.spec;
    const flag = pod.containers[0].args.find((one: string) => one.startsWith('--ship='));
    expect(parseReceivers(flag.slice('--ship='.length))).toEqual(ship);
    expect(pod.volumes).toContainEqual({ name: 'ship', secret: { secretName: 'receivers', defaultMode: 0o440 } });
  }
});

describe('the options that the webhook reads', () => {
  test('are the defaults of pkg/inject, and where the controller is', () => {
    const { version, image, controller, captureModes, previousImages, namespaceImages, ...rest } = optionsOf();
    expect(rest).toEqual(defaultOptions);
    expect({ version, image, captureModes, previousImages, namespaceImages }).toEqual({
      previousImages: [],
      namespaceImages: {},
      version: '0.1.0',
      image: 'localhost/sidegate:0.1.0',
      captureModes: {},
    });
    expect(controller).toEqual({
      url: `https://${controlPlane.controller}.sidegate-system.svc:${controlPorts.stream}`,
      name: `${controlPlane.controller}.sidegate-system.svc`,
    });
  });

  test('give single namespaces another image, which the admission policies and the controller know', () => {
    const objects = render({ image: { namespaces: { 'ml-canary': 'r.example/s:9', behind: 'r.example/s:7' } } });
    const text = only(objects, 'ConfigMap', controlPlane.options).data[controlPlane.optionsKey];
    const chart = parseChartOptions(text);
    const images = ['ml-canary', 'behind', 'other', 'constructor'].map(
      (name) => chart.for({ name, governed: true }, '').image,
    );
    expect(images).toEqual(['r.example/s:9', 'r.example/s:7', 'localhost/sidegate:0.1.0', 'localhost/sidegate:0.1.0']);
    expect(chart.images).toEqual(['localhost/sidegate:0.1.0', 'r.example/s:7', 'r.example/s:9']);
    const { data } = only(objects, 'ConfigMap', controlPlane.parameters);
    expect(data['images'].split('\n')).toEqual(chart.images);
    expect(data['namespaceImages'].split('\n')).toEqual(['behind=r.example/s:7', 'ml-canary=r.example/s:9']);
    expect(JSON.stringify(only(objects, 'Deployment', controlPlane.controller))).toContain(
      '--namespace-images=behind=r.example/s:7,ml-canary=r.example/s:9',
    );
  });

  test('follow the namespace of the release', () => {
    expect(optionsOf({}, { namespace: 'guard' }).controller.name).toBe(`${controlPlane.controller}.guard.svc`);
  });

  test('know Istio, Linkerd, Knative and KServe as pkg/inject does', () => {
    const on = { enabled: true, images: ['example/a'] };
    const { meshes, wrappers } = optionsOf({
      meshes: { istio: on, linkerd: { enabled: true, initImages: ['example/i'], proxyImages: ['example/p'] } },
      wrappers: { knative: on, kserve: on },
    });
    expect(meshes).toEqual([istio(['example/a']), linkerd({ init: ['example/i'], proxy: ['example/p'] })]);
    expect(wrappers).toEqual([knativeQueueProxy(['example/a']), kserveAgent(['example/a'])]);
  });

  test.each([
    ['1.30.4', 'auto', false],
    ['1.31.9', 'auto', false],
    ['1.32.0', 'auto', true],
    ['1.36.3', 'auto', true],
    // Some vendors add words to the version.
    ['1.33.1-gke.100', 'auto', true],
    ['1.30.4', true, true],
    ['1.36.3', false, false],
  ])('native sidecars on %s with %s: %s', (kubeVersion, nativeSidecars, expected) => {
    expect(optionsOf({ sidecar: { nativeSidecars } }, { kubeVersion }).nativeSidecars).toBe(expected);
  });

  test('may name every quantity that the schema takes, as text or as a number', () => {
    const numbers = ['0', '2', '9'.repeat(15), '0.5', '1.123456789'];
    const units = ['', 'm', 'k', 'Ki', ...[...'MGTPE'].flatMap((unit) => [unit, `${unit}i`])];
    const texts = numbers.flatMap((number) => units.map((unit) => `${number}${unit}`));
    const given = [...texts, 0, 2, 1_073_741_824, 999_999_999_999_999];
    const limits = Object.fromEntries(given.map((quantity, at) => [`example.com/r${at}`, quantity]));
    const objects = render({
      sidecar: { resources: { limits: { cpu: 2, ...limits } }, initResources: { requests: { cpu: 1 } } },
    });
    const yaml: string = only(objects, 'ConfigMap', controlPlane.options).data[controlPlane.optionsKey];
    const { resources } = parseChartOptions(yaml).for({ name: 'ml', governed: true }, '');
    expect(resources.sidecar.limits).toMatchObject(
      Object.fromEntries(Object.entries({ cpu: 2, ...limits }).map(([name, quantity]) => [name, String(quantity)])),
    );
    expect(resources.init.requests).toMatchObject({ cpu: '1' });
    for (const quantity of texts)
      expect(() => parseChartOptions(yaml.replace(/spoolSize: .*/, `spoolSize: "${quantity}"`))).not.toThrow();
  });

  test('the image by digest wins over its tag', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const objects = render({ image: { repository: 'r.example/s', tag: '9', digest, previous: ['r.example/s:8'] } });
    expect(optionsOf({ image: { repository: 'r.example/s', tag: '9', digest } }).image).toBe(`r.example/s@${digest}`);
    expect(only(objects, 'ConfigMap', controlPlane.parameters).data.images).toBe(
      `r.example/s@${digest}\nr.example/s:8`,
    );
  });
});

test('what the chart says of notifications is what the controller reads', () => {
  const example = /```yaml\nnotifications:\n([^]*?)```/.exec(readFileSync('docs/approvals.md', 'utf8'))?.[0] ?? '';
  const values = parse(example.replace(/^```.*$/gm, '')) as { notifications: { endpoint: string; channels: object[] } };
  const objects = render(values);
  const { containers, volumes } = only(objects, 'Deployment', controlPlane.controller).spec.template.spec;
  const [json = ''] = containers[0].args.flatMap((arg: string) =>
    arg.startsWith('--notices=') ? [arg.slice(10)] : [],
  );
  const { endpoint, channels } = values.notifications;
  expect(parseNoticeSettings(json)).toEqual({ endpoint, channels });
  expect(channels).toHaveLength(3);
  expect(volumes).toContainEqual({
    name: 'notifications',
    secret: { secretName: 'sidegate-notifications', defaultMode: 0o440 },
  });
  const args = JSON.stringify(only(render(), 'Deployment', controlPlane.controller));
  expect(args).not.toContain('notices');
});

test.each([
  [{ channels: [{ name: 'a', type: 'Slack', urlKey: 'u' }] }, /endpoint/],
  [{ endpoint: 'http://a', secretName: 's' }, /endpoint/],
  [{ channels: [{ name: 'a', type: 'Pager' }], endpoint: 'https://a', secretName: 's' }, /type/],
  [
    { channels: [{ name: 'a', type: 'Slack', urlKey: 'u', token: 't' }], endpoint: 'https://a', secretName: 's' },
    /token/,
  ],
])('notifications %j are refused by the schema', (notifications, message) => {
  expect(() => render({ notifications })).toThrow(message);
});

test('a limit store without TLS is refused by the schema', () => {
  expect(() => render({ limitStore: { url: 'redis://valkey.cache.svc:6379' } })).toThrow(
    /limitStore\/url|limitStore.url/,
  );
});

test.each([
  ['several recorders on a file', { replicas: 2 }, 'recorder.replicas'],
  ['a database that nobody named', { store: 'Postgres' }, 'recorder.database.secretName'],
])('%s are refused by the chart', (_what, recorder, field) => {
  const { status, stderr } = template({ recorder });
  expect([status === 0, stderr]).toEqual([false, expect.stringContaining(field)]);
});
