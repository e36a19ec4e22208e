import { describe, expect, test } from '@jest/globals';
import { parseSettings } from './settings.ts';

const given = ['--policy=p.yaml', '--upstream=http://127.0.0.1:8000'];

test('requests at the model are 4,096 unless said otherwise, by flag or environment', () => {
  expect(parseSettings(given, {})).toMatchObject({ settings: { modelRequests: 4_096 } });
  expect(parseSettings([...given, '--model-requests=1'], {})).toMatchObject({ settings: { modelRequests: 1 } });
  expect(parseSettings(given, { SIDEGATE_MODEL_REQUESTS: '10000' })).toMatchObject({
    settings: { modelRequests: 10_000 },
  });
});

test.each(['0', '-1', '1.5', '10001', 'many'])('a bound of %s is a fault that says what may stand there', (value) => {
  expect(parseSettings([...given, `--model-requests=${value}`], {})).toEqual({
    faults: ['--model-requests must be a whole number from 1 to 10000'],
  });
});

const parse = (...args: string[]) => parseSettings(['--policy', 'p.yaml', ...args], {});

test.each([
  [['--upstream', 'http://127.0.0.1:8000'], false, true],
  [['--upstream', 'https://api.example.com'], true, true],
  [['--upstream', 'https://api.example.com', '--hosted', 'no'], false, false],
  [['--upstream', 'http://gpu-box:8000', '--hosted', 'yes'], true, false],
])('%j is somebody else’s: %s, which nobody said: %s', (args, hosted, hostedInferred) => {
  expect(parse(...args)).toMatchObject({ settings: { hosted, hostedInferred } });
});

test('every file that cannot be read is told, beside whatever else is wrong, and nothing that is not', () => {
  const files = [
    '--upstream-ca=no-ca',
    '--client-ca',
    'no-callers',
    '--tls-cert=no-cert',
    '--tls-key=/',
    '--limit-store-ca=no-store',
  ];
  expect(
    parseSettings(['--polcy', 'x.yaml', '--upstream', 'http://127.0.0.1:1', '--admin', ...files, '--policy=p'], {}),
  ).toEqual({
    faults: [
      '--polcy: there is no such flag',
      '--admin needs a value: --admin=…',
      '--tls-cert: no-cert cannot be read (ENOENT)',
      '--tls-key: / cannot be read (EISDIR)',
      '--limit-store-ca: no-store cannot be read (ENOENT)',
      '--upstream-ca: no-ca cannot be read (ENOENT)',
      '--client-ca: no-callers cannot be read (ENOENT)',
    ],
  });
});

test('what cannot be meant is told, all of it', () => {
  expect(parse('--upstream', 'http://127.0.0.1:1', '--hosted', 'maybe', '--grace', '2147484')).toEqual({
    faults: ['--hosted must be yes or no', '--grace must be a number of seconds, at most 86400'],
  });
});

describe('who may approve alone', () => {
  const model = ['--upstream', 'http://127.0.0.1:1'];

  test('is nobody, unless an issuer is named with groups or people of its own', () => {
    expect(parse(...model, '--approvals', 'a')).toMatchObject({ settings: { breakGlass: undefined } });
    const issuer = ['--approvals', 'a', '--break-glass-issuer', 'https://idp'];
    expect(parse(...model, ...issuer, '--break-glass-group', 'sre,on-call')).toMatchObject({
      settings: { breakGlass: { issuer: 'https://idp', groups: ['sre', 'on-call'], subjects: [] } },
    });
    expect(parse(...model, ...issuer, '--break-glass-user', 'ana')).toMatchObject({
      settings: { breakGlass: { issuer: 'https://idp', groups: [], subjects: ['ana'] } },
    });
  });

  test.each([
    [['--approvals', 'a', '--break-glass-issuer', 'https://idp'], ['--break-glass-issuer needs --break-glass-group']],
    [['--approvals', 'a', '--break-glass-group', 'sre'], ['--break-glass-issuer needs --break-glass-group']],
    [['--break-glass-issuer', 'https://idp', '--break-glass-user', 'ana'], ['--break-glass-issuer needs --approvals']],
  ])('is not said by %j', (args, faults) => {
    expect(parse(...model, ...args)).toEqual({ faults: faults.map((one) => expect.stringContaining(one)) });
  });
});
