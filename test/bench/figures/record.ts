import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { build } from 'esbuild';
import type { SessionQuery } from '../../../pkg/recorder/index.ts';
import { sessionEvents, sessionId, testChain } from '../../../pkg/recorder/testing/chains.ts';
import {
  createRecordDownReader,
  encodeRecordFrame,
  recordPath,
  recordProtocol,
  recordProtocolVersion,
  recordWindowBytes,
} from '../../../pkg/wire/index.ts';
import { printed, show } from '../bench.ts';
import type { Bench, Row } from '../bench.ts';
import { startPostgres } from '../../support/postgres.ts';
import { proxyCore, start } from '../process.ts';
import type { Measured } from '../process.ts';
import { percentile } from '../statistics.ts';
import { fillPostgres } from './record-fill-postgres.ts';
import { dice, englishOf, fillStore, users, vocabulary } from './record-fill.ts';
import type { Ask, Tell } from './record-server.ts';

/**
 * The recorder: what it takes in on one core, by TLS, with its index of words and each transaction on the disk; what it then is in memory and
 * on the disk; and how long a proof of one session takes.
 */
export async function record(bench: Pick<Bench, 'short'>): Promise<Row[]> {
  const bundle = await bundled();
  try {
    const sent = bench.short ? 1_000 : 60_000;
    return [...(await takingIn(bundle, sent)), ...(await takingInShared(bundle, sent))];
  } finally {
    rmSync(bundle, { recursive: true });
  }
}

/**
 * How long searches take in a store of a million events (EVENTS=10000000: of ten million, which takes some minutes to make), embedded or, by
 * STORE=postgres, in a database.
 */
export async function recordSearch(bench: Pick<Bench, 'short'>): Promise<Row[]> {
  const events = Number(process.env['EVENTS'] ?? (bench.short ? 6_000 : 1_000_000));
  if (!Number.isInteger(events) || events < 3_000) throw new Error('EVENTS is a number of events, from 3,000');
  const kind = process.env['STORE'] ?? 'sqlite';
  if (kind !== 'sqlite' && kind !== 'postgres') throw new Error('STORE is sqlite or postgres');
  const bundle = await bundled();
  try {
    return await (kind === 'sqlite' ? searching(bundle, events) : searchingShared(bundle, events));
  } finally {
    rmSync(bundle, { recursive: true });
  }
}

/** The recorder's programs as the image has them: source costs memory of its own, for taking its types off. */
export async function bundled(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const outdir = mkdtempSync(join(tmpdir(), 'sidegate-bench-bundle-'));
  await build({
    absWorkingDir: join(import.meta.dirname, '../../..'),
    entryPoints: {
      server: 'test/bench/figures/record-server.ts',
      reader: 'pkg/recorder/store/search/reader-thread.ts',
      ...more,
    },
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  writeFileSync(join(outdir, 'package.json'), '{"type":"module"}');
  return outdir;
}

interface Server {
  readonly process: Measured;
  ask<Kind extends Tell['tell']>(message: Ask, kind: Kind): Promise<Extract<Tell, { tell: Kind }>>;
}

export function server(bundle: string, core = proxyCore): Server {
  const running = start({
    core,
    command: 'env',
    args: [...launch, join(bundle, 'server.js')],
    ipc: true,
    onLine: (line) => process.stderr.write(`record-server: ${line}\n`),
  });
  return {
    process: running,
    ask: (message, kind) =>
      new Promise((resolve, reject) => {
        const gone = (code: number | null): void => reject(new Error(`the recorder ended with ${code}`));
        running.child.once('exit', gone);
        running.child.once('message', (told: Tell) => {
          running.child.off('exit', gone);
          if (told.tell === kind) resolve(told as never);
          else reject(new Error(`the recorder told ${told.tell}`));
        });
        running.child.send(message);
      }),
  };
}

/** As cmd/recorder/main.ts starts itself. */
const launch: readonly string[] = ['MALLOC_ARENA_MAX=2', process.execPath, '--max-semi-space-size=4'];

const sizeOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

const sidecars = 4;
const sessionsABatch = 30;

interface Batch {
  readonly frame: Buffer;
  readonly last: number;
  readonly bytes: number;
}

/** A chain of sessions of three events of about 2 KB, as the frames that a sidecar would send. */
function makeBatches(seed: number, events: number): { name: string; batches: Batch[]; bytes: number } {
  const chain = testChain(`bench ${seed}`);
  const throwDice = dice(seed + 1);
  const batches: Batch[] = [];
  let bytes = 0;
  for (let made = 0; made < events; made += sessionsABatch * 3) {
    const first = chain.point().sequence + 1;
    const lines = chain.lines(
      Array.from({ length: sessionsABatch }, (_, at) =>
        sessionEvents({
          id: sessionId(`${seed} ${made + at}`),
          user: `user-${throwDice(users)}`,
          ask: englishOf(throwDice, 2_450),
          answer: englishOf(throwDice, 2_450),
        }),
      ).flat(),
    );
    const count = sessionsABatch * 3;
    batches.push({
      frame: encodeRecordFrame({ type: 'events', first, count }, lines),
      last: chain.point().sequence,
      bytes: lines.length,
    });
    bytes += lines.length;
  }
  return { name: chain.name, batches, bytes };
}

/** Sends all of a chain as a sidecar does, a window at a time; resolves when it is acknowledged. */
function sendAll(
  options: { port: number; ca: string; identity: { uid: string; cert: string; key: string } },
  { name, batches }: ReturnType<typeof makeBatches>,
): Promise<void> {
  const { port, ca, identity } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca,
      cert: identity.cert,
      key: identity.key,
    });
    let next = 0;
    let flight: Batch[] = [];
    const pump = (): void => {
      for (let size = flight.reduce((sum, one) => sum + one.bytes, 0); size < recordWindowBytes;) {
        const batch = batches[next];
        if (batch === undefined) return;
        next++;
        flight.push(batch);
        size += batch.bytes;
        socket.write(batch.frame);
      }
    };
    const down = createRecordDownReader((message) => {
      if (message.type === 'welcome') socket.write(encodeRecordFrame({ type: 'begin', chain: name }));
      else if (message.type === 'goodbye') reject(new Error(`the recorder says goodbye: ${message.reason}`));
      else if (message.type === 'position') pump();
      else if (message.type === 'ack') {
        flight = flight.filter(({ last }) => last > message.sequence);
        if (flight.length > 0 || next < batches.length) return pump();
        socket.end();
        resolve();
      }
    });
    socket.once('secureConnect', () => {
      socket.write(
        `GET ${recordPath} HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: ${recordProtocol}\r\n\r\n`,
      );
    });
    socket.once('data', (answer: Buffer) => {
      const end = answer.indexOf('\r\n\r\n') + 4;
      socket.on('data', (chunk: Buffer) => down.push(chunk));
      if (answer.length > end) down.push(answer.subarray(end));
      const pod = { namespace: 'ml', name: `pod-${identity.uid}`, uid: identity.uid };
      socket.write(encodeRecordFrame({ type: 'hello', version: recordProtocolVersion, pod, software: 'bench' }));
    });
    socket.on('error', reject);
  });
}

/** The same with a Postgres server of this machine, which waits for its disk; its own work is not the recorder's. */
async function takingInShared(bundle: string, events: number): Promise<Row[]> {
  const database = await startPostgres({ durable: true });
  try {
    return await takingIn(bundle, events, database.dsn.reveal());
  } finally {
    await database.stop();
  }
}

async function takingIn(bundle: string, events: number, dsn?: string): Promise<Row[]> {
  const kind = dsn === undefined ? 'recorder' : 'recorder on Postgres';
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-bench-record-'));
  const recorder = server(bundle);
  try {
    const { port, ca, identities } = await recorder.ask(
      { ask: 'open', folder, sidecars, ...(dsn === undefined ? {} : { dsn }) },
      'open',
    );
    const chains = Array.from({ length: sidecars }, (_, at) => makeBatches(at, Math.ceil(events / sidecars)));
    const bytes = chains.reduce((sum, one) => sum + one.bytes, 0);
    const sent = chains.reduce((sum, one) => sum + one.batches.length * sessionsABatch * 3, 0);
    let most = 0;
    const sampler = setInterval(() => (most = Math.max(most, recorder.process.resident())), 100);
    const [cpu, from] = [recorder.process.cpu(), performance.now()];
    await Promise.all(
      chains.map(async (chain, at) => {
        const identity = identities[at];
        if (identity !== undefined) await sendAll({ port, ca, identity }, chain);
      }),
    );
    const seconds = (performance.now() - from) / 1_000;
    let stats = await recorder.ask({ ask: 'stats' }, 'stats');
    while (stats.stats.unindexed > 0) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      stats = await recorder.ask({ ask: 'stats' }, 'stats');
    }
    const [indexed, all] = [(performance.now() - from) / 1_000, recorder.process.cpu() - cpu];
    clearInterval(sampler);
    const sessions = Array.from({ length: 200 }, (_, at) => sessionId(`${at % sidecars} ${at % sessionsABatch}`));
    const proofs = await recorder.ask({ ask: 'prove', sessions }, 'took');
    if (stats.stats.events !== sent || proofs.found !== sessions.length)
      throw new Error(`sent ${sent}, stored ${stats.stats.events}, proven ${proofs.found} of ${sessions.length}`);
    // Closed, since SQLite's logs of what was written last (128 MB at most) say nothing of what stays.
    await recorder.ask({ ask: 'close' }, 'closed');
    const share = (dsn === undefined ? sizeOf(folder) : stats.stats.diskBytes) / bytes;
    const rate = sent / seconds;
    const proof = percentile(proofs.ms, 0.95);
    return [
      {
        work: `${kind}: ${sent.toLocaleString('en')} events of ${show(bytes / sent / 1_000, 1)} KB from ${sidecars} sidecars, acknowledged, words indexed beside it, one core`,
        measured: `**${Math.round(rate).toLocaleString('en')} events/s**; all indexed: ${Math.round(sent / indexed).toLocaleString('en')} events/s, ${show((all / sent) * 1e6, 0)} µs of CPU each`,
        target: '>= 10,000 events/s',
        reached: Math.round(rate) >= 10_000,
      },
      {
        work: `${kind}: memory, the most seen`,
        measured: `**${show(most, 0)} MB**`,
        target: '<= 300 MB',
        reached: printed(most, 0) <= 300,
      },
      {
        work: `${kind}: disk for what was sent, with its indices`,
        measured: `**${show(share)}** of its JSON`,
        target: '<= 0.5',
        reached: printed(share) <= 0.5,
      },
      {
        work: `${kind}: proof of one session, made and verified: p95 of ${sessions.length}`,
        measured: `**${show(proof, 1)} ms**`,
        target: '<= 10 ms',
        reached: printed(proof, 1) <= 10,
      },
    ];
  } finally {
    await recorder.process.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Questions of both kinds, each many times with other values. */
function questions(count: number): { readonly fields: SessionQuery[]; readonly words: SessionQuery[] } {
  const throwDice = dice(3);
  const limit = 100;
  const kinds: (() => Partial<SessionQuery>)[] = [
    () => ({ user: `user-${1 + throwDice(users)}` }),
    () => ({ user: `user-${1 + throwDice(users)}`, model: `model-${throwDice(10)}` }),
    () => ({ namespace: `namespace-${throwDice(20)}`, since: Date.UTC(2026, 9, 1) + throwDice(1e8) }),
    () => ({ tags: ['by:Secrets'] }),
    () => ({ tags: ['act:allowed'] }),
    () => ({ outcome: 'refused', namespace: `namespace-${throwDice(20)}` }),
    () => ({ group: `group-${throwDice(50)}`, operation: `operation-${throwDice(4)}` }),
    () => ({ pod: `pod-${throwDice(90)}`, until: Date.UTC(2026, 9, 1) + throwDice(1e9) }),
  ];
  const word = (from: number, to: number): string => vocabulary[from + throwDice(to - from)] ?? '';
  const texts = [
    () => word(10, 100),
    () => `${word(0, 20)} ${word(1_000, 15_000)}`,
    () => `${word(100, 1_000)} ${word(100, 1_000)}`,
    () => word(5_000, 19_000),
  ];
  return {
    fields: Array.from({ length: count }, (_, at) => ({ limit, ...kinds[at % kinds.length]?.() })),
    words: Array.from({ length: count }, (_, at) => ({ limit, text: texts[at % texts.length]?.() ?? '' })),
  };
}

async function searchingShared(bundle: string, events: number): Promise<Row[]> {
  const database = await startPostgres();
  try {
    await fillPostgres(database.dsn.reveal(), events);
    return await searching(bundle, events, database.dsn.reveal());
  } finally {
    await database.stop();
  }
}

/** @param dsn Of a database that is filled; undefined: an embedded store is made. */
async function searching(bundle: string, events: number, dsn?: string): Promise<Row[]> {
  const kind = dsn === undefined ? 'recorder' : 'recorder on Postgres';
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-bench-search-'));
  const path = join(folder, 'record.db');
  if (dsn === undefined) await fillStore(path, events);
  const recorder = server(bundle);
  try {
    await recorder.ask({ ask: 'open', folder, sidecars: 0, ...(dsn === undefined ? {} : { dsn }) }, 'open');
    const { fields, words } = questions(400);
    const byField = await recorder.ask({ ask: 'search', queries: fields }, 'took');
    const byWord = await recorder.ask({ ask: 'search', queries: words }, 'took');
    if (byField.found === 0 || byWord.found === 0) throw new Error('nothing was found');
    const [field, word] = [percentile(byField.ms, 0.95), percentile(byWord.ms, 0.95)];
    const [worstField, worstWord] = [percentile(byField.ms, 1), percentile(byWord.ms, 1)];
    const resident = recorder.process.resident();
    const bytes = dsn === undefined ? sizeOf(folder) : (await recorder.ask({ ask: 'stats' }, 'stats')).stats.diskBytes;
    const many = `${events.toLocaleString('en')} events (${show(bytes / 1e9, 1)} GB without their lines)`;
    return [
      {
        work: `${kind}: search by field over ${many}: p95 of ${fields.length}`,
        measured: `**${show(field, 1)} ms** (worst ${show(worstField, 0)} ms)`,
        target: '<= 100 ms',
        reached: printed(field, 1) <= 100,
      },
      {
        work: `${kind}: search by words over the same: p95 of ${words.length}`,
        measured: `**${show(word, 1)} ms** (worst ${show(worstWord, 0)} ms)`,
        target: '<= 500 ms',
        reached: printed(word, 1) <= 500,
      },
      {
        work: `${kind}: memory after these searches`,
        measured: `**${show(resident, 0)} MB**`,
        target: '<= 300 MB',
        reached: printed(resident, 0) <= 300,
      },
    ];
  } finally {
    await recorder.process.stop();
    rmSync(folder, { recursive: true });
  }
}
