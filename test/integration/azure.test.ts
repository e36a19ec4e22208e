import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AzureOpenAI } from 'openai';
import { answerChat, chunk } from '../support/scripted-model.ts';
import { trustingFetch } from '../support/trusting-fetch.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// OpenAI's own client for Azure, unchanged but for the endpoint and who it trusts, through the whole sidecar.

const text = 'Pay 4111 1111 1111 1111 today.';
const masked = 'Pay [confidential] today.';
const messages = [{ role: 'user' as const, content: 'hello' }];
/** As Azure says that it looked at a text. */
const filtered = { hate: { filtered: false, severity: 'safe' }, jailbreak: { filtered: false, detected: false } };

let world: World;
let client: AzureOpenAI;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `    limits: { maxOutputTokens: 64 }
  - { name: closed, effect: Deny, subjects: [{ group: ml-eng }], models: [secret] }
  classification:
  - { label: confidential, detectors: [CreditCard], visibleTo: [], otherwise: Mask }
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: Block }
`,
      ),
  });
  client = new AzureOpenAI({
    endpoint: world.url,
    apiVersion: '2026-02-01',
    apiKey: await world.token(),
    maxRetries: 0,
    fetch: trustingFetch(world.ca),
  });
});
afterAll(() => world.close());

describe('a deployment', () => {
  test('is the model that access is decided for, and its answer is masked', async () => {
    world.model.script = answerChat(text, { content_filter_results: filtered });
    const answer = await client.chat.completions.create({ model: 'gpt-large', messages });
    expect(answer.choices[0]?.message.content).toBe(masked);
    const seen = world.model.seen.at(-1);
    expect(seen?.path).toBe('/openai/deployments/gpt-large/chat/completions?api-version=2026-02-01');
    expect(JSON.parse(seen?.body ?? '')).toMatchObject({ max_tokens: 64, messages });
    expect(seen?.headers['api-key']).toBeUndefined();
    expect((await world.record()).filter(({ type }) => type === 'start').at(-1)).toMatchObject({ model: 'gpt-large' });
  });

  test('streams, with what Azure says of the prompt first', async () => {
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const first = { choices: [], created: 0, id: '', model: '', object: '' };
      const prompt = [{ prompt_index: 0, content_filter_results: filtered }];
      response.write(`data: ${JSON.stringify({ ...first, prompt_filter_results: prompt })}\n\n`);
      for (const piece of text.match(/.{1,3}/gs) ?? [])
        response.write(chunk({ content: piece }, null, 0, { content_filter_results: filtered }));
      response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
    let whole = '';
    for await (const event of await client.chat.completions.create({ model: 'gpt-large', messages, stream: true }))
      whole += event.choices[0]?.delta.content ?? '';
    expect(whole).toBe(masked);
  });

  test('that a rule denies, or a prompt that a guard stops, is refused as the client understands', async () => {
    const before = world.model.seen.length;
    await expect(client.chat.completions.create({ model: 'secret', messages })).rejects.toMatchObject({
      status: 403,
      code: 'rule_denied',
    });
    const asks = client.chat.completions.create({
      model: 'gpt-large',
      messages: [{ role: 'user', content: 'falcon' }],
    });
    await expect(asks).rejects.toMatchObject({ status: 403, code: 'guard_blocked' });
    expect(world.model.seen).toHaveLength(before);
  });
});
