import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { parseJson, silentLogger } from '../../../pkg/base/index.ts';
import {
  createRecordSender,
  gapOf,
  namedStart,
  openSpool,
  placeOf,
  verifyAuditLog,
} from '../../../pkg/record/index.ts';
import type { RecordSender, Spool } from '../../../pkg/record/index.ts';
import { createRecordUpReader, encodeRecordFrame, recordProtocolVersion } from '../../../pkg/wire/index.ts';
import type { RecordDownMessage, RecordUpMessage } from '../../../pkg/wire/index.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/wait.ts';

// Spools of some small files, processes that are killed, a disk that gives back other bytes than it was given, and a recorder that comes and goes:
// what was recorded is found, once and in order, or counted as lost; and nothing waits for ever.

/** More by `ROUNDS=`. */
const rounds = Number(process.env['ROUNDS'] ?? 60);

function dice(seed: number): (sides: number) => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * sides);
  };
}

interface Stored {
  sequence: number;
  hash: string;
  text: string;
}

/** An honest recorder in memory, whose streams break now and then. */
function memoryRecorder(throwDice: (sides: number) => number) {
  const chains = new Map<string, Stored>();
  let holes = 0;
  const faults: string[] = [];
  let open: Duplex | undefined;
  const state = { up: true };
  const take = (chain: string, to: Stored, message: RecordUpMessage, lines: Buffer): 'took' | 'lost' | 'mute' => {
    if (message.type === 'skip') {
      if (message.from !== to.sequence + 1) faults.push(`a skip of ${chain} from ${message.from}`);
      holes += message.to - message.from + 1;
      Object.assign(to, { sequence: message.to, hash: message.hash, text: `${to.text}\n` });
      return 'took';
    }
    if (throwDice(12) === 0) return 'lost';
    const text = lines.toString();
    const verdict = verifyAuditLog(text.split('\n'), { after: { seq: to.sequence, hash: to.hash } });
    const last = placeOf(Buffer.from(text.trimEnd().split('\n').at(-1) ?? ''));
    if (!verdict.ok || last === undefined) {
      faults.push(`lines of ${chain} behind ${to.sequence}`);
      return 'lost';
    }
    Object.assign(to, { sequence: last.seq, hash: last.hash, text: to.text + text });
    return throwDice(12) === 0 ? 'mute' : 'took';
  };
  return {
    state,
    chains,
    faults,
    holes: () => holes,
    /** As a process that is killed: nothing of it comes any more. */
    cut: () => void open?.destroy(),
    connect(): Promise<Duplex> {
      if (!state.up) return Promise.reject(new Error('away'));
      const [here, there] = duplexPair();
      open = there;
      let chain = '';
      const say = (message: RecordDownMessage): void => void there.write(encodeRecordFrame(message));
      const up = createRecordUpReader((message, lines) => {
        if (there.destroyed) return;
        if (message.type === 'hello') say({ type: 'welcome', version: recordProtocolVersion, heartbeatMs: 15_000 });
        if (message.type === 'begin') ({ chain } = message);
        const start = namedStart(chain);
        const to = chains.get(chain) ?? { sequence: start.seq, hash: start.hash, text: '' };
        if (chain !== '') chains.set(chain, to);
        const { sequence, hash } = to;
        if (message.type === 'begin') say({ type: 'position', chain, sequence, hash });
        if (message.type !== 'events' && message.type !== 'skip') return;
        const took = take(chain, to, message, lines);
        if (took === 'took') say({ type: 'ack', chain, sequence: to.sequence, hash: to.hash });
        else {
          there.destroy();
          here.destroy();
        }
      });
      there.on('data', (chunk: Buffer) => up.push(chunk));
      return Promise.resolve(here);
    },
  };
}

let folder: string;
let clock: FakeClock;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-damaged-'));
  clock = fakeClock();
});
afterEach(() => rmSync(folder, { recursive: true }));

const spoolFiles = (): string[] => readdirSync(folder).filter((name) => /^record-.*\.jsonl(\.[0-9]{15})?$/.test(name));
const chainOf = (name: string): string => name.slice(0, 'record-'.length + 32);

/** What a disk does to one file: to the newest only what can be counted, since nobody knows of lines that were never sent and are not there. */
function damage(throwDice: (sides: number) => number): string {
  const names = spoolFiles().filter((name) => statSync(join(folder, name)).size > 0);
  const name = names[throwDice(names.length)];
  if (name === undefined) return 'nothing';
  const file = join(folder, name);
  const bytes = readFileSync(file);
  const at = throwDice(bytes.length);
  const [newest] = names
    .filter((one) => chainOf(one) === names.map(chainOf).toSorted().at(-1))
    .toSorted((one, other) => one.length - other.length || (one < other ? 1 : -1));
  const ways = {
    flip: () => bytes.fill((bytes[at] ?? 0) ^ (1 << throwDice(8)), at, at + 1),
    zeros: () => bytes.fill(0, at, Math.min(bytes.length, at + 1 + throwDice(600))),
    'zeros at its end': () => bytes.fill(0, Math.max(0, bytes.length - 1 - throwDice(400))),
    cut: () => bytes.subarray(0, at),
    'lines cut': () => bytes.subarray(0, bytes.lastIndexOf(10, at) + 1),
  };
  const seen = Object.entries(ways).slice(0, name === newest ? 1 : 5);
  const [way, by] = seen[throwDice(seen.length)] ?? ['flip', ways.flip];
  writeFileSync(file, by());
  return `${way} of ${name}`;
}

/** Both ways of a stream, and what waits for the clock. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    clock.advance(100);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function round(seed: number): Promise<void> {
  const throwDice = dice(seed);
  const recorder = memoryRecorder(throwDice);
  const did: string[] = [];
  let recorded = 0;
  const start = (): { readonly spool: Spool; readonly sender: RecordSender } => {
    const spool = openSpool({ folder, clock, logger: silentLogger, fileBytes: 1_500, bootId: () => undefined });
    const sender = createRecordSender({
      folder,
      spool,
      clock,
      logger: silentLogger,
      pod: { namespace: 'ml', name: 'p', uid: 'u' },
      software: 'test',
      backoff: { next: () => 500, reset: () => undefined },
      connect: recorder.connect,
    });
    spool.record.append([{ type: 'process', what: 'start' }]);
    return { spool, sender };
  };
  const steps = [
    () => {
      const lane = 'l';
      for (let n = throwDice(25); n >= 0; n--) {
        const text = `#${recorded++}#${'x'.repeat(throwDice(120))}`;
        sidecar.spool.record.append([
          { type: 'segment', session: 'a'.repeat(32), direction: 'request', lane, text, at: 0 },
        ]);
      }
      did.push(`${recorded} recorded`);
    },
    async () => {
      await pass(1_000);
      did.push('a second');
    },
    () => {
      recorder.state.up = !recorder.state.up;
      did.push(recorder.state.up ? 'up' : 'away');
    },
    async () => {
      if (throwDice(3) === 0) await pass(400);
      recorder.cut();
      sidecar.sender.close();
      did.push(`killed: ${throwDice(2) === 0 ? damage(throwDice) : 'whole'}`);
      sidecar = start();
    },
  ];
  recorder.state.up = throwDice(2) === 0;
  let sidecar = start();
  for (let n = 4 + throwDice(10); n > 0; n--) await (steps[throwDice(6)] ?? steps[0])?.();
  recorder.state.up = true;
  const isDone = (): boolean => sidecar.sender.pending() === 0 && new Set(spoolFiles().map(chainOf)).size === 1;
  // The disk takes its own time.
  await until(
    async () => {
      await pass(500);
      return isDone();
    },
    () => `all of ${seed}: ${did.join(', ')}`,
  );

  const lines = [...recorder.chains.values()].flatMap(({ text }) => text.split('\n').filter((line) => line !== ''));
  const found = lines.flatMap((line) => /"text":"#([0-9]+)#/.exec(line)?.[1] ?? []).map(Number);
  const told = recorder.holes() + lines.reduce((sum, line) => sum + gapOf(parseJson(line)), 0);
  expect({ seed, did, faults: recorder.faults }).toEqual({ seed, did, faults: [] });
  expect({ seed, did, twice: found.length - new Set(found).size }).toEqual({ seed, did, twice: 0 });
  const lost = recorded - found.length;
  expect({ seed, did, untold: Math.max(0, lost - told) }).toEqual({ seed, did, untold: 0 });
  sidecar.sender.close();
  await sidecar.spool.record.close();
}

test(
  `${rounds} spools that are damaged, killed and sent`,
  async () => {
    for (let seed = 1; seed <= rounds; seed++) {
      await round(seed);
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
    }
  },
  120_000 + rounds * 1_000,
);
