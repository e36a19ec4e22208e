import { describe, expect, test } from '@jest/globals';
import { inject } from '../inject/index.ts';
import { testOptions } from '../inject/testing/options.ts';
import { ProbeMapError, readProbeTargets } from './target.ts';
import type { ProbeTargets } from './target.ts';

const one = (target: unknown, path = '/probe/model/liveness'): string => JSON.stringify({ [path]: target });
const http = { port: 8_000, path: '/health', scheme: 'HTTP' };

interface Times {
  readonly grace: number;
  readonly timeoutSeconds?: number;
}

/** As the sidecar reads them that is injected into a pod of `spec`. */
function targetsOf(spec: unknown): ProbeTargets {
  const metadata = { name: 'llama', namespace: 'ml', labels: { 'sidegate.dev/inference': 'true' } };
  const result = inject({ apiVersion: 'v1', kind: 'Pod', metadata, spec }, testOptions);
  if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
  const args = result.pod.spec.initContainers?.find(({ name }) => name === 'sidegate')?.args ?? [];
  return readProbeTargets(args[args.indexOf('--probes') + 1] ?? '');
}

describe('the map of probes', () => {
  test.each([
    ['HTTP', { timeoutSeconds: 1, httpGet: { ...http, headers: [{ name: 'X', value: 'y' }] } }],
    ['HTTPS', { timeoutSeconds: 1, httpGet: { ...http, scheme: 'HTTPS' } }],
    ['TCP', { timeoutSeconds: 0.5, tcpSocket: { port: 65_535 } }],
    ['gRPC', { timeoutSeconds: 30, grpc: { port: 8_001, service: '' } }],
  ])('takes %s as it is', (_name, target) => {
    expect(readProbeTargets(one(target)).get('/probe/model/liveness')).toEqual(target);
  });

  test('may be empty', () => {
    expect(readProbeTargets('{}').size).toBe(0);
  });

  test.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['a path of somebody else', one({ timeoutSeconds: 1, httpGet: http }, '/drain')],
    ['no timeout', one({ httpGet: http })],
    ['a timeout of nothing', one({ timeoutSeconds: 0, httpGet: http })],
    ['an endless timeout', one({ timeoutSeconds: 1e9, httpGet: http })],
    ['two handlers', one({ timeoutSeconds: 1, httpGet: http, tcpSocket: { port: 1 } })],
    ['no handler', one({ timeoutSeconds: 1 })],
    ['an unknown handler', one({ timeoutSeconds: 1, exec: { command: ['x'] } })],
    ['a host', one({ timeoutSeconds: 1, httpGet: { ...http, host: 'elsewhere' } })],
    ['another scheme', one({ timeoutSeconds: 1, httpGet: { ...http, scheme: 'FTP' } })],
    ['a path without a slash', one({ timeoutSeconds: 1, httpGet: { ...http, path: '@elsewhere/' } })],
    ['a port of ours', one({ timeoutSeconds: 1, tcpSocket: { port: 17_491 } })],
    ['no port', one({ timeoutSeconds: 1, tcpSocket: { port: 0 } })],
    ['a bad header', one({ timeoutSeconds: 1, httpGet: { ...http, headers: [{ name: 'X' }] } })],
    ['a hook without a key', one({ timeoutSeconds: 1, httpGet: http }, '/probe/model/pre-stop')],
    ['a hook with a short key', one({ timeoutSeconds: 1, httpGet: http }, '/probe/model/pre-stop/secret')],
    [
      'a hook that was only shown',
      one({ timeoutSeconds: 1, httpGet: http }, '/probe/model/post-start/drawn-at-admission'),
    ],
    ['a probe with a key', one({ timeoutSeconds: 1, httpGet: http }, `/probe/model/liveness/${'k'.repeat(22)}`)],
    ['a kind that is not known', one({ timeoutSeconds: 1, httpGet: http }, '/probe/model/other')],
    ['two of one name', '{"/probe/a/liveness":{},"/probe/a/liveness":{}}'],
  ])('refuses %s whole', (_name, text) => {
    expect(() => readProbeTargets(text)).toThrow(ProbeMapError);
  });

  test('is refused without a word of its keys', () => {
    const key = 'k'.repeat(22);
    expect(() => readProbeTargets(one({}, `/probe/model/pre-stop/${key}`))).toThrow(/model\/pre-stop$/);
  });

  test.each([
    ['no grace period', { grace: 0 }, { probe: 1, hook: 1 }],
    ['one below nothing', { grace: -1 }, { probe: 1, hook: 1 }],
    ['one of more than a day', { grace: 86_401 }, { probe: 1, hook: 86_400 }],
    ['the longest that Kubernetes takes', { grace: 2 ** 63 }, { probe: 1, hook: 86_400 }],
    ['a probe without time', { grace: 30, timeoutSeconds: 0 }, { probe: 1, hook: 30 }],
    ['a probe with the most time', { grace: 30, timeoutSeconds: 2 ** 31 - 1 }, { probe: 86_400, hook: 30 }],
  ])('is what injection writes for %s', (_name, { grace, timeoutSeconds }: Times, expected) => {
    const targets = targetsOf({
      terminationGracePeriodSeconds: grace,
      containers: [
        {
          name: 'model',
          image: 'vllm',
          ports: [{ containerPort: 8_000 }],
          livenessProbe: { tcpSocket: { port: 8_000 }, timeoutSeconds },
          lifecycle: { postStart: { tcpSocket: { port: 8_000 } } },
        },
      ],
    });
    expect({
      probe: targets.get('/probe/model/liveness')?.timeoutSeconds,
      hook: targets.get(`/probe/model/post-start/${testOptions.drawn?.hookKey}`)?.timeoutSeconds,
    }).toEqual(expected);
  });

  test('is what injection writes', () => {
    const targets = targetsOf({
      containers: [
        {
          name: 'model',
          image: 'vllm',
          ports: [{ containerPort: 8_000 }],
          startupProbe: { tcpSocket: { port: 8_000 } },
          livenessProbe: { httpGet: { path: '/health', port: 8_000, httpHeaders: [{ name: 'X', value: 'y' }] } },
          readinessProbe: { grpc: { port: 8_000 }, timeoutSeconds: 3 },
          lifecycle: { postStart: { httpGet: { path: '/warm', port: 8_000 } } },
        },
      ],
    });
    expect([...targets.keys()].sort()).toEqual(
      ['liveness', `post-start/${testOptions.drawn?.hookKey}`, 'readiness', 'startup'].map(
        (kind) => `/probe/model/${kind}`,
      ),
    );
  });
});
