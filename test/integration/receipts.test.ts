import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { answerChat, streamChat } from '../support/scripted-model.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';

// What an answer says of how it was governed, and the pages that a rule may open to whoever asks.

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const card = '4111 1111 1111 1111';

let world: World;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `  - { name: probes, effect: Allow, subjects: [{ anyone: true }], operations: [Health] }
  - { name: scrapers, effect: Allow, subjects: [{ group: monitoring }], operations: [Metrics] }
  classification:
  - { label: confidential, detectors: [CreditCard], otherwise: Mask }
`,
      ),
  });
});
afterAll(() => world.close());

describe('the receipt', () => {
  const id = /^id=[0-9a-f]{32}; generation="[^"]+"/;

  test('of an answer in one piece names request, generation, the rules that acted, and that nothing failed open', async () => {
    world.model.script = answerChat(`Pay with ${card}`);
    const { headers } = await world.post(path, ask);
    const receipt = String(headers['sidegate-receipt']);
    expect(receipt).toMatch(id);
    expect(receipt).toContain(`id=${String(headers['x-request-id'])};`);
    expect(receipt).toContain('engineers=allowed');
    expect(receipt).toContain('confidential=masked');
    expect(receipt).toMatch(/failed-open=none$/);
    // An id may hold any digits.
    expect(receipt.replace(id, '')).not.toContain('4111');
  });

  test('of a refusal names the rule', async () => {
    const { headers } = await world.post(path, ask, { token: await world.token({ groups: ['sales'] }) });
    expect(headers['sidegate-receipt']).toContain('rules="default=denied"');
  });

  test('of a stream names request and generation in its head, and the rest in a last comment for who asks', async () => {
    world.model.script = streamChat(['Pay with ', card, ' now.']);
    const plain = await world.post(path, { ...ask, stream: true });
    expect(plain.headers['sidegate-receipt']).toMatch(new RegExp(`${id.source}$`));
    expect(plain.text).not.toContain('sidegate-receipt');
    const full = await world.post(path, { ...ask, stream: true }, { headers: { 'sidegate-receipt': 'full' } });
    expect(full.text).toMatch(
      /data: \[DONE\]\n\n: sidegate-receipt id=.*engineers=allowed.*confidential=masked.*failed-open=none\n\n$/,
    );
    expect(joinContent(full.text.replace(/^: .*\n\n/m, ''))).toBe('Pay with [confidential] now.');
  });
});

describe('health and metrics of the model server', () => {
  const page = '# HELP vllm:num_requests_running Requests.\nvllm:num_requests_running 1.0\n';
  const scraper = (): Promise<string> => world.token({ sub: 'prometheus', groups: ['monitoring'] });

  test('are read by whom a rule names, as they are', async () => {
    world.model.script = (response) => response.setHeader('content-type', 'text/plain; version=0.0.4').end(page);
    world.model.seen.length = 0;
    const metrics = await world.call('GET', '/metrics', { token: await scraper() });
    expect([metrics.status, metrics.text, metrics.headers['content-type']]).toEqual([
      200,
      page,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect((await world.call('GET', '/health', { token: null })).status).toBe(200);
    expect(world.model.seen.map((one) => one.path)).toEqual(['/metrics', '/health']);
  });

  test('and by nobody else', async () => {
    world.model.seen.length = 0;
    expect((await world.call('GET', '/metrics', { token: null })).status).toBe(401);
    expect((await world.call('GET', '/metrics')).status).toBe(403);
    expect((await world.post(path, ask, { token: await scraper() })).status).toBe(403);
    expect((await world.call('POST', '/health', { token: null })).status).not.toBe(200);
    expect(world.model.seen).toEqual([]);
  });

  test('are masked like any text', async () => {
    world.model.script = (response) => response.setHeader('content-type', 'text/plain').end(`last "${card}"\n`);
    expect((await world.call('GET', '/health', { token: null })).text).toBe('last "[confidential]"\n');
  });
});
