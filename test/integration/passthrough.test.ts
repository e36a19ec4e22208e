import { request as httpsRequest } from 'node:https';
import type { ClientRequest, ServerResponse } from 'node:http';
import { connect } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { until } from '../support/wait.ts';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const open = (issuer: string, more = ''): string =>
  basePolicy(issuer).replace('ListModels]', 'ListModels, Other, Admin]') + more;
const bytes = Buffer.from([0, 255, 254, 1, 2, 3]);
const send = { body: bytes, headers: { 'content-type': 'application/octet-stream' } };

describe('routes that no dialect knows', () => {
  test('pass in bytes, both ways, where a rule names them and nothing has to be looked into', async () => {
    world = await startWorld({ policy: open });
    world.model.script = (response) => response.setHeader('content-type', 'image/png').end(bytes);
    const answer = await world.call('PUT', '/custom/thing?x=1', send);
    expect(answer.status).toBe(200);
    expect(world.model.seen[0]).toMatchObject({ method: 'PUT', path: '/custom/thing?x=1' });
    expect(world.model.seen[0]?.headers['authorization']).toBeUndefined();
    expect(JSON.stringify((await world.record()).at(-1))).toContain('sidegate/uninspected');
  });

  test('are refused when a guard would have to read bytes', async () => {
    world = await startWorld({
      policy: (issuer) =>
        open(
          issuer,
          '  guards:\n  - { name: g, direction: Request, match: { detectors: [Secrets] }, action: Block }\n',
        ),
    });
    expect((await world.call('PUT', '/custom/thing', send)).status).toBe(415);
    expect(world.model.seen).toEqual([]);
  });

  test('have their answers refused when a classification would have to read bytes, and masked when it can', async () => {
    world = await startWorld({
      policy: (issuer) =>
        open(
          issuer,
          '  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n',
        ),
    });
    world.model.script = (response) => response.setHeader('content-type', 'image/png').end('ana@example.com');
    expect((await world.call('GET', '/custom/thing')).status).toBe(502);
    world.model.script = (response) =>
      response.setHeader('content-type', 'application/json').end('{"a":{"b":["ana@example.com"]}}');
    expect((await world.call('GET', '/custom/thing')).text).toBe('{"a":{"b":["[confidential]"]}}');
  });

  test('with a secret in the query are blocked by the guard that looks for it', async () => {
    world = await startWorld({
      policy: (issuer) =>
        open(issuer, '  guards:\n  - { name: g, direction: Request, match: { detectors: [Email] }, action: Block }\n'),
    });
    expect((await world.post('/custom/thing?to=ana%40example.com', { a: 1 })).status).toBe(403);
    expect((await world.call('GET', '/custom/thing?to=ana@example.com')).status).toBe(403);
    expect(world.model.seen).toEqual([]);
  });

  test('a management route without a body passes where a rule names Admin', async () => {
    world = await startWorld({ policy: open });
    world.model.script = (response) => response.setHeader('content-type', 'application/json').end('{}');
    expect((await world.call('POST', '/sleep')).status).toBe(200);
  });

  test('paths and model names are recorded masked', async () => {
    world = await startWorld({
      policy: (issuer) =>
        open(
          issuer,
          '  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n',
        ),
    });
    await world.call('GET', '/custom/ana@example.com');
    await world.post('/v1/chat/completions', { model: 'ana@example.com', messages: [{ role: 'user', content: 'hi' }] });
    expect(JSON.stringify(await world.record())).not.toContain('ana@example');
  });
});

describe('places of limited callers', () => {
  test('come back after an uninspected exchange, and after callers who leave at any stage', async () => {
    world = await startWorld({
      policy: (issuer) => open(issuer).replace('Other, Admin]', 'Other, Admin]\n    limits: { concurrentRequests: 2 }'),
    });
    world.model.script = (response) => response.setHeader('content-type', 'image/png').end(bytes);
    for (let round = 0; round < 4; round++) expect((await world.call('PUT', '/custom/thing', send)).status).toBe(200);
    for (let after = 0; after < 12; after++) {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), after);
      await world.call('GET', '/custom/thing', { signal: abort.signal }).catch(() => undefined);
    }
    const places = world;
    await until(async () => {
      const both = await Promise.all([places.call('GET', '/custom/thing'), places.call('GET', '/custom/thing')]);
      return both.every((one) => one.status === 200);
    }, 'both places are free');
  });
});

describe('the record of what passes uninspected', () => {
  const begin = async (more = '', modelUrl?: string): Promise<World> => {
    world = await startWorld({
      policy: (issuer) => open(issuer, more),
      ...(modelUrl === undefined ? {} : { modelUrl }),
    });
    return world;
  };
  const end = async (): Promise<Record<string, unknown> | undefined> => (await world!.record()).at(-1);
  const counted = async (line: string): Promise<void> => expect(await world!.metrics()).toMatch(new RegExp(line, 'm'));
  /** Its answer's first bytes are with the caller, and more is to come. */
  const halfWay = async (
    to: World,
    signal?: AbortSignal,
  ): Promise<{ answer: Promise<{ broken: boolean }>; response: ServerResponse }> => {
    let response: ServerResponse | undefined;
    to.model.script = (given) => (response = given).setHeader('content-type', 'image/png').writeHead(206).write('part');
    let begun = false;
    const answer = to.call('PUT', '/custom/thing', {
      ...send,
      onChunk: () => (begun = true),
      ...(signal === undefined ? {} : { signal }),
    });
    answer.catch(() => undefined);
    await until(() => begun, 'the first bytes are there');
    return { answer, response: response! };
  };

  test.each([404, 500])('has the status that the caller got: %i', async (status) => {
    const to = await begin();
    to.model.script = (response) => response.writeHead(status, { 'content-type': 'image/png' }).end('four');
    expect((await to.call('PUT', '/custom/thing', send)).status).toBe(status);
    expect(await end()).toMatchObject({ outcome: 'completed', status, code: null, bytesIn: bytes.length, bytesOut: 4 });
    await counted(`sidegate_received_bytes_total ${bytes.length}$`);
  });

  test('says where no model answered', async () => {
    const to = await begin('', 'http://127.0.0.1:9');
    expect((await to.call('PUT', '/custom/thing', send)).status).toBe(502);
    expect(await end()).toMatchObject({ outcome: 'failed', status: 502, code: 'upstream_unreachable' });
    await counted('sidegate_upstream_errors_total{kind="upstream_unreachable"} 1$');
  });

  test('says that the model broke off', async () => {
    const to = await begin();
    const { answer, response } = await halfWay(to);
    response.destroy();
    expect((await answer).broken).toBe(true);
    expect(await end()).toMatchObject({ outcome: 'failed', status: 206, code: 'upstream_protocol' });
    await counted('sidegate_aborted_total{by="upstream"} 1$');
  });

  test('says that the caller left', async () => {
    const leave = new AbortController();
    const to = await begin();
    await halfWay(to, leave.signal);
    leave.abort();
    expect(await end()).toMatchObject({ outcome: 'aborted', status: 206, code: null, bytesOut: 4 });
    await counted('sidegate_aborted_total{by="caller"} 1$');
    await until(() => to.model.seen[0]?.aborted, 'the model’s connection is cut');
  });

  test('says that policy ended it', async () => {
    const to = await begin();
    const { answer } = await halfWay(to);
    await to.setPolicy(basePolicy(to.issuer.url));
    expect((await answer).broken).toBe(true);
    expect(await end()).toMatchObject({ outcome: 'ended', status: 206, code: 'policy_changed' });
    await counted('sidegate_aborted_total{by="policy"} 1$');
    await until(() => to.model.seen[0]?.aborted, 'the model’s connection is cut');
  });

  test('says that policy ended it also where a new guard would have to read the body', async () => {
    const to = await begin();
    const { answer } = await halfWay(to);
    await to.setPolicy(
      open(
        to.issuer.url,
        '  guards:\n  - { name: g, direction: Request, match: { detectors: [Secrets] }, action: Block }\n',
      ),
    );
    expect((await answer).broken).toBe(true);
    expect(await end()).toMatchObject({ outcome: 'ended', status: 206, code: 'policy_changed' });
    await until(() => to.model.seen[0]?.aborted, 'the model’s connection is cut');
  });

  test('says that policy refused it where the model had not answered yet, and the caller is told', async () => {
    const to = await begin();
    to.model.script = () => undefined;
    const answer = to.call('PUT', '/custom/thing', send);
    await until(() => to.model.seen.length === 1, 'the model has it');
    await to.setPolicy(basePolicy(to.issuer.url));
    expect(await answer).toMatchObject({ status: 403, text: expect.stringContaining('policy_changed') });
    expect(await end()).toMatchObject({ outcome: 'refused', status: 403, code: 'policy_changed' });
    await until(() => to.model.seen[0]?.aborted, 'the model’s connection is cut');
  });

  test('says that the sidecar stopped', async () => {
    const to = await begin();
    await halfWay(to);
    await to.sidecar.drain(200);
    expect(await end()).toMatchObject({ outcome: 'failed', status: 206, code: 'shutting_down' });
    await counted('sidegate_aborted_total{by="shutdown"} 1$');
  });

  test('says that the model was silent for longer than the policy allows', async () => {
    const to = await begin('  requestLimits: { upstreamIdle: 1s }\n');
    to.model.script = () => undefined;
    expect((await to.call('PUT', '/custom/thing', send)).status).toBe(504);
    expect(await end()).toMatchObject({ outcome: 'failed', status: 504, code: 'upstream_timeout' });
    await counted('sidegate_upstream_errors_total{kind="upstream_timeout"} 1$');
    await until(() => to.model.seen[0]?.aborted, 'the model’s connection is cut');
  });

  test('says that the model fell silent within its answer', async () => {
    const to = await begin('  requestLimits: { upstreamIdle: 1s }\n');
    expect((await (await halfWay(to)).answer).broken).toBe(true);
    expect(await end()).toMatchObject({ outcome: 'failed', status: 206, code: 'upstream_timeout' });
  });

  test('says that the body was said to be too large, and the model is not called', async () => {
    const to = await begin('  requestLimits: { maxBodyBytes: 5 }\n');
    expect((await to.call('PUT', '/custom/thing', send)).status).toBe(413);
    expect(await end()).toMatchObject({ outcome: 'refused', status: 413, code: 'body_too_large' });
    expect(to.model.seen).toEqual([]);
  });

  /** A request whose body is sent by the test, without a length. */
  const upload = async (to: World): Promise<{ request: ClientRequest; status: Promise<number | undefined> }> => {
    const authorization = `Bearer ${await to.token()}`;
    const { promise: status, resolve, reject } = Promise.withResolvers<number | undefined>();
    const request = httpsRequest(
      `${to.url}/custom/thing`,
      { method: 'PUT', ca: to.ca, headers: { authorization, 'content-type': 'application/octet-stream' } },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
    return { request, status };
  };

  test('says that the body became too large on its way, and the model never has it whole', async () => {
    const to = await begin('  requestLimits: { maxBodyBytes: 5 }\n');
    const { request, status } = await upload(to);
    request.write('1234');
    request.end('5678');
    expect(await status).toBe(413);
    expect(await end()).toMatchObject({ outcome: 'refused', status: 413, code: 'body_too_large' });
    expect(to.model.seen).toEqual([]);
  });

  test('is charged for its bytes also where it was cut before its answer', async () => {
    const to = await startWorld({
      policy: (issuer) =>
        open(issuer, '  requestLimits: { maxBodyBytes: 1000 }\n').replace(
          'Other, Admin]',
          'Other, Admin]\n    limits: { tokensPerMinute: 200 }',
        ),
    });
    world = to;
    const { request, status } = await upload(to);
    request.write('x'.repeat(900));
    request.end('x'.repeat(900));
    expect(await status).toBe(413);
    expect((await to.call('PUT', '/custom/thing', send)).status).toBe(429);
  });

  test('says at once that the rest of the body cannot be read', async () => {
    const to = await begin();
    const socket = connect({ host: '127.0.0.1', port: to.port, ca: to.ca, servername: 'localhost' });
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (piece: Buffer) => (text += piece.toString()));
    socket.write(
      `PUT /custom/thing HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${await to.token()}\r\n` +
        'Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    );
    await until(() => to.sidecar.live === 1, 'it is let through');
    socket.write('zz\r\n');
    // Long before bodyTimeout, which is 30 s.
    await until(
      () => text.startsWith('HTTP/1.1 400 '),
      () => text,
      15_000,
    );
    expect(await end()).toMatchObject({ outcome: 'refused', status: 400, code: 'ambiguous_framing' });
    await until(() => to.model.seen.every((one) => one.aborted), 'the model’s connection is cut');
    socket.destroy();
  });

  test('says that the body did not come in time, and the model never has it whole', async () => {
    const to = await begin('  requestLimits: { bodyTimeout: 1s }\n');
    const { request, status } = await upload(to);
    request.write('1234');
    expect(await status).toBe(408);
    expect(await end()).toMatchObject({ outcome: 'refused', status: 408, code: 'request_timeout', bytesIn: 4 });
    await counted('sidegate_aborted_total{by="limit"} 1$');
    request.destroy();
    expect(to.model.seen).toEqual([]);
  });
});
