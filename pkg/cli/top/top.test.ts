import { expect, test } from '@jest/globals';
import { KubeError } from '../../kube/index.ts';
import type { KubeCall, KubeClient } from '../../kube/index.ts';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { CommandIo } from '../command.ts';

interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly figures: object | null;
}
const row = (name: string, requests?: number, ageMs = 400): Row => ({
  namespace: 'ml',
  name,
  uid: `uid-${name}`,
  figures:
    requests === undefined
      ? null
      : {
          ...{ ageMs, uptimeMs: 90_000, requests, refused: 2, masked: 7, held: 1, live: 4, streams: 3, waiting: 1 },
          ...{ generation: 'ml/p@3', policyAgeMs: 2_000, recent: { ms: 5_000, requests, refused: 2 } },
        },
});
const pod = (name: string, phase = 'Running') => ({
  metadata: { name },
  spec: { containers: [{ ports: [{ name: 'decisions', containerPort: 9_444 }] }] },
  status: { phase },
});

type Answers = Readonly<Record<string, readonly Row[] | KubeError>>;
const calls: KubeCall[] = [];
let tokens = 0;
/** A cluster with these controllers, and what each answers. */
const cluster = (answers: Answers): Partial<CommandIo> => ({
  openCluster: () =>
    Promise.resolve({
      namespace: 'ml',
      client: {
        list: () => Promise.resolve([...Object.keys(answers).map((name) => pod(name)), pod('c-9', 'Pending')]),
        create: () => Promise.resolve({ status: { token: `token-${++tokens}` } }),
        request(call: KubeCall) {
          calls.push(call);
          const answer = answers[/pods\/https:([^:]+):/.exec(call.path)?.[1] ?? ''];
          return answer instanceof KubeError ? Promise.reject(answer) : Promise.resolve({ pods: answer });
        },
        close: () => undefined,
      } as unknown as KubeClient,
    }),
});
const top = (line: string, answers: Answers, more: Partial<CommandIo> = {}) =>
  sidegateCommand(['top', ...line.split(' ').filter((word) => word !== '')], { ...cluster(answers), ...more });
const gone = new KubeError('refused', 'error trying to reach service', { status: 502 });

test('each controller is asked, by its own port; a pod stands once, with the newest figures, the busiest first', async () => {
  calls.length = 0;
  const { code, out, err } = await top('--once', {
    'c-1': [row('quiet', 1), row('moved', 900, 60_000), row('mute'), row('busy')],
    'c-2': [row('quiet'), row('moved', 10, 100), row('mute'), row('busy', 100)],
  });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
    'POD REQ/S REFUSED/S MASKED HELD STREAMS WAITING POLICY CONFIRMED SEEN',
    'busy 20.0 0.4 7 1 3 1 ml/p@3 2s 0s',
    'moved 2.0 0.4 7 1 3 1 ml/p@3 2s 0s',
    'quiet 0.2 0.4 7 1 3 1 ml/p@3 2s 0s',
    'mute - - - - - - - - -',
    '',
  ]);
  expect(calls.map(({ path, headers }) => [path, headers?.['x-sidegate-token']])).toEqual(
    ['c-1', 'c-2'].map((name) => [
      `/api/v1/namespaces/sidegate-system/pods/https:${name}:9444/proxy/v1/top?namespace=ml`,
      `token-${tokens}`,
    ]),
  );
  const wide = await top('--once -A -o wide', { 'c-1': [row('busy', 100)] });
  expect(wide.out).toMatch(/^NAMESPACE +POD .*REQUESTS +REFUSED +LIVE +UP .*\nml +busy +20.0 .*100 +2 +4 +90s/);
  expect(calls.at(-1)?.path).toMatch(/\/v1\/top$/);
  const json = await top('--once -o json', { 'c-1': [row('busy', 100)] });
  expect(JSON.parse(json.out)).toMatchObject({ kind: 'List', items: [row('busy', 100)] });
});

test('a controller that does not answer is named; who may not look is told so; none at all is exit code 1', async () => {
  const partly = await top('--once', { 'c-1': gone, 'c-2': [row('busy', 100)] });
  expect(partly).toMatchObject({ code: 0, err: expect.stringMatching(/^c-1 does not answer/) });
  expect(partly.out).toContain('busy');
  const message = 'this token may not get inferencepolicies/top in namespace ml';
  const refused = new KubeError('refused', message, { status: 403 });
  expect(await top('--once', { 'c-1': [row('busy', 1)], 'c-2': refused })).toEqual({
    code: 1,
    out: '',
    err: `${message}\n`,
  });
  expect(await top('--once', { 'c-1': gone })).toMatchObject({ code: 1, err: 'error trying to reach service\n' });
  expect(await top('--once', {})).toMatchObject({ code: 1, err: expect.stringContaining('no controller runs') });
  expect(await top('--every 0', {})).toMatchObject({ code: 2, err: expect.stringContaining('--every') });
  expect(await top('--once', { 'c-1': [] })).toMatchObject({ code: 0, err: expect.stringContaining('no pod is') });
});

test('on a terminal it is painted again, as much of it as there is room for, and with a token that counts', async () => {
  const rows = Array.from({ length: 40 }, (_, at) => row(`m${at}\u001b[2J`, at));
  let now = 0;
  const slept: number[] = [];
  const before = tokens;
  const end = new Error('interrupted');
  const painted = await top(
    '--every 300',
    { 'c-1': rows },
    {
      now: () => now,
      screenRows: () => 12,
      sleep(milliseconds) {
        slept.push(milliseconds);
        now += milliseconds;
        return slept.length < 3 ? Promise.resolve() : Promise.reject(end);
      },
    },
  );
  expect([slept, tokens - before]).toEqual([[300_000, 300_000, 300_000], 2]);
  const turns = painted.out.split('\u001b[H\u001b[2J').slice(1);
  expect(turns).toHaveLength(3);
  for (const turn of turns) {
    expect(turn.split('\n')).toHaveLength(12);
    expect(turn).toMatch(/^POD .*\nm39 /);
    expect(turn).toContain('\nand 31 more\n');
    // Names are what others wrote.
    expect(turn).not.toContain('\u001b');
  }
});
