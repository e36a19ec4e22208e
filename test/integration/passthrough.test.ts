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
