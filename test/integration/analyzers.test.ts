import { afterEach, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { answerChat } from '../support/scripted-model.ts';

/** Nothing calls analyzers yet: each counts as down, and its failure mode decides. */
describe('a policy with an analyzer', () => {
  let world: World;
  afterEach(() => world.close());

  const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
  const start = async (more: string): Promise<void> => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(issuer, `  analyzers: [{ name: ner, url: "https://presidio.example.com/analyze"${more} }]\n`),
    });
    world.model.script = answerChat('ok');
  };

  test.each(['', ', failureMode: Deny'])('refuses inference unless told otherwise (%j)', async (more) => {
    await start(more);
    const answer = await world.post('/v1/chat/completions', ask);
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('"analyzer_unavailable"');
    expect(answer.text).toContain('analyzers/ner');
    expect(world.model.seen).toHaveLength(0);
  });

  test('that may fail lets requests pass, and says so in the receipt and the record', async () => {
    await start(', failureMode: Allow');
    const answer = await world.post('/v1/chat/completions', ask);
    expect(answer.status).toBe(200);
    expect(answer.headers['sidegate-receipt']).toContain('failed-open=analyzer');
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', failedOpen: ['analyzer'] });
  });
});
