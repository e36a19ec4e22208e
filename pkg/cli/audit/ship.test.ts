import { expect, test } from '@jest/globals';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import type { Cluster } from '../command.ts';

const now = Date.UTC(2026, 10, 26, 12);

/** What the command asked of the recorder, and how it ended. */
async function ship(line: string) {
  const asked: [method: string, path: string, body: unknown][] = [];
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request({ method, path, body }: { readonly method: string; readonly path: string; readonly body?: unknown }) {
      if (!path.includes('/proxy/')) return Promise.resolve({});
      asked.push([method, path.slice(path.indexOf('/proxy/') + '/proxy'.length), body]);
      return Promise.resolve({ receiver: 'siem', entry: 40, entries: 60 });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  const { code, out, err } = await sidegateCommand(['audit', 'ship', ...line.split(' ')], {
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    now: () => now,
  });
  return { code, out, err, asked };
}

test.each([
  ['siem --again --from 40 --reason lost', { entry: 40, reason: 'lost' }],
  ['siem --again --since 1h --reason lost', { since: now - 3_600_000, reason: 'lost' }],
  ['siem --again --since 2026-11-25 --reason lost', { since: Date.UTC(2026, 10, 25), reason: 'lost' }],
])('audit ship %s asks the recorder to, and says from where on', async (line, body) => {
  expect(await ship(line)).toEqual({
    code: 0,
    out: 'siem: again from entry 40 on, 60 entries\n',
    err: '',
    asked: [['POST', '/v1/ship/siem/again', body]],
  });
});
