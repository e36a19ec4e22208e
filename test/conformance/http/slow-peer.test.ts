import { connect as connectH2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Duplex } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Exchange } from '../../../pkg/http/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { pause, until } from '../../support/wait.ts';
import { serve } from './harness.ts';

// A peer that reads slowly is no peer that reads nothing: it gets its answer, however long that takes.

const stallMs = 200;
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

test.each(['http/1.1', 'h2'].flatMap((protocol) => Object.keys(ways).map((way) => [protocol, way] as const)))(
  '%s: an answer that leaves %s reaches whoever reads on',
  async (protocol, way) => {
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
    const [exchange] = served.exchanges;
    for (let step = 0; step < 6; step++) {
      const before = exchange!.bytesOut;
      // What the kernel holds makes room in large steps.
      while (exchange!.bytesOut === before && how.length === 0) {
        most = got + 262_144;
        stream.resume();
        await until(() => got >= most || how.length > 0, 'it reads some of it');
        await pause(5);
      }
      clock.advance(0.75 * stallMs);
      expect(how).toEqual([]);
    }
    most = Number.POSITIVE_INFINITY;
    stream.resume();
    await until(() => how.length > 0);
    expect(how).toEqual(['finished']);
    await until(() => got >= body.length, 'all of it');
    expect(exchange!.bytesOut).toBe(body.length);
    destroy();
    await served.stop();
  },
);
