import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { makeSealKeys, readPrivateKey, unsealLines } from '../../pkg/seal/index.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';

/** `audit.content: Full`: what the record hides is in it all the same, for whoever has the private key and nobody else. */
const path = '/v1/chat/completions';
const keys = makeSealKeys();
const privateKey = readPrivateKey(keys.privateKey);
const credential = 'model-key-0123456789';
const rules = (audit: string): string => `
  classification:
  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }
  upstream: { credential: { file: credential } }
  audit: ${audit}
`;
const full = `{ content: Full, sealTo: "${keys.publicKey}" }`;

let world: World;
let recorder: TestRecorder;
let record: PodRecord;
let folder: string;
beforeAll(async () => {
  recorder = await startRecorder();
  folder = mkdtempSync(join(tmpdir(), 'sidegate-sealed-'));
  mkdirSync(join(folder, 'spool'));
  const uid = 'uid-1';
  const { cert, key } = await recorder.identity(uid);
  for (const [name, text] of [
    ['identity.pem', cert],
    ['identity-key.pem', key],
    ['trust.pem', recorder.authority.bundle()],
  ] as const)
    writeFileSync(join(folder, name), text);
  record = openPodRecord({
    folder: join(folder, 'spool'),
    limit: 1 << 26,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
  });
  record.sendBy(createIngestClientRemote(folder, recorder.port()));
  world = await startWorld({
    policy: (issuer) => basePolicy(issuer, rules(full)),
    credential,
    audit: { append: (events) => record.audit.append(events), close: () => Promise.resolve() },
  });
});
afterAll(async () => {
  await world.close();
  await record.finish(5_000);
  await recorder.close();
  rmSync(folder, { recursive: true });
});

interface Piece {
  readonly text: string;
  readonly direction?: string;
}

async function linesOf(id: string): Promise<readonly string[]> {
  const lines: string[] = [];
  const { sessions } = await recorder.store.search({ session: id, limit: 1 });
  for (const session of sessions) for await (const line of recorder.store.sessionLines(id, session)) lines.push(line);
  return lines;
}

/** What the recorder has of a session, and what the holder of the key reads of it. */
async function recordOf(header: unknown): Promise<{ masked: string; said: string; asked: string; ended: boolean }> {
  const id = String(header);
  let lines: readonly string[] = [];
  await until(async () => {
    lines = await linesOf(id);
    return lines.at(-1)?.includes('"type":"end"') === true;
  }, 'the end of the session');
  const unsealed = unsealLines(lines, id, privateKey);
  const events = unsealed.lines.map((line) => JSON.parse(line) as Piece & { readonly request?: readonly Piece[] });
  const of = (direction: string): string =>
    events
      .filter((event) => event.direction === direction)
      .map((event) => event.text)
      .join('');
  const asked = (events[0]?.request ?? []).map((one) => one.text).join('') + of('request');
  // What waits in the pod is no more than what the recorder gets.
  const spooled = readdirSync(join(folder, 'spool')).map((name) => readFileSync(join(folder, 'spool', name), 'utf8'));
  return { masked: [...lines, ...spooled].join('\n'), said: of('response'), asked, ended: unsealed.ended };
}

const ask = (content: string, more: object = {}): object => ({
  model: 'llama-3-8b',
  messages: [{ role: 'user', content }],
  ...more,
});

test('request and answer of one piece are masked in the record, and whole for the key', async () => {
  world.model.script = answerChat('write to bob@corp.test today');
  const answer = await world.post(path, ask('I am ana@corp.test'));
  expect(answer.text).toContain('write to [confidential] today');
  const { masked, said, asked, ended } = await recordOf(answer.headers['x-request-id']);
  expect(masked).not.toContain('@corp.test');
  expect(masked).toContain('I am [confidential]');
  expect({ said, asked, ended }).toEqual({
    said: 'write to bob@corp.test today',
    asked: 'I am ana@corp.test',
    ended: true,
  });
});

test('a stream is, however its values are split over frames, and long texts over lines', async () => {
  const long = `${'word '.repeat(5_000)}carla@corp.test ${'more 🙂 '.repeat(3_000)}`;
  const pieces = ['to b', 'ob@co', 'rp.te', 'st, or to ', 'dan@corp.test', '. ', long, 'end'];
  world.model.script = streamChat(pieces);
  const answer = await world.post(path, ask(long, { stream: true }));
  expect(joinContent(answer.text)).toContain('to [confidential], or to [confidential]. word');
  const { masked, said, asked } = await recordOf(answer.headers['x-request-id']);
  expect(masked).not.toContain('@corp.test');
  expect(said).toBe(pieces.join(''));
  expect(asked).toBe(long);
});

test('a session in which nothing is masked costs no sealed text, and its count proves it', async () => {
  world.model.script = answerChat('plain');
  const answer = await world.post(path, ask('plain, too'));
  const { masked, said } = await recordOf(answer.headers['x-request-id']);
  expect(masked).toContain('"sealed":{"pieces":0,');
  expect(said).toBe('plain');
});

test('the model’s credential is in no sealed text, whole and in a stream', async () => {
  world.model.script = answerChat(`my key is ${credential}, mail eve@corp.test`);
  const whole = await world.post(path, ask('key?'));
  expect((await recordOf(whole.headers['x-request-id'])).said).toBe('my key is [credential], mail eve@corp.test');
  world.model.script = streamChat([`my key is ${credential.slice(0, 9)}`, `${credential.slice(9)}, mail e@corp.test`]);
  const stream = await world.post(path, ask('key?', { stream: true }));
  const { masked, said } = await recordOf(stream.headers['x-request-id']);
  expect(said).toBe('my key is [credential], mail e@corp.test');
  expect(masked).not.toContain(credential);
});

test('an answer that breaks off is sealed as far as it was recorded', async () => {
  world.model.script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write(chunk({ content: 'mail fay@corp.test now. ' }));
    response.end(chunk({ content: 'and ' }));
  };
  const answer = await world.post(path, ask('go', { stream: true }));
  const { said, ended } = await recordOf(answer.headers['x-request-id']);
  expect(said).toMatch(/^mail fay@corp\.test now\. /);
  expect(ended).toBe(true);
});

test('without a key a policy is refused, with what it lacks', () => {
  const yaml = basePolicy(world.issuer.url, rules('{ content: Full }'));
  const { faults } = parsePolicies(yaml, 'p.yaml', {});
  expect(faults.map((fault) => fault.message)).toEqual(['with content: Full lacks the field "sealTo"']);
});
