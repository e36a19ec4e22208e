import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';
import { createPeers } from '../../test/support/peers.ts';
import { silentLogger, systemClock } from '../base/index.ts';
import { RefusedError, compileSnapshot } from '../core/index.ts';
import { policy } from '../core/testing/policies.ts';
import type { HostedSpec, UpstreamSpec } from '../core/index.ts';
import { proxyFromEnvironment } from '../http/index.ts';
import { createPortTargets } from './model-target.ts';

// By which way a gateway reaches its endpoint.

const peers = createPeers();
const closing: (() => void)[] = [];
afterEach(() => {
  closing.splice(0).forEach((close) => close());
  peers.end();
});

/** A proxy that refuses: what it was asked for. */
async function proxy(): Promise<{ readonly port: number; readonly asked: string[] }> {
  const asked: string[] = [];
  const port = await peers.listen(
    createServer((socket) => {
      socket.on('data', (chunk: Buffer) => {
        asked.push(chunk.toString('latin1').split('\r\n')[0] ?? '');
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      });
    }),
  );
  return { port, asked };
}

const hosted = (url: string, more: Partial<HostedSpec> = {}): UpstreamSpec => ({
  ...{ ports: [], credential: undefined },
  hosted: { url, ...more },
});

/** Asks the target that the policy in force has, by the environment; how it ended. */
function ask(
  environment: Readonly<Record<string, string>>,
  upstream: UpstreamSpec | undefined,
  port = 1,
): Promise<string> {
  const targets = createPortTargets({
    ...{ port, authorities: () => undefined, clock: systemClock, logger: silentLogger },
    proxyOf: (url) => proxyFromEnvironment(environment, url),
  });
  closing.push(() => targets.close());
  const snapshot = compileSnapshot([policy('p', upstream === undefined ? {} : { upstream })], { revision: 1 });
  const target = targets.find(snapshot);
  return new Promise((resolve) => {
    target.upstream.send(
      { method: 'POST', path: '/v1', headers: {}, body: Buffer.from('{}'), idleMs: 3_000 },
      {
        head: () => undefined,
        data: () => undefined,
        end: () => resolve('end'),
        error: (error) => resolve(error instanceof RefusedError ? error.code : 'other'),
      },
    );
  });
}

describe('a hosted endpoint is reached', () => {
  test('through the proxy of the environment', async () => {
    const { port, asked } = await proxy();
    await ask({ HTTPS_PROXY: `http://127.0.0.1:${port}` }, hosted('https://models.test'));
    expect(asked).toEqual(['CONNECT models.test:443 HTTP/1.1']);
  });

  test('straight where NO_PROXY has it', async () => {
    const { port, asked } = await proxy();
    const server = await proxy();
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: '127.0.0.1' };
    await ask(environment, hosted(`https://127.0.0.1:${server.port}`));
    expect(asked).toEqual([]);
    expect(server.asked).toHaveLength(1);
  });

  test('through the one that its policy names, whatever the environment says', async () => {
    const [environment, named] = [await proxy(), await proxy()];
    await ask(
      { HTTPS_PROXY: `http://127.0.0.1:${environment.port}` },
      hosted('https://models.test', { proxy: `http://127.0.0.1:${named.port}` }),
    );
    expect([environment.asked, named.asked]).toEqual([[], ['CONNECT models.test:443 HTTP/1.1']]);
  });

  test('not at all where the environment names one that is not spoken to', () => {
    expect(() => ask({ HTTPS_PROXY: 'socks5://127.0.0.1:1' }, hosted('https://models.test'))).toThrow(
      expect.objectContaining({ code: 'upstream_unreachable' }),
    );
  });
});

test('a model in the pod is reached straight', async () => {
  const { port, asked } = await proxy();
  const model = await peers.raw(({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  expect(await ask({ HTTPS_PROXY: `http://127.0.0.1:${port}` }, undefined, model.port)).toBe('end');
  expect(asked).toEqual([]);
});
