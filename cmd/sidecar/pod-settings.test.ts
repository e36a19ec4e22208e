import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { isInPod, parsePodSettings } from './pod-settings.ts';

const env = { SIDEGATE_CONTROLLER_CA: 'PEM', POD_NAME: 'a', POD_NAMESPACE: 'ml', POD_UID: 'u', POD_IP: '10.0.0.1' };
const flags = {
  ports: '8000=17400:17430,8001=17401:17431',
  helpers: '2000@8000=17460',
  capture: 'Redirect',
  probes: '{}',
  controller: 'https://c.svc:8443',
  'controller-name': 'c.svc',
  'token-file': '/t',
  state: '/s',
  spool: '/p',
  grace: '30',
};
const args = (more: Readonly<Record<string, string>> = {}): string[] =>
  Object.entries({ ...flags, ...more }).flatMap(([name, value]) => [`--${name}`, value]);
const faults = (more: Readonly<Record<string, string>>): readonly string[] => {
  const parsed = parsePodSettings(args(more), env);
  return 'faults' in parsed ? parsed.faults : [];
};

describe('what a sidecar in a pod is told', () => {
  test('is read', () => {
    expect(parsePodSettings(args(), env)).toMatchObject({
      settings: {
        ports: [
          { model: 8_000, tls: 17_400, loopback: 17_430 },
          { model: 8_001, tls: 17_401, loopback: 17_431 },
        ],
        helpers: [{ uid: 2_000, model: 8_000, listener: 17_460 }],
        modelRequests: 4_096,
        graceMs: 30_000,
        pod: { namespace: 'ml', name: 'a', uid: 'u' },
        host: '::',
        probePort: 17_490,
        adminPort: 17_491,
      },
    });
  });

  test.each(['86401', `${2 ** 63}`])('ends by a timer that can wait, however long the pod may take: %s', (grace) => {
    expect(parsePodSettings(args({ grace }), env)).toMatchObject({ settings: { graceMs: 86_400_000 } });
  });

  test('opens no listener to a helper where the kernel does not tell who dials', () => {
    expect(parsePodSettings(args({ capture: 'NamedPort' }), env)).toMatchObject({ settings: { helpers: [] } });
  });

  test('may have fewer places at the model', () => {
    expect(parsePodSettings(args({ 'model-requests': '256' }), env)).toMatchObject({
      settings: { modelRequests: 256 },
    });
  });

  test.each(['vllm', 'triton', 'istio', 'knative', 'named-port', 'plain-sidecar', 'helper'])(
    'is what injection writes: %s',
    (name) => {
      const file = join(resolve(import.meta.dirname, '../../pkg/inject/testdata'), `${name}.injected.yaml`);
      interface Container {
        name: string;
        args: string[];
        env?: { name: string; value?: string }[];
      }
      const pod = parse(readFileSync(file, 'utf8')) as {
        spec: { initContainers?: Container[]; containers: Container[] };
      };
      const sidecar = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
        (one) => one.name === 'sidegate',
      );
      const [command, ...written] = sidecar?.args ?? [];
      expect(command).toBe('sidecar');
      expect(isInPod(written)).toBe(true);
      const given = Object.fromEntries((sidecar?.env ?? []).map((one) => [one.name, one.value ?? 'from the pod']));
      expect(parsePodSettings(written, given)).toHaveProperty('settings.ports');
    },
  );

  test.each([
    ['no port', { ports: '' }],
    ['a port without listeners', { ports: '8000' }],
    ['a port beyond', { ports: '8000=17400:70000' }],
    ['a listener for two', { ports: '8000=17400:17400' }],
    ['a model port twice', { ports: '8000=17400:17430,8000=17401:17431' }],
    ['a port that the probes have', { ports: '8000=17490:17430' }],
    ['a helper of no port', { helpers: '2000@9000=17460' }],
    ['another mode', { capture: 'redirect' }],
    ['plain http to the controller', { controller: 'http://c.svc' }],
    ['no place at the model', { 'model-requests': '0' }],
    ['no grace', { grace: '-1' }],
    ['probes that are none', { probes: '{"/probe/a/liveness":{}}' }],
    ['an unknown flag', { unknown: 'x' }],
  ])('is refused: %s', (_name, more) => {
    expect(faults(more).length).toBeGreaterThan(0);
  });

  test('lacks nothing of the environment', () => {
    for (const name of Object.keys(env))
      expect(parsePodSettings(args(), { ...env, [name]: '' })).toEqual({
        faults: [`${name} is missing from the environment`],
      });
  });

  test('is told from a sidecar on its own', () => {
    expect(isInPod(['--policy', 'x', '--upstream', 'http://127.0.0.1:1'])).toBe(false);
    expect(isInPod(['--ports=8000=1:2'])).toBe(true);
  });
});
