import { afterEach, describe, expect, test } from '@jest/globals';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import { answerChat, streamChat } from '../support/scripted-model.ts';

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const text = 'card 4111 1111 1111 1111, again 4111-1111-1111-1111, done';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const styled =
  (replacement: string) =>
  (issuer: string): string =>
    basePolicy(
      issuer,
      `  classification:\n  - { label: pci, detectors: [CreditCard], visibleTo: [], otherwise: Mask, replacement: ${replacement} }\n`,
    );

describe('replacement styles', () => {
  test.each([
    ['{ style: Label }', /^card \[pci\], again \[pci\], done$/],
    ['{ style: Partial, keep: 4 }', /^card \*\*\*\*1111, again \*\*\*\*1111, done$/],
    ['{ style: Constant, text: "(hidden)" }', /^card \(hidden\), again \(hidden\), done$/],
    ['{ style: Hash }', /^card \[pci:[0-9a-f]{8}\], again \[pci:[0-9a-f]{8}\], done$/],
  ])('%s stands in place of the value, in JSON and on streams alike', async (replacement, expected) => {
    world = await startWorld({ policy: styled(replacement) });
    world.model.script = answerChat(text);
    const whole = await world.post(path, ask);
    const content = (JSON.parse(whole.text) as { choices: { message: { content: string } }[] }).choices[0]?.message
      .content;
    expect(content).toMatch(expected);
    world.model.script = streamChat([...text]);
    expect(joinContent((await world.post(path, { ...ask, stream: true })).text)).toBe(content);
  });
});

describe('answers of unknown shape', () => {
  test('pass masked where the policy says Buffer', async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          '  onUnknown: Buffer\n  classification:\n  - { label: pci, detectors: [CreditCard], visibleTo: [], otherwise: Mask }\n',
        ),
    });
    world.model.script = (response) => response.setHeader('content-type', 'text/plain').end(text);
    const answer = await world.post(path, ask);
    expect([answer.status, answer.text]).toEqual([200, 'card [pci], again [pci], done']);
  });
});

describe('several policies on one sidecar', () => {
  const platform = (issuer: string, spec: string): string => `${basePolicy(issuer)}---
apiVersion: sidegate.dev/v1alpha1
kind: ClusterInferencePolicy
metadata: { name: floor }
spec:
${spec}`;

  test('the platform’s Deny wins over the namespace’s Allow', async () => {
    world = await startWorld({
      policy: (issuer) =>
        platform(
          issuer,
          '  access:\n  - { name: nobody, effect: Deny, subjects: [{ anyone: true }], operations: [Chat] }\n',
        ),
    });
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(403);
    expect(answer.text).toContain('"rule":"cluster/floor/nobody"');
    expect(world.model.seen).toEqual([]);
  });

  test('the platform’s classification masks what the namespace’s policy does not name', async () => {
    world = await startWorld({
      policy: (issuer) =>
        platform(
          issuer,
          '  classification:\n  - { label: pci, detectors: [CreditCard], visibleTo: [], otherwise: Mask }\n',
        ),
    });
    world.model.script = answerChat(text);
    expect((await world.post(path, ask)).text).toContain('card [pci], again [pci], done');
  });
});
