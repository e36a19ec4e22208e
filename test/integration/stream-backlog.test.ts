import { connect } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, afterEach, beforeAll, test } from '@jest/globals';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What a stream's caller has not taken counts in the memory of all, until it has or is gone.

const path = '/v1/chat/completions';
/** Nearly the longest that there may be. */
const event = `data: {"choices":[]}${' '.repeat(7 * 1024 * 1024)}\n\n`;
const body = JSON.stringify({ model: 'llama-3-8b', stream: true, messages: [{ role: 'user', content: 'hello' }] });

const policy = (issuer: string, more = ''): string =>
  basePolicy(
    issuer,
    `${more}  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n`,
  );

let world: World;
let token: string;
const callers: Caller[] = [];
const models: ServerResponse[] = [];
beforeAll(async () => {
  world = await startWorld({ policy });
  token = await world.token();
  world.model.script = (response) => {
    models.push(response);
    response.setHeader('content-type', 'text/event-stream');
    response.write(event);
  };
});
afterAll(() => world.close());
afterEach(async () => {
  for (const one of callers.splice(0)) one.leave();
  for (const one of models.splice(0)) one.destroy();
  await until(async () => (await held()) === 0, 'all of it is given back');
});

interface Caller {
  readonly text: () => string;
  /** Takes all that there is from now on. */
  read(): void;
  leave(): void;
}

async function held(): Promise<number> {
  return Number(/^sidegate_held_bytes (\d+)$/m.exec(await world.metrics())?.[1]);
}

/** Asks for a stream, and reads nothing of it but its head. */
function askHttp1(bearer = token): Caller {
  let answer: IncomingMessage | undefined;
  let text = '';
  let reading = false;
  const read = (): void => {
    reading = true;
    answer?.setEncoding('latin1').on('data', (piece: string) => (text = (text + piece).slice(-2_000)));
  };
  const request = httpsRequest(
    {
      host: '127.0.0.1',
      port: world.port,
      ca: world.ca,
      method: 'POST',
      path,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    },
    (response) => {
      answer = response.on('error', () => undefined);
      if (reading) read();
    },
  );
  request.on('error', () => undefined).end(body);
  const caller = { text: () => text, read, leave: () => request.destroy() };
  callers.push(caller);
  return caller;
}

function askHttp2(): Caller {
  const session = connect(world.url, { ca: world.ca }).on('error', () => undefined);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers }).on('error', () => undefined);
  stream.end(body);
  let text = '';
  const caller = {
    text: () => text,
    read: () => void stream.setEncoding('latin1').on('data', (piece: string) => (text = (text + piece).slice(-2_000))),
    leave: () => session.destroy(),
  };
  callers.push(caller);
  return caller;
}

/** 16 KiB of each are not counted. */
const waits = async (streams: number): Promise<void> => {
  const least = streams * (7 * 1024 - 16) * 1024;
  await until(async () => (await held()) >= least && (await held()) < least + 100_000, `${streams} are held`);
};

test('what is not taken of one caller’s streams leaves room for other callers', async () => {
  // Four of 7 MiB fit into half of 64 MiB.
  for (let streams = 1; streams <= 4; streams++) {
    askHttp1();
    await waits(streams);
  }
  const fifth = askHttp1();
  fifth.read();
  await until(() => fifth.text().includes('"code":"caller_share_used"'), 'the fifth is ended');
  const other = askHttp1(await world.token({ sub: 'bob' }));
  await waits(5);
  other.leave();
  await waits(4);
});

test.each([
  ['HTTP/1.1', askHttp1],
  ['HTTP/2', askHttp2],
])('over %s it counts until its caller has taken it, and the stream goes on', async (_, ask) => {
  const caller = ask();
  await waits(1);
  caller.read();
  await until(async () => (await held()) === 0, 'it is given back');
  models[0]?.end('data: {"choices":[],"last":1}\n\ndata: [DONE]\n\n');
  await until(() => caller.text().endsWith('data: [DONE]\n\n'), 'its end');
});

test.each<[string, () => unknown]>([
  ['ends it', () => models[0]?.end('data: [DONE]\n\n')],
  ['breaks it off', () => models[0]?.destroy()],
])('it counts on when the model %s, until its caller has taken it', async (_, end) => {
  const caller = askHttp1();
  await waits(1);
  end();
  await until(() => models[0]?.closed, 'the model is done with it');
  await waits(1);
  caller.read();
  await until(async () => (await held()) === 0, 'it is given back');
});

test('it counts on when policy ends it, until its caller has gone', async () => {
  const caller = askHttp1();
  await waits(1);
  await world.setPolicy(policy(world.issuer.url).replace('ml-eng', 'others'));
  await until(() => models[0]?.closed, 'the model’s work is ended');
  await waits(1);
  caller.leave();
  await until(async () => (await held()) === 0, 'it is given back');
  await world.setPolicy(policy(world.issuer.url));
});

test('what waits for its tick counts, too, and what was taken does not any more', async () => {
  await world.setPolicy(
    policy(world.issuer.url, '  responseLimits:\n  - { subjects: [{ anyone: true }], cadence: { every: 1m } }\n'),
  );
  const caller = askHttp1();
  await waits(1);
  caller.leave();
  await until(async () => (await held()) === 0, 'it is given back');
  await world.setPolicy(policy(world.issuer.url));
});

test('an event that only policies in Observe mode look at is given back as it ends', async () => {
  await world.setPolicy(policy(world.issuer.url).replace('mode: Enforce', 'mode: Observe'));
  const whole = world.model.script;
  world.model.script = (response) => {
    models.push(response);
    response.setHeader('content-type', 'text/event-stream');
    response.write(event.slice(0, -2));
  };
  askHttp1().read();
  await waits(1);
  models[0]?.write('\n\n');
  await until(async () => (await held()) === 0, 'it is given back');
  world.model.script = whole;
  await world.setPolicy(policy(world.issuer.url));
});
