import { afterEach, describe, expect, test } from '@jest/globals';
import { createLogger, systemClock } from '../../pkg/base/index.ts';
import { detectorNames } from '../../pkg/core/index.ts';
import { createApprovalDesk } from '../support/approval-desk.ts';
import { answerChat, chatAnswer, chunk } from '../support/scripted-model.ts';
import type { Script } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

// A key of JSON can be a secret. Ids of lanes stand in the record, in approvals and in errors, so they never spell one that is not the dialect's.

const path = '/v1/chat/completions';
const canaries: Readonly<Record<string, string>> = {
  AwsKey: 'AKIAIOSFODNN7EXAMPLE',
  CreditCard: '4111111111111111',
  Email: 'ana.smith@example.com',
  GenericApiKey: 'api_key=a1b2c3d4e5f6g7h8',
  GitHubToken: `ghp_${'16C7e42F292c6912E7710c838347Ae178B4a'}`,
  Iban: 'DE89370400440532013000',
  IpAddress: '203.0.113.77',
  Jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLXRoaXM',
  MacAddress: '00:1b:44:11:3a:b7',
  Phone: '+14155552671',
  PrivateKey: `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'.repeat(3)}\n-----END PRIVATE KEY-----`,
  UsSsn: '078-05-1120',
  word: 'falcon',
  disguise: '%66alcon',
};
const secrets = Object.values(canaries);
const harmless = 'colour';
const keys = [...secrets, harmless];

const each = (make: (key: string) => unknown): Record<string, unknown> =>
  Object.fromEntries(keys.map((key) => [key, make(key)]));

/** Each of these keys at each depth, over texts, objects, lists and numbers. */
const nested = {
  metadata: each(() => 'a text'),
  extra: {
    ...each(() => ({ inner: 'a text' })),
    list: [[each(() => ['a text', 7])]],
    below: { again: each(() => each(() => 'a text')) },
  },
};
const request = {
  model: 'llama-3-8b',
  messages: [{ role: 'user', content: 'hello' }],
  tools: [
    {
      type: 'function',
      function: { name: 'f', parameters: { type: 'object', properties: each(() => ({ description: 'a text' })) } },
    },
  ],
  ...nested,
};

const label = `  classification:
  - { label: hidden, detectors: [${detectorNames.join(', ')}], words: [falcon], otherwise: Mask, visibleTo: [{ group: ml-eng }] }
`;

let world: World;
afterEach(() => world.close());

/** What a text holds of the secrets, as they are or as JSON spells them. */
const heldBy = (text: string): string[] =>
  Object.entries(canaries)
    .filter(([, secret]) => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)))
    .map(([name]) => name);

function lanesOf(events: readonly Record<string, unknown>[], type: string): { lane: string; text: string }[] {
  return events.flatMap((event): { lane: string; text: string }[] => {
    if (type === 'segment') return event['type'] === type ? [event as never] : [];
    return (event['request'] ?? []) as { lane: string; text: string }[];
  });
}

const json =
  (body: string): Script =>
  (response) => {
    response.setHeader('content-type', 'application/json');
    response.end(body);
  };

describe('a key that is not the dialect’s own', () => {
  test('stands in no name of a request’s lanes, whatever it is and however deep; what it was is a text like others', async () => {
    const log: string[] = [];
    const logger = createLogger({ clock: systemClock, level: 'debug', write: (line) => log.push(line) });
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, label), logger });
    world.model.script = answerChat('ok');
    expect((await world.post(path, request)).status).toBe(200);
    const lanes = lanesOf(await world.record(), 'start');
    expect(heldBy(JSON.stringify(await world.record()))).toEqual([]);
    expect(heldBy(await world.metrics())).toEqual([]);
    expect(heldBy(log.join('\n'))).toEqual([]);
    const told = lanes.find(({ lane }) => lane === '{keys}')?.text ?? '';
    const number = /^(\{[0-9]+\}) "colour"$/m.exec(told)?.[1] ?? 'none';
    expect(lanes).toContainEqual({ lane: `metadata.${number}`, text: 'a text' });
    // Each key is told once: all of these, `inner`, `list`, `below`, `again` and `extra`.
    expect(told.split('\n')).toHaveLength(keys.length + 5 + 1);
    for (const { lane } of lanes) expect(lane).not.toMatch(/[0-9a-f]{16}/);
  });

  test.each([
    ['whole', json(chatAnswer('ok', nested))],
    [
      'streamed',
      (response) => {
        response.setHeader('content-type', 'text/event-stream');
        response.end(`${chunk({ content: 'ok' }, null, 0, nested)}${chunk({}, 'stop')}data: [DONE]\n\n`);
      },
    ],
  ] satisfies [string, Script][])('stands in no name of lanes of an answer: %s', async (how, script) => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, label) });
    world.model.script = script;
    const ask = { model: 'llama-3-8b', stream: how === 'streamed', messages: [{ role: 'user', content: 'hello' }] };
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('AKIAIOSFODNN7EXAMPLE'); // its caller may see it
    const segments = lanesOf(await world.record(), 'segment');
    expect(heldBy(JSON.stringify(await world.record()))).toEqual([]);
    const told = segments.find(({ lane }) => lane === '{keys}')?.text ?? '';
    const number = /^(\{[0-9]+\}) "colour"$/m.exec(told)?.[1] ?? 'none';
    expect(segments.map(({ lane }) => lane)).toContain(
      `choices[0].${/^(\{[0-9]+\}) "metadata"$/m.exec(told)?.[1] ?? 'none'}.${number}`,
    );
  });

  test('is no two lines of the record, and one that spells a digest is no other key', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, label) });
    world.model.script = answerChat('ok');
    await world.post(path, { ...request, extra: { 'a"\n{1} "b': 'x', '{0123456789abcdef}': 'y' } });
    const told = lanesOf(await world.record(), 'start').find(({ lane }) => lane === '{keys}')?.text ?? '';
    for (const line of told.trimEnd().split('\n')) expect(line).toMatch(/^\{[0-9]+\} ".*"$/);
    expect(told).toContain('"{0123456789abcdef}"');
  });

  test('has another name in each session: nobody finds out a masked one by trying words', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, label) });
    world.model.script = answerChat('ok');
    const body = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
    await world.post(path, { ...body, metadata: { falcon: 'a text' } });
    await world.post(path, { ...body, metadata: { other: 'b text', falcon: 'a text' } });
    const lanes = lanesOf(await world.record(), 'start').filter(({ text }) => text === 'a text');
    expect(lanes.map(({ lane }) => lane)).toEqual(['metadata.{1}', 'metadata.{2}']);
  });

  test('is not told to approvers', async () => {
    const desk = createApprovalDesk();
    const guard = `${label}  guards:
  - { name: project, direction: Request, match: { words: [eagle] }, action: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 60s }
`;
    world = await startWorld({ policy: (issuer) => basePolicy(issuer, guard), approvals: desk.gate });
    world.model.script = answerChat('ok');
    const metadata = each(() => 'a text');
    const answer = world.post(path, { model: 'llama-3-8b', messages: [{ role: 'user', content: 'eagle' }], metadata });
    await until(() => desk.cases.length === 1, 'it is asked');
    const excerpt = desk.asks[0]?.excerpt ?? '';
    expect(excerpt).toMatch(/metadata\.\{[0-9]+\}: a text/);
    expect(excerpt).toContain('"colour"');
    expect(heldBy(excerpt)).toEqual([]);
    desk.decide('Deny');
    await answer;
  });
});
