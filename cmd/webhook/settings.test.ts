import { expect, test } from '@jest/globals';
import { parseSettings, usage } from './settings.ts';

test('what the chart gives is enough, and the rest has its defaults', () => {
  expect(parseSettings(['--namespace=s', '--log-level=warn'], { POD_NAME: 'w-1' })).toEqual({
    settings: {
      namespace: 's',
      breakGlassGroup: '',
      listen: { host: '', port: 9443 },
      admin: { host: '', port: 8080 },
      names: [],
      certificateSecret: undefined,
      kubeconfig: undefined,
      instance: 'w-1',
      drainMs: 12_000,
      logLevel: 'warn',
    },
  });
});

test('flags win over the environment', () => {
  const environment = { SIDEGATE_NAMESPACE: 'a', SIDEGATE_NAMES: 'x,y' };
  expect(parseSettings(['--namespace', 'b', '--listen', '[::1]:1'], environment)).toMatchObject({
    settings: { namespace: 'b', names: ['x', 'y'], listen: { host: '::1', port: 1 } },
  });
});

test('everything that is wrong is said at once', () => {
  const result = parseSettings(['--listen', 'x', '--drain=-1', '--log-level', 'loud'], {});
  expect('faults' in result && result.faults).toEqual([
    '--namespace is missing: namespace of the release',
    '--listen must be host:port',
    '--drain must be a number of seconds, at most 3600',
    '--log-level must be debug, info, warn or error',
  ]);
  expect(parseSettings(['--frobnicate'], {})).toHaveProperty('faults');
});

test('the help names every flag', () => {
  expect(parseSettings(['--help'], {})).toEqual({ help: true });
  for (const flag of ['namespace', 'break-glass-group', 'listen', 'admin', 'drain'])
    expect(usage).toContain(`--${flag}`);
});
