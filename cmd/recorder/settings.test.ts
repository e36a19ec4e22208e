import { describe, expect, test } from '@jest/globals';
import { parseSettings } from './settings.ts';

const given = ['--tls=/tls', '--trust=/ca.crt'];

describe('where the record is kept', () => {
  test('is a folder, or a database with its authorities', () => {
    expect(parseSettings([...given, '--data=/data'], {})).toMatchObject({ settings: { store: { data: '/data' } } });
    expect(parseSettings([...given, '--database=/dsn', '--database-ca=/ca.crt'], {})).toMatchObject({
      settings: { store: { database: '/dsn', databaseCa: '/ca.crt' } },
    });
  });

  test.each([
    [[], 'give either --data or --database'],
    [['--data=/data', '--database=/dsn'], 'give either --data or --database'],
    [['--data=/data', '--database-ca=/ca.crt'], '--database-ca goes with --database'],
  ])('%j is refused', (args, fault) => {
    expect(parseSettings([...given, ...args], {})).toEqual({ faults: [fault] });
  });
});

test('the log is shipped from a folder and from a database', () => {
  const ship = [{ name: 'o', type: 'Otlp', url: 'https://otel.example/v1/logs' }];
  for (const store of ['--data=/data', '--database=/dsn'])
    expect(parseSettings([...given, store, `--ship=${JSON.stringify(ship)}`], {})).toMatchObject({
      settings: { ship },
    });
});

describe('where the log is archived', () => {
  const store = [...given, '--data=/data', '--log-key=/key'];

  test('is nowhere, or a bucket whose objects are locked', () => {
    expect(parseSettings(store, {})).toMatchObject({ settings: { archive: undefined } });
    const all = ['--archive=s3://records/prod', '--archive-endpoint=https://minio.example', '--archive-path-style'];
    expect(parseSettings([...store, ...all, '--archive-lock=GOVERNANCE', '--archive-lock-days=7'], {})).toMatchObject({
      settings: {
        archive: {
          location: { bucket: 'records', prefix: 'prod/', endpoint: 'https://minio.example', pathStyle: true },
          lock: { mode: 'GOVERNANCE', days: 7 },
          deleteUnarchived: false,
        },
      },
    });
  });

  test.each([
    [['--archive=records'], '--archive: an archive is named as s3://bucket/prefix'],
    [['--archive=s3://records', '--archive-lock=NONE'], '--archive-lock must be COMPLIANCE or GOVERNANCE'],
    [['--archive=s3://records', '--archive-lock-days=0'], '--archive-lock-days must be a number of whole days, from 1'],
    [['--archive=s3://records', '--log-key='], '--archive needs --log-key: segments are signed by it'],
  ])('%j is refused', (args, fault) => {
    expect(parseSettings([...store, ...args], {})).toEqual({ faults: [fault] });
  });
});

describe('what namespaces may hold of the store', () => {
  const store = [...given, '--data=/data'];

  test('is a part of the last twentieth of it', () => {
    expect(parseSettings(store, {})).toMatchObject({
      settings: { shares: { belowPercent: 5, parts: {}, databaseBytes: undefined } },
    });
    const all = ['--database=/dsn', '--shares-below=10', '--namespace-parts=finance=4,ml=2', '--database-gibibytes=1'];
    expect(parseSettings([...given, ...all], {})).toMatchObject({
      settings: { shares: { belowPercent: 10, parts: { finance: 4, ml: 2 }, databaseBytes: 1024 ** 3 } },
    });
  });

  test.each([
    ['--namespace-parts=finance', '--namespace-parts must be NAMESPACE=PARTS, with commas'],
    ['--namespace-parts=finance=0', '--namespace-parts must be NAMESPACE=PARTS, with commas'],
    ['--database-gibibytes=1', '--database-gibibytes goes with --database: a volume has a size'],
  ])('%s is refused', (flag, fault) => {
    expect(parseSettings([...store, flag], {})).toEqual({ faults: [fault] });
  });
});

test('days of policies are read, or refused', () => {
  const read = (text: string) => parseSettings([...given, '--data=/data', `--policy-retention=${text}`], {});
  expect(read('ml/support=365,cluster/floor=0')).toMatchObject({
    settings: { retention: { all: 0, namespaces: {}, policies: { 'ml/support': 365, 'cluster/floor': 0 } } },
  });
  for (const text of ['support=3', 'ml/support=x', 'ml/support', 'ml/a/b=3'])
    expect(read(text)).toEqual({ faults: ['--policy-retention must be NAMESPACE/POLICY=DAYS, with commas'] });
});

describe('people who read records', () => {
  const store = [...given, '--data=/data'];
  const oidc = '{"issuer":"https://idp.example.com","audiences":["recorder"]}';

  test('are those of Kubernetes, and of an OpenID provider', () => {
    expect(parseSettings(store, {})).toMatchObject({ settings: { oidc: undefined, oidcCa: undefined } });
    expect(parseSettings([...store, `--oidc=${oidc}`, '--oidc-ca=/oidc.crt'], {})).toMatchObject({
      settings: { oidc: { issuer: 'https://idp.example.com', roles: [] }, oidcCa: '/oidc.crt' },
    });
  });

  test('have a web console, as a client of the provider', () => {
    const web = '{"url":"https://records.example.com/","clientId":"recorder","hours":4}';
    expect(
      parseSettings([...store, `--oidc=${oidc}`, `--console=${web}`, '--console-secret=/secret'], {}),
    ).toMatchObject({
      settings: {
        console: { url: 'https://records.example.com', token: 'Id', hours: 4, idleMinutes: 30, decisions: undefined },
        consoleSecret: '/secret',
      },
    });
  });

  test.each([
    [['--console={}', `--oidc=${oidc}`], /^--console: url must .*; clientId must/],
    [[`--console={"url":"https://a","clientId":"recorder"}`], /^--console needs --oidc/],
    [[`--console={"url":"https://a","clientId":"other"}`, `--oidc=${oidc}`], /ID tokens are meant for clientId/],
    [['--console-secret=/secret'], /^--console-secret goes with --console$/],
    [['--oidc={}'], /^--oidc: issuer must .*; audiences must/],
    [['--oidc-ca=/oidc.crt'], /^--oidc-ca goes with --oidc$/],
  ])('%j is refused', (args, fault) => {
    expect(parseSettings([...store, ...args], {})).toEqual({ faults: [expect.stringMatching(fault)] });
  });
});
