import { fork } from 'node:child_process';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { encodeFrame, streamPath, streamProtocol } from '../../../pkg/wire/index.ts';
import { controllerName } from '../../support/stream.ts';
import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import type { Ask, Tell } from './control-server.ts';

/**
 * The controller's streams: how long an edit takes until every sidecar has acknowledged it, how long all take to come back
 * after a restart, and what they cost in memory. The server is a process of its own; the sidecars are simulated here by as many TLS
 * connections, each from a loopback address of its own.
 *
 * @param counts Numbers of sidecars; edits are measured at each, reconnecting at the last.
 */
export async function controlStreams(
  bench: Pick<Bench, 'short'>,
  counts: readonly number[] = bench.short ? [100] : [1_000, 10_000],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of counts) rows.push(...(await measure(count, count === counts.at(-1))));
  return rows;
}

async function measure(count: number, restart: boolean): Promise<Row[]> {
  const child = fork(join(import.meta.dirname, 'control-server.ts'), { serialization: 'json' });
  const told: Tell[] = [];
  let wake: () => void = () => undefined;
  child.on('message', (message: Tell) => {
    told.push(message);
    wake();
  });
  const next = async <Kind extends Tell['tell']>(kind: Kind): Promise<Extract<Tell, { tell: Kind }>> => {
    for (;;) {
      const at = told.findIndex((one) => one.tell === kind);
      if (at !== -1) return told.splice(at, 1)[0] as Extract<Tell, { tell: Kind }>;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const ask = (message: Ask): void => void child.send(message);
  const clients: { close: () => void }[] = [];
  try {
    ask({ ask: 'start', pods: count });
    const { port, ca, rssMb: before } = await next('started');
    for (let n = 0; n < count; n++) clients.push(simulated(n, port, ca));
    const first = await next('joined');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const edits: { readonly p50: number; readonly p99: number; readonly bytes: number }[] = [];
    for (let n = 0; n < 5; n++) {
      ask({ ask: 'edit' });
      edits.push(await next('acked'));
    }
    const worst = edits.reduce((a, b) => (a.p99 > b.p99 ? a : b));
    const many = count.toLocaleString('en');
    const rows: Row[] = [
      {
        work: `policy edit (${Math.round(worst.bytes / 1024)} KB) to ${many} sidecars, all acknowledged: p99, worst of ${edits.length}`,
        measured: `**${show(worst.p99, 0)} ms** (p50 ${show(worst.p50, 0)} ms)`,
        target: count <= 1_000 ? '<= 1,000 ms' : '',
        reached: count <= 1_000 ? printed(worst.p99, 0) <= 1_000 : undefined,
      },
      {
        work: `memory of ${many} streams in the controller`,
        measured: `**${show(first.rssMb - before, 0)} MB** (${show(((first.rssMb - before) * 1024) / count, 0)} KB each)`,
        target: '',
        reached: undefined,
      },
    ];
    if (!restart) return rows;
    ask({ ask: 'restart' });
    const again = await next('joined');
    return [
      ...rows,
      {
        work: `${many} sidecars back after the controller's restart`,
        measured: `**${show(again.ms / 1_000, 1)} s**`,
        target: '<= 60 s',
        reached: printed(again.ms / 1_000, 1) <= 60,
      },
    ];
  } finally {
    for (const client of clients) client.close();
    child.disconnect();
  }
}

/** What a sidecar does on the wire, without what it does with it. Reconnects as a sidecar does: full jitter, 0.5 to 30 s. */
function simulated(n: number, port: number, ca: string): { close: () => void } {
  const name = `pod-${n}`;
  const localAddress = `127.${1 + (n >> 14)}.${(n >> 7) & 127}.${1 + (n & 127)}`;
  let socket: TLSSocket | undefined;
  let closed = false;
  let attempts = 0;
  let holds: string | null = null;
  const open = (): void => {
    if (closed) return;
    let head = true;
    let missing = 0;
    const options = { host: '127.0.0.1', port, localAddress, servername: controllerName, ca, session: undefined };
    const mine = connect(options, () => {
      mine.write(
        `GET ${streamPath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${streamProtocol}\r\nAuthorization: Bearer ${name}\r\n\r\n`,
      );
    });
    socket = mine;
    mine.on('error', () => undefined);
    mine.on('close', () => {
      if (closed) return;
      attempts++;
      setTimeout(open, 500 + Math.random() * (Math.min(30_000, 500 * 2 ** Math.min(attempts, 6)) - 500));
    });
    mine.on('data', (chunk: Buffer) => {
      let at = 0;
      if (head) {
        const end = chunk.indexOf('\r\n\r\n');
        if (end === -1 || !chunk.toString('latin1', 0, 12).endsWith('101')) return void mine.destroy();
        head = false;
        at = end + 4;
        mine.write(
          encodeFrame({
            type: 'hello',
            version: 1,
            pod: { namespace: 'ml', name, uid: name },
            portMap: {},
            capture: 'Redirect',
            software: 'bench',
            holds,
            seen: {},
            audit: null,
            serving: null,
          }),
        );
      }
      while (at < chunk.length) {
        if (missing > 0) {
          const taken = Math.min(missing, chunk.length - at);
          missing -= taken;
          at += taken;
          continue;
        }
        // Heads of frames are not cut in practice: frames are written whole, and a record holds 16 KB.
        if (chunk.length - at < 4) return;
        missing = chunk.readUInt32BE(at);
        at += 4;
        const start = chunk.toString('latin1', at, at + 110);
        const hash = /^\{"type":"(?:snapshot|confirm)","hash":"([0-9a-f]{64})"/.exec(start)?.[1];
        if (hash === undefined) continue;
        holds = hash;
        attempts = 0;
        mine.write(encodeFrame({ type: 'ack', hash }));
      }
    });
  };
  open();
  return {
    close() {
      closed = true;
      socket?.destroy();
    },
  };
}
