import { connect as connectH2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Duplex } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Exchange } from '../../../pkg/http/index.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { pause, until } from '../../support/wait.ts';
import { serve } from './harness.ts';

// A peer that reads slowly is no peer that reads nothing: it gets its answer. What waits for it holds memory that all share, so that
// there is a least rate for all of it.

const body = Buffer.alloc(32 * 1024 * 1024, 'a');

const ways: Readonly<Record<string, (exchange: Exchange) => void>> = {
  'in one go': (exchange) => exchange.respond(200, {}, body),
  'in pieces that did not wait for it': (exchange) => {
    exchange.start(200, {});
    for (let at = 0; at < body.length; at += 32_768) exchange.write(body.subarray(at, at + 32_768));
    exchange.end();
  },
  'at the end of a stream': (exchange) => {
    exchange.start(200, {});
    exchange.write('a');
    exchange.end(body.subarray(1));
  },
};

/** A peer that has asked, and reads when it is resumed. */
function peer(protocol: string, port: number, ca: string): { readonly stream: Duplex; destroy(): void } {
  if (protocol === 'h2') {
    const session = connectH2(`https://127.0.0.1:${port}`, { ca });
    const stream = session.request({ ':path': '/' });
    return { stream, destroy: () => session.destroy() };
  }
  const stream = connectTls({ port, host: '127.0.0.1', ca });
  stream.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return { stream, destroy: () => stream.destroy() };
}

interface SlowPeer {
  readonly clock: FakeClock;
  readonly exchange: Exchange;
  /** How it ended: nothing, or one entry. */
  readonly how: readonly string[];
  readonly got: () => number;
  /** Reads until the listener could write more. */
  readSome(): Promise<void>;
  readAll(): void;
  close(): Promise<void>;
}

async function slowPeer(protocol: string, way: string, stallMs: number): Promise<SlowPeer> {
  const clock = fakeClock();
  const how: string[] = [];
  const served = await serve({
    clock,
    limits: { stallMs },
    handle: (exchange) => {
      exchange.onClose((kind) => how.push(kind));
      ways[way]?.(exchange);
    },
  });
  const { stream, destroy } = peer(protocol, served.port, served.ca);
  let got = 0;
  let most = 0;
  stream
    .on('error', () => undefined)
    .on('data', (piece: Buffer) => {
      got += piece.length;
      if (got >= most) stream.pause();
    });
  stream.pause();
  await until(() => served.exchanges.length === 1);
  const exchange = served.exchanges[0]!;
  return {
    clock,
    exchange,
    how,
    got: () => got,
    readSome: async () => {
      const before = exchange.bytesOut;
      // What the kernel holds makes room in large steps.
      while (exchange.bytesOut === before && how.length === 0) {
        most = got + 262_144;
        stream.resume();
        await until(() => got >= most || how.length > 0, 'it reads some of it');
        await pause(5);
      }
    },
    readAll: () => {
      most = Number.POSITIVE_INFINITY;
      stream.resume();
    },
    close: async () => {
      destroy();
      await served.stop();
    },
  };
}

const all = ['http/1.1', 'h2'].flatMap((protocol) => Object.keys(ways).map((way) => [protocol, way] as const));

test.each(all)('%s: an answer that leaves %s reaches whoever reads on', async (protocol, way) => {
  const stallMs = 200;
  const slow = await slowPeer(protocol, way, stallMs);
  for (let step = 0; step < 6; step++) {
    await slow.readSome();
    slow.clock.advance(0.75 * stallMs);
    expect(slow.how).toEqual([]);
  }
  slow.readAll();
  await until(() => slow.how.length > 0);
  expect(slow.how).toEqual(['finished']);
  await until(() => slow.got() >= body.length, 'all of it');
  expect(slow.exchange.bytesOut).toBe(body.length);
  await slow.close();
});

test.each(all)('%s: an answer that leaves %s ends where a little of it is read now and then', async (protocol, way) => {
  const stallMs = 60_000;
  const slow = await slowPeer(protocol, way, stallMs);
  // One second more for each 64 KiB of 32 MiB.
  const longest = stallMs + 512_000;
  for (let left = longest; left > 0; left -= 50_000) {
    await slow.readSome();
    expect(slow.how).toEqual([]);
    slow.clock.advance(50_000);
  }
  expect(slow.exchange.bytesOut).toBeLessThan(body.length);
  await until(() => slow.how.length > 0, 'its end');
  expect(slow.how).toEqual(['aborted']);
  await slow.close();
});
