import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Script } from '../support/scripted-model.ts';
import { answerChat, chatAnswer, chunk } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';

const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const path = '/v1/chat/completions';

describe('attacks on the life of a request', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(issuer).replace(
          'operations: [Chat, Completions, Embeddings, ListModels]\n',
          'operations: [Chat, Completions, Embeddings, ListModels]\n    limits: { concurrentRequests: 2 }\n',
        ) +
        `  requestLimits: { upstreamIdle: 2s, bodyTimeout: 5s }
  classification:
  - label: confidential
    detectors: [CreditCard, Email]
    otherwise: Mask
`,
    });
  });
  afterAll(() => world.close());
  /** All places of the limit are free again. */
  const free = async (): Promise<void> => {
    world.model.script = async (response, request) => {
      await pause(30);
      await answerChat('ok')(response, request);
    };
    await until(async () => {
      const both = await Promise.all([world.post(path, ask), world.post(path, ask)]);
      return both.every((one) => one.status === 200);
    }, 'both places are free');
  };

  const hang: Script = () => undefined;
  const headThenHang: Script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write(chunk({ content: 'hi' }));
  };
  const jsonThenHang: Script = (response) => {
    response.setHeader('content-type', 'application/json');
    response.write('{"choices":[');
  };
  const cut: Script = (response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', '100000');
    response.write('{"choices":[');
    setTimeout(() => response.destroy(), 10);
  };
  const cutStream: Script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write(chunk({ content: 'card 4111 1111 1111 111' }));
    setTimeout(() => response.destroy(), 10);
  };
  const destroy: Script = (response) => response.destroy();
  const scripts: [string, Script][] = [
    ['hang', hang],
    ['head then hang', headThenHang],
    ['json hang', jsonThenHang],
    ['cut', cut],
    ['cut stream', cutStream],
    ['destroy', destroy],
  ];
  test.each(scripts)('%s ends with a clear answer and gives its place back', async (_name, script) => {
    world.model.script = script;
    const answer = await world.post(path, { ...ask, stream: true });
    expect([200, 502, 504]).toContain(answer.status);
    expect(answer.text).toContain('upstream_');
    expect(answer.text).not.toContain('1111 1111');
    await free();
  });
  test.each(scripts.flatMap(([n, s]) => [1, 30].map((ms): [string, number, Script] => [n, ms, s])))(
    '%s aborted after %i ms gives its place back',
    async (_name, ms, script) => {
      world.model.script = script;
      const stop = new AbortController();
      const call = world.post(path, { ...ask, stream: true }, { signal: stop.signal }).catch(() => undefined);
      await pause(ms);
      stop.abort();
      await call;
      await free();
    },
  );
  test('half a body, then gone', async () => {
    for (let i = 0; i < 3; i++) {
      const socket = tlsConnect({ port: world.port, host: '127.0.0.1', ca: world.ca });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await world.token()}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"model"`,
      );
      await pause(20);
      socket.destroy();
    }
    await free();
  });
  test('two requests in one write, gone at once', async () => {
    const socket = tlsConnect({ port: world.port, host: '127.0.0.1', ca: world.ca });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const body = JSON.stringify(ask);
    world.model.script = hang;
    const one = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await world.token()}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    socket.write(one + one + one);
    await pause(50);
    socket.destroy();
    await free();
  });
  const bodies: [string, string, Record<string, string>][] = [
    ['empty', '', {}],
    ['null', 'null', {}],
    ['array', '[]', {}],
    ['number', '1e999', {}],
    ['messages huge number', '{"model":"m","messages":[{"role":"user","content":1e999}]}', {}],
    ['n huge', JSON.stringify({ ...ask, n: 1e300 }), {}],
    ['n string', JSON.stringify({ ...ask, n: '5' }), {}],
    ['max_tokens -1', JSON.stringify({ ...ask, max_tokens: -1 }), {}],
    ['stream 1', JSON.stringify({ ...ask, stream: 1 }), {}],
    ['stream "true"', JSON.stringify({ ...ask, stream: 'true' }), {}],
    ['roles', JSON.stringify({ ...ask, messages: [{ role: ['a'] }] }), {}],
    ['dup escaped', '{"model":"m","messages":[{"role":"user","content":"a"}],"\\u006dessages":[]}', {}],
    ['lone surrogate', '{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', {}],
    ['NUL key', '{"model":"m","messages":[{"role":"user","content":"a"}],"\\u0000":1}', {}],
    ['deep', `{"model":"m","messages":${'['.repeat(100000)}${']'.repeat(100000)}}`, {}],
    [
      'proto',
      '{"model":"m","messages":[{"role":"user","content":"a"}],"__proto__":{"stream":true},"constructor":1,"toString":2,"hasOwnProperty":null}',
      {},
    ],
    ['model proto', '{"model":"__proto__","messages":[{"role":"user","content":"a"}]}', {}],
    ['role proto', '{"model":"m","messages":[{"role":"__proto__","content":"a","__proto__":null}]}', {}],
    ['bad gzip', 'xxx', { 'content-encoding': 'gzip' }],
    ['two codings', 'xxx', { 'content-encoding': 'gzip, gzip' }],
    ['charset', JSON.stringify(ask), { 'content-type': 'application/json; charset=utf-16' }],
    ['no type', JSON.stringify(ask), { 'content-type': '' }],
    ['form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['expect', JSON.stringify(ask), { expect: '100-continue' }],
    ['expect odd', JSON.stringify(ask), { expect: 'tea' }],
    ['range', JSON.stringify(ask), { range: 'bytes=0-1' }],
    ['auth twice', JSON.stringify(ask), { 'x-api-key': 'other' }],
    ['big header', JSON.stringify(ask), { 'x-a': 'a'.repeat(30000) }],
  ];
  test.each(bodies)('a %s body is no fault of ours', async (_name, body, headers) => {
    world.model.script = answerChat('ok');
    const answer = await world.call('POST', path, { body, headers });
    expect(answer.status).toBeLessThan(500);
  });
  test.each([
    `${path}?%`,
    '/%',
    '/v1/%2e%2e/x',
    '/v1//models',
    '//',
    '*',
    '/v1/models/%00',
    '/v1/models/__proto__',
    '/v1/models/a%2fb',
    '/?',
    '/__proto__',
    '/constructor',
  ])('a target %s is no fault of ours', async (target) => {
    for (const method of ['GET', 'POST', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
      const answer = await world.call(method, target).catch(() => ({ status: 0 }));
      expect(answer.status).toBeLessThan(500);
    }
  });
  test('many choices and lanes end clearly', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      for (let i = 0; i < 2000; i++) response.write(chunk({ content: 'x' }, null, i));
      response.end('data: [DONE]\n\n');
    };
    expect((await world.post(path, { ...ask, stream: true })).text).toContain('response_uninspectable');
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.end(
        `data: {"choices":[{"index":0,"delta":{${Array.from({ length: 3000 }, (_, i) => `"k${i}":"v"`).join(',')}}}]}\n\n`,
      );
    };
    expect((await world.post(path, { ...ask, stream: true })).text).toContain('response_uninspectable');
    await free();
  });
  test('a flood of comments and empty lines stays small', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'card 4111 1111' }));
      response.write(':\n\n'.repeat(100_000));
      response.write('\n'.repeat(100_000));
      response.end(`${chunk({ content: ' 1111 1111.' }, 'stop')}data: [DONE]\n\n`);
    };
    const answer = await world.post(path, { ...ask, stream: true });
    expect(answer.text).toContain('[confidential]');
  });
  test('whole answers give their bytes back after aborts and refusals', async () => {
    const big = chatAnswer('x'.repeat(8_000_000));
    for (let i = 0; i < 12; i++) {
      world.model.script = (response) => {
        response.setHeader('content-type', 'application/json');
        response.write(big);
      };
      const stop = new AbortController();
      const call = world.post(path, ask, { signal: stop.signal }).catch(() => undefined);
      await pause(25);
      stop.abort();
      await call;
    }
    world.model.script = answerChat('x'.repeat(8_000_000));
    await until(async () => (await world.post(path, ask)).status === 200, 'the bytes are back');
    // A hundred million characters are read here: on two cores that others use, minutes.
  }, 300_000);
  test('every session has a start or a refusal, and one end', async () => {
    await until(() => world.sidecar.live === 0);
    await pause(100);
    const by = new Map<string, string[]>();
    for (const event of await world.record()) {
      const id = event['session'] as string | undefined;
      if (id === undefined || event['type'] === 'process') continue;
      by.set(id, [...(by.get(id) ?? []), event['type'] as string]);
    }
    const bad = [...by.entries()].filter(
      ([, types]) => types.filter((t) => t === 'end').length !== 1 || types.at(-1) !== 'end' || types[0] === 'segment',
    );
    expect(bad.slice(0, 5)).toEqual([]);
    expect(by.size).toBeGreaterThan(50);
    expect(await world.metrics()).toMatch(/^sidegate_requests_live 0$/m);
  });
  test('no status of the model is a fault of ours', async () => {
    for (const status of [200, 201, 204, 205, 206, 304, 301, 418, 499, 599]) {
      world.model.script = (response) => {
        response.statusCode = status;
        response.setHeader('content-type', 'application/json');
        response.end(status === 204 || status === 304 ? undefined : '{"error":{"message":"m"}}');
      };
      const answer = await world.post(path, ask);
      expect(answer.text).not.toContain('internal_error');
    }
  });
});
