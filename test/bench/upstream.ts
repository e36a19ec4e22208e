// A model server that costs next to nothing: answers are made once, streams are written by a timer. A process of its own.
//
// The order stands in the prompt between << and >>: `json BYTES`, or `stream EVENTS EVERY_MS EVENTS_A_WRITE VALUE_EVERY CROWD`.
// Streams of a crowd begin with their first event and go on when as many have begun, each in a place of its own within EVERY_MS.
// `created` of a stream event is the microsecond (CLOCK_MONOTONIC) at which it was handed to the kernel.
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeJson, makeText } from './texts.ts';

const answers = new Map<string, Buffer>();
const texts = new Map<string, readonly string[]>();

const micros = (): number => Number(process.hrtime.bigint() / 1000n);

function jsonAnswer(bytes: number): Buffer {
  const key = String(bytes);
  let answer = answers.get(key);
  if (answer === undefined) {
    answer = Buffer.from(makeJson(bytes).body);
    answers.set(key, answer);
  }
  return answer;
}

const head = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":';
const middle = ',"model":"bench","choices":[{"index":0,"delta":{"content":';

/** Those of a crowd that is not whole yet: how each goes on. */
let gathering: (() => void)[] = [];
/** Where some were refused on the way here, the others go on after a minute: whoever counts them will see. */
const longestGatheringMs = 60_000;
let patience: NodeJS.Timeout | undefined;

function gather(crowd: number, everyMs: number, go: () => void): void {
  const goOn = (): void => {
    clearTimeout(patience);
    gathering.forEach((one, at) => setTimeout(one, (at * everyMs) / crowd));
    gathering = [];
  };
  gathering.push(go);
  if (gathering.length === 1) patience = setTimeout(goOn, longestGatheringMs);
  if (gathering.length >= crowd) goOn();
}

interface StreamOrder {
  readonly events: number;
  readonly everyMs: number;
  readonly perWrite: number;
  readonly valueEvery: number;
  /** 0: it waits for no others. */
  readonly crowd: number;
}

function stream(response: ServerResponse, { events, everyMs, perWrite, valueEvery, crowd }: StreamOrder): void {
  const key = `${events} ${valueEvery}`;
  let tokens = texts.get(key);
  if (tokens === undefined) {
    tokens = makeText(events, valueEvery).tokens.map(
      (token) => `${JSON.stringify(token)}},"logprobs":null,"finish_reason":null}]}\n\n`,
    );
    texts.set(key, tokens);
  }
  const all = tokens;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.write(
    `data: ${head}${micros()},"model":"bench","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n`,
  );
  let at = 0;
  const step = (): void => {
    const now = micros();
    let text = '';
    for (let n = 0; n < perWrite && at < events; n++) text += `data: ${head}${now}${middle}${all[at++]}`;
    if (at >= events) {
      clearInterval(timer);
      timer = undefined;
      text += `data: ${head}${micros()},"model":"bench","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;
      response.end(text);
    } else response.write(text);
  };
  let timer: NodeJS.Timeout | undefined = undefined;
  const go = (): void => {
    if (!response.closed) timer = setInterval(step, everyMs);
  };
  response.on('close', () => clearInterval(timer));
  if (crowd > 0) gather(crowd, everyMs, go);
  else go();
}

const server = createServer({ keepAliveTimeout: 120_000, noDelay: true }, (request, response) => {
  let order: string | undefined;
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => {
    // The order is in the first bytes; the rest of a long prompt is only counted.
    if (order === undefined) {
      chunks.push(chunk);
      const text = chunks.length === 1 ? chunk.toString('latin1') : Buffer.concat(chunks).toString('latin1');
      order = /<<([^>]*)>>/.exec(text)?.[1];
    }
  });
  request.on('end', () => {
    const [kind, ...rest] = (order ?? 'json 200').split(' ');
    const [first = 0, everyMs = 0, perWrite = 1, valueEvery = 0, crowd = 0] = rest.map(Number);
    if (kind === 'stream') {
      stream(response, { events: first, everyMs, perWrite, valueEvery, crowd });
      return;
    }
    const answer = jsonAnswer(first);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
});
server.maxConnections = 4096;
server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
