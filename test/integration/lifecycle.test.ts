import { afterEach, describe, expect, test } from '@jest/globals';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { AuditUnavailableError } from '../../pkg/core/index.ts';
import type { AuditEvent, AuditSink } from '../../pkg/core/index.ts';
import { createIdentityVerifier } from '../../pkg/identity/index.ts';
import { readAuditLog, verifyAuditLog } from '../../pkg/record/index.ts';
import type { World } from '../support/world.ts';
import { basePolicy, joinContent, startWorld } from '../support/world.ts';
import { answerChat, chunk, streamChat } from '../support/scripted-model.ts';
import { pause, stopwatch, until } from '../support/wait.ts';

const path = '/v1/chat/completions';
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] };
const stream = { ...ask, stream: true };
const code = (text: string): string | undefined => /"code":"(\w+)"/.exec(text)?.[1];

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const endless = (response: {
  write(text: string): boolean;
  setHeader(name: string, value: string): unknown;
  on(event: 'close', run: () => void): unknown;
}): void => {
  response.setHeader('content-type', 'text/event-stream');
  const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 10);
  response.on('close', () => clearInterval(timer));
};

describe('a token that expires while its stream is under way', () => {
  test('ends nothing, and counts for no other request', async () => {
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer).replace('groupsClaim', 'clockSkew: 1s, groupsClaim'),
    });
    const goOn = Promise.withResolvers<undefined>();
    world.model.script = async (response) => {
      response.setHeader('content-type', 'text/event-stream').write(chunk({ content: 'before ' }));
      await goOn.promise;
      response.end(`${chunk({ content: 'after' }, 'stop')}data: [DONE]\n\n`);
    };
    const token = await world.token({ expiresIn: 1 });
    let text = '';
    const answer = world.post(path, stream, { token, onChunk: (piece) => (text += piece) });
    await until(() => text.includes('before'));
    const again = async (): Promise<string | undefined> =>
      code((await world?.call('GET', '/v1/models/none', { token }))?.text ?? '');
    await until(async () => (await again()) === 'token_expired', 'the token has expired');
    goOn.resolve(undefined);
    expect(joinContent((await answer).text)).toBe('before after');
    expect((await answer).broken).toBe(false);
  });
});

describe('a policy that changes while requests are under way', () => {
  test('ends a stream that is no longer allowed within a second of the edit, and the model’s work with it', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer), policyPoll: 'product' });
    world.model.script = endless;
    const allowed = basePolicy(world.issuer.url);
    // The file is looked at each half second: edits at several places between two looks.
    for (const later of [0, 130, 260, 390]) {
      let text = '';
      const answer = world.post(path, stream, { onChunk: (piece) => (text += piece) });
      await until(() => text.includes('word'));
      await pause(later);
      const watch = stopwatch();
      const edited = world.setPolicy(allowed.replace('ml-eng', 'others'));
      await answer;
      const elapsed = watch.stop();
      await edited;
      expect(code(text)).toBe('policy_changed');
      expect(text).not.toContain('[DONE]');
      expect(elapsed).toBeLessThan(1_000);
      await until(() => world?.model.seen.at(-1)?.aborted === true && world.sidecar.live === 0);
      await world.setPolicy(allowed);
    }
  });

  test('ends a stream of which more would be hidden, and leaves one of which nothing more is', async () => {
    const looser = (issuer: string): string => basePolicy(issuer, '  responseLimits: []\n');
    world = await startWorld({ policy: looser });
    world.model.script = endless;
    const abort = new AbortController();
    let text = '';
    const answer = world
      .post(path, stream, { onChunk: (piece) => (text += piece), signal: abort.signal })
      .catch(() => undefined);
    await until(() => text.includes('word'));
    await world.setPolicy(
      basePolicy(
        world.issuer.url,
        '  - name: more\n    effect: Allow\n    subjects: [{ group: others }]\n    operations: [Chat]\n',
      ),
    );
    await pause(100);
    expect(code(text)).toBeUndefined();
    await world.setPolicy(
      basePolicy(
        world.issuer.url,
        '  classification:\n  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }\n',
      ),
    );
    await until(() => code(text) === 'policy_changed');
    abort.abort();
    await answer;
  });

  test('a policy that is not valid changes nothing', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
    writeFileSync(
      join(world.folder, 'policy.yaml'),
      basePolicy(world.issuer.url).replace('effect: Allow', 'effect: Maybe'),
    );
    await pause(200);
    expect((await world.post(path, ask)).status).toBe(200);
  });
});

describe('a policy that cannot be put into force', () => {
  test('denies everything and ends what is under way; the next that can is in force', async () => {
    let broken = false;
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer),
      verifiers: (providers) => {
        if (broken) throw new Error('this provider cannot be used');
        return createIdentityVerifier({ clock: systemClock, logger: silentLogger })(providers);
      },
    });
    world.model.script = endless;
    let text = '';
    const answer = world.post(path, stream, { onChunk: (piece) => (text += piece) });
    await until(() => text.includes('word'));
    broken = true;
    const other = basePolicy(world.issuer.url).replace('audiences: [inference]', 'audiences: [inference, other]');
    await world.setPolicy(other);
    await answer;
    expect(code(text)).toBe('policy_changed');
    await until(() => world?.model.seen.at(-1)?.aborted === true && world.sidecar.live === 0);
    const seen = world.model.seen.length;
    const refused = await world.post(path, ask);
    expect([refused.status, code(refused.text)]).toEqual([503, 'policy_invalid']);
    expect(world.model.seen).toHaveLength(seen);
    expect(world.sidecar.ready()).toEqual({ ready: false, reasons: ['policy_invalid'] });
    const shown = await world.metrics();
    expect(shown).toContain('sidegate_policy_reloads_total{result="refused"} 1');
    expect(shown).not.toMatch(/^sidegate_policy_info\{/m);
    broken = false;
    world.model.script = answerChat('hello');
    await world.setPolicy(basePolicy(world.issuer.url));
    expect((await world.post(path, ask)).status).toBe(200);
    expect(world.sidecar.ready().ready).toBe(true);
  });
});

describe('callers who go away', () => {
  test('end the model’s work at once, and the record says so', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
    world.model.script = endless;
    const abort = new AbortController();
    const answer = world
      .post(path, stream, { signal: abort.signal, onChunk: () => abort.abort() })
      .catch(() => undefined);
    await answer;
    await until(() => world?.model.seen[0]?.aborted === true && world.sidecar.live === 0);
    await until(() => world?.recordSoFar().at(-1)?.['type'] === 'end');
    expect((await world.record()).at(-1)).toMatchObject({ type: 'end', outcome: 'aborted' });
  });
});

describe('rate, token and concurrency limits', () => {
  const limited = (issuer: string, limits: string): string => basePolicy(issuer, `    limits: ${limits}\n`);

  test('requests over the limit get 429 with Retry-After and the rule’s name; the model sees none', async () => {
    world = await startWorld({ policy: (issuer) => limited(issuer, '{ requestsPerMinute: 2 }') });
    expect((await world.post(path, ask)).status).toBe(200);
    expect((await world.post(path, ask)).status).toBe(200);
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([429, 'rate_limited']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.text).toContain('engineers');
    expect(world.model.seen).toHaveLength(2);
  });

  test('output is capped in the request that the model gets, and asking for more is refused', async () => {
    world = await startWorld({ policy: (issuer) => limited(issuer, '{ maxOutputTokens: 64 }') });
    await world.post(path, ask);
    expect(world.model.seen[0]?.body).toMatch(/"max(_completion)?_tokens":64/);
    const answer = await world.post(path, { ...ask, max_tokens: 65 });
    expect([answer.status, code(answer.text)]).toEqual([400, 'max_tokens_exceeded']);
    await world.post(path, { ...ask, max_tokens: 10 });
    expect(JSON.parse(world.model.seen[1]?.body ?? '')).toEqual({ ...ask, max_tokens: 10 });
  });

  test('tokens are charged by usage, which is asked for on streams and taken out again', async () => {
    world = await startWorld({ policy: (issuer) => limited(issuer, '{ tokensPerMinute: 500, maxOutputTokens: 100 }') });
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(`${chunk({ content: 'hi' })}${chunk({}, 'stop')}`);
      response.end(
        `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":450,"total_tokens":455}}\n\ndata: [DONE]\n\n`,
      );
    };
    const first = await world.post(path, stream);
    expect(JSON.parse(world.model.seen[0]?.body ?? '')).toMatchObject({ stream_options: { include_usage: true } });
    expect(first.text).not.toContain('"usage":{');
    expect(code((await world.post(path, stream)).text)).toBe('token_limited');
    expect((await world.record()).find((event) => event['type'] === 'end')).toMatchObject({
      tokens: { input: 5, output: 450 },
    });
  });

  test('usage that the caller asked for stays in the stream', async () => {
    world = await startWorld({ policy: (issuer) => limited(issuer, '{ tokensPerMinute: 500, maxOutputTokens: 100 }') });
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.end(
        `${chunk({}, 'stop')}data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9}}\n\ndata: [DONE]\n\n`,
      );
    };
    expect((await world.post(path, { ...stream, stream_options: { include_usage: true } })).text).toContain(
      '"usage":{',
    );
  });

  test('requests under way are limited', async () => {
    world = await startWorld({ policy: (issuer) => limited(issuer, '{ concurrentRequests: 1 }') });
    let release = (): void => undefined;
    world.model.script = (response) => {
      release = () =>
        answerChat('ok')(response, {
          method: '',
          path: '',
          headers: {},
          body: '',
          bytes: Buffer.alloc(0),
          aborted: false,
        }) as undefined;
    };
    const first = world.post(path, ask);
    await until(() => world?.model.seen.length === 1);
    expect(code((await world.post(path, ask)).text)).toBe('concurrency_limited');
    release();
    expect((await first).status).toBe(200);
    const second = world.post(path, ask);
    await until(() => world?.model.seen.length === 2);
    release();
    expect((await second).status).toBe(200);
  });
});

describe('the shape of answers against observers', () => {
  const shaped = (issuer: string, limits: string): string =>
    basePolicy(issuer, `  responseLimits:\n  - { subjects: [{ anyone: true }], ${limits} }\n`);

  test('answers of many sizes have few sizes on the wire, and the JSON is the same', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'padToMultipleOf: 512') });
    const sizes = new Set<number>();
    for (const length of [0, 1, 10, 99, 100]) {
      world.model.script = answerChat('x'.repeat(length));
      const answer = await world.post(path, ask);
      sizes.add(answer.text.length);
      expect(
        (JSON.parse(answer.text) as { choices: { message: { content: string } }[] }).choices[0]?.message.content,
      ).toHaveLength(length);
    }
    expect([...sizes]).toEqual([512]);
  });

  test('events of a stream are padded to steps', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'padToMultipleOf: 512') });
    world.model.script = streamChat(['a', 'bb', 'a much longer piece of text'], { delayMs: 20 });
    const answer = await world.post(path, stream);
    expect(answer.text.length % 512).toBe(0);
    expect(joinContent(answer.text)).toBe('abba much longer piece of text');
  });

  test('no answer is faster than the minimum', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'minDuration: 300ms') });
    const from = performance.now();
    await world.post(path, ask);
    expect(performance.now() - from).toBeGreaterThan(290);
  });

  test('an answer that takes longer than the maximum is ended', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'maxDuration: 200ms') });
    world.model.script = endless;
    const answer = await world.post(path, stream);
    expect(code(answer.text)).toBe('response_timeout');
    world.model.script = () => undefined;
    expect((await world.post(path, ask)).status).toBe(504);
  });

  test('an answer that is larger than the maximum is refused, a stream ended', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'maxBytes: 1000') });
    world.model.script = answerChat('x'.repeat(2_000));
    expect(code((await world.post(path, ask)).text)).toBe('response_too_large');
    world.model.script = endless;
    const answer = await world.post(path, stream);
    expect(code(answer.text)).toBe('response_too_large');
    expect(answer.text.length).toBeLessThan(1_400);
  });

  test('with a cadence, events leave in batches', async () => {
    world = await startWorld({ policy: (issuer) => shaped(issuer, 'cadence: { every: 100ms }') });
    world.model.script = streamChat(
      Array.from({ length: 40 }, (_, at) => `w${at} `),
      { delayMs: 5 },
    );
    let batches = 0;
    const from = performance.now();
    const answer = await world.post(path, stream, { onChunk: () => batches++ });
    expect(joinContent(answer.text)).toContain('w39');
    // Of 40 events in some 200 ms: one batch a tick, however long it took; and the head and the end.
    expect(batches).toBeLessThanOrEqual((performance.now() - from) / 100 + 3);
  });
});

describe('Observe mode', () => {
  const observing = (issuer: string): string =>
    basePolicy(
      issuer,
      '  guards:\n  - { name: no-mail, direction: Request, match: { detectors: [Email] }, action: Block }\n  classification:\n  - { label: confidential, detectors: [CreditCard], visibleTo: [], otherwise: Mask }\n',
    ).replace('mode: Enforce', 'mode: Observe');

  test('alters and refuses nothing, and records what it would have done', async () => {
    world = await startWorld({ policy: observing, credential: 'model-key-123456' });
    world.model.script = answerChat('Pay 4111 1111 1111 1111');
    const answer = await world.post(path, { ...ask, messages: [{ role: 'user', content: 'to ana@example.com' }] });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('4111 1111 1111 1111');
    const end = (await world.record()).at(-1);
    expect(JSON.stringify(end?.['observed'])).toMatch(/no-mail.*blocked|blocked.*no-mail/);
    expect(JSON.stringify(end?.['observed'])).toContain('confidential');
    expect(JSON.stringify(await world.record())).not.toContain('4111 1111');
  });

  test('callers whom nothing allows pass with their own credential and never with the model’s', async () => {
    world = await startWorld({
      policy: (issuer) =>
        `${observing(issuer)}  upstream: { credential: { file: "CREDENTIAL", header: Authorization } }\n`.replace(
          'CREDENTIAL',
          '/nonexistent',
        ),
    });
    const answer = await world.post(path, ask, { token: 'opaque-token-of-the-caller' });
    expect(answer.status).toBe(200);
    expect(world.model.seen[0]?.headers['authorization']).toBe('Bearer opaque-token-of-the-caller');
    expect((await world.record()).at(-1)).toMatchObject({ outcome: 'completed' });
    expect(JSON.stringify((await world.record()).at(-1)?.['observed'])).toContain('token_invalid');
  });

  test('passes nothing unread where the model was sent a key of ours', async () => {
    const file = `/tmp/sidegate-observe-key-${process.pid}`;
    writeFileSync(file, 'observed-model-key-01');
    world = await startWorld({
      policy: (issuer) =>
        `${observing(issuer)}  upstream: { credential: { file: "${file}", header: Authorization } }\n`,
    });
    world.model.script = (response) =>
      response.setHeader('content-type', 'text/event-stream').end('data: observed-model-key-01\n\n');
    const streamed = await world.post(path, stream);
    expect(world.model.seen[0]?.headers['authorization']).toContain('observed-model-key-01');
    world.model.script = (response) => response.setHeader('content-type', 'image/png').end('observed-model-key-01');
    const whole = await world.post(path, ask);
    for (const answer of [streamed, whole]) {
      expect(answer.text).not.toContain('observed-model-key');
      expect(code(answer.text)).toBe('response_uninspectable');
    }
  });

  test('passes what cannot be read, recorded', async () => {
    world = await startWorld({ policy: observing });
    world.model.script = (response) =>
      response.setHeader('content-type', 'text/event-stream').end('data: not json\n\n');
    expect((await world.post(path, stream)).text).toContain('not json');
    expect(JSON.stringify((await world.record()).at(-1)?.['observed'])).toContain('response_uninspectable');
  });
});

describe('the record', () => {
  const failing =
    (allow: boolean): ((issuer: string) => string) =>
    (issuer) =>
      basePolicy(issuer, `  audit: { content: Masked, onFailure: ${allow ? 'Allow' : 'Deny'} }\n`);
  const broken = {
    append: () => {
      throw new AuditUnavailableError();
    },
    close: () => Promise.resolve(),
  };

  test('that cannot be written refuses everything, and the model sees nothing', async () => {
    world = await startWorld({ policy: failing(false), audit: broken });
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([503, 'audit_unavailable']);
    expect(world.model.seen).toEqual([]);
  });

  test('that may fail goes on, and says so in the receipt and in a counter', async () => {
    world = await startWorld({ policy: failing(true), audit: broken });
    const answer = await world.post(path, ask);
    expect(answer.status).toBe(200);
    expect(answer.headers['sidegate-receipt']).toContain('failed-open=audit');
    expect(await world.metrics()).toMatch(/sidegate_failed_open_total [1-9]/);
  });

  test('that cannot be written takes the pod out of service, until it can, without any request', async () => {
    let works = true;
    const sink = {
      append: () => {
        if (!works) throw new AuditUnavailableError();
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: sink });
    expect(world.sidecar.ready()).toEqual({ ready: true, reasons: [] });
    works = false;
    expect(world.sidecar.ready()).toEqual({ ready: false, reasons: ['record_unwritable'] });
    works = true;
    expect(world.sidecar.ready()).toEqual({ ready: true, reasons: [] });
    works = false;
    await world.setPolicy(failing(true)(world.issuer.url));
    expect(world.sidecar.ready()).toEqual({ ready: true, reasons: [] });
  });

  const long = 'a plain word or two '.repeat(50_000);
  const longAnswer: World['model']['script'] = (response) =>
    response.setHeader('content-type', 'application/json').end(
      JSON.stringify({
        choices: [{ index: 0, message: { role: 'assistant', content: long }, finish_reason: 'stop' }],
      }),
    );

  test('of a long answer is written in parts, between which others get their turn, before the answer leaves', async () => {
    let turns = 0;
    const spin = (): void => {
      turns++;
      next = setImmediate(spin);
    };
    let next = setImmediate(spin);
    const parts: { readonly text: string; readonly turn: number; readonly segments: number }[] = [];
    const sink: AuditSink = {
      append(events) {
        const segments = events.flatMap((one) => (one.type === 'segment' && one.direction === 'response' ? [one] : []));
        if (segments.length > 0)
          parts.push({ text: segments.map(({ text }) => text).join(''), turn: turns, segments: segments.length });
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: sink });
    world.model.script = longAnswer;
    try {
      expect((await world.post(path, ask)).text).toContain(long);
    } finally {
      clearImmediate(next);
    }
    expect(parts.map(({ text }) => text).join('')).toBe(long);
    expect(Math.max(...parts.map(({ segments }) => segments))).toBe(4);
    expect(new Set(parts.map(({ turn }) => turn)).size).toBe(parts.length);
  });

  const longAsk = { model: 'llama-3-8b', messages: [{ role: 'user', content: long }] };
  const ofRequest = (events: readonly AuditEvent[]): readonly AuditEvent[] =>
    events.filter((one) => one.type === 'segment' && one.direction === 'request');

  test('of a long prompt is written in parts, all of them before the model sees a byte', async () => {
    let text = '';
    const parts: number[] = [];
    const seen: number[] = [];
    const sink: AuditSink = {
      append(events) {
        const segments = ofRequest(events);
        if (segments.length === 0) return;
        for (const one of segments) if (one.type === 'segment') text += one.text;
        parts.push(segments.length);
        seen.push(world?.model.seen.length ?? -1);
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: sink });
    expect((await world.post(path, longAsk)).status).toBe(200);
    expect(text).toBe(long);
    expect(Math.max(...parts)).toBe(4);
    expect(new Set(seen)).toEqual(new Set([0]));
    expect(world.model.seen).toHaveLength(1);
  });

  test('that fails in the middle of a long prompt refuses it, and the model sees nothing', async () => {
    let parts = 0;
    const flaky: AuditSink = {
      append(events) {
        if (ofRequest(events).length > 0 && ++parts > 2) throw new AuditUnavailableError();
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: flaky });
    const answer = await world.post(path, longAsk);
    expect([answer.status, code(answer.text)]).toEqual([503, 'audit_unavailable']);
    expect(world.model.seen).toEqual([]);
    expect(parts).toBeGreaterThan(2);
  });

  test('that fails in the middle of a long answer refuses it whole', async () => {
    let parts = 0;
    const flaky: AuditSink = {
      append(events) {
        if (events.some((one) => one.type === 'segment' && one.direction === 'response') && ++parts > 2)
          throw new AuditUnavailableError();
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: flaky });
    world.model.script = longAnswer;
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([503, 'audit_unavailable']);
    expect(answer.text).not.toContain('a plain word');
    expect(parts).toBeGreaterThan(2);
  });

  test('that fails in the middle of a stream ends the stream', async () => {
    let left = 6;
    const flaky = {
      append: () => {
        if (left-- <= 0) throw new AuditUnavailableError();
      },
      close: () => Promise.resolve(),
    };
    world = await startWorld({ policy: failing(false), audit: flaky });
    world.model.script = endless;
    expect(code((await world.post(path, stream)).text)).toBe('audit_unavailable');
  });

  test('has start, prompt, answer and end of a session, in order and chained', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
    world.model.script = streamChat(['Hello ', 'there.']);
    const answer = await world.post(path, stream);
    const events = (await world.record()).filter((event) => event['session'] === answer.headers['x-request-id']);
    expect(events.map((event) => event['type'])).toEqual(['start', ...events.slice(1, -1).map(() => 'segment'), 'end']);
    expect(events[0]?.['request']).toMatchObject([{ lane: 'messages[0].content' }]);
    expect(
      events
        .slice(1, -1)
        .map((event) => event['text'])
        .join(''),
    ).toBe('Hello there.');
    expect(events.at(-1)).toMatchObject({ outcome: 'completed', status: 200 });
    const lines = [...readAuditLog(join(world.folder, 'audit.jsonl'))];
    expect(verifyAuditLog(lines)).toMatchObject({ ok: true, records: (await world.record()).length, lost: 0 });
    const changed = lines.map((line) => line.replace('"outcome":"completed"', '"outcome":"refused"'));
    expect(verifyAuditLog(changed)).toMatchObject({ ok: false, why: 'changed' });
    expect(verifyAuditLog(lines.filter((line) => !line.includes('"segment"')))).toMatchObject({ ok: false });
  });

  test('says how long each part of a session took', async () => {
    let now = 1_000;
    world = await startWorld({
      policy: (issuer) => basePolicy(issuer),
      clock: { ...systemClock, monotonic: () => now },
    });
    const { metrics } = world;
    let text = '';
    world.model.script = async (response) => {
      now += 10;
      response.setHeader('content-type', 'text/event-stream').flushHeaders();
      await until(async () => (await metrics()).includes('sidegate_streams_live 1\n'), 'its head has come');
      now += 20;
      response.write(chunk({ content: 'Hello ' }));
      await until(() => text.includes('Hello'));
      now += 40;
      response.end(`${chunk({ content: 'there.' }, 'stop')}data: [DONE]\n\n`);
    };
    await world.post(path, stream, { onChunk: (piece) => (text += piece) });
    const end = (await world.record()).find((event) => event['type'] === 'end');
    expect(end?.['timing']).toEqual({ toUpstream: 0, firstByte: 10, firstText: 30, total: 70 });
  });

  test('of a request that is refused has no time of what did not happen', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
    await world.post(path, ask, { token: null });
    const end = (await world.record()).find((event) => event['type'] === 'end');
    const timing = { toUpstream: null, firstByte: null, firstText: null, total: expect.any(Number) };
    expect(end?.['timing']).toEqual(timing);
  });
});

describe('the model’s credential', () => {
  const withKey =
    (folder: string) =>
    (issuer: string): string =>
      `${basePolicy(issuer)}  upstream: { credential: { file: "${folder}", header: Authorization, prefix: "Bearer " } }\n`;

  test('is injected, read again when it changes, and taken out wherever the model says it', async () => {
    const file = `/tmp/sidegate-credential-${process.pid}`;
    writeFileSync(file, 'first-model-key-0001');
    world = await startWorld({ policy: withKey(file) });
    expect(existsSync(file)).toBe(true);
    world.model.script = (response, request) =>
      answerChat(`you sent ${request.headers.authorization ?? ''}`)(response, request);
    const first = await world.post(path, ask);
    expect(world.model.seen[0]?.headers['authorization']).toBe('Bearer first-model-key-0001');
    expect(first.text).not.toContain('first-model-key-0001');
    writeFileSync(file, 'second-model-key-0002');
    // From its first use on it is hidden as well.
    const texts: string[] = [];
    await until(async () => {
      texts.push((await world!.post(path, ask)).text);
      return world!.model.seen.at(-1)?.headers['authorization'] === 'Bearer second-model-key-0002';
    }, 'the new key is used');
    expect(texts.join()).not.toContain('model-key');
    world.model.script = streamChat([...'the key is second-model-key-0002 ok']);
    expect(joinContent((await world.post(path, stream)).text)).toBe('the key is [credential] ok');
    expect(JSON.stringify(await world.record())).not.toContain('model-key');
  });

  test('that is missing refuses, and the model sees nothing', async () => {
    world = await startWorld({ policy: withKey('/nonexistent/credential') });
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([503, 'credential_unavailable']);
    expect(world.model.seen).toEqual([]);
  });

  test.each([1, 7, 4_097, 8_000])('of %i characters is as a missing one; later policies hold', async (length) => {
    const file = `/tmp/sidegate-credential-${process.pid}`;
    writeFileSync(file, 'k'.repeat(length));
    world = await startWorld({ policy: withKey(file) });
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([503, 'credential_unavailable']);
    expect(world.model.seen).toEqual([]);
    expect(await world.metrics()).toContain('sidegate_credentials_refused_total 1');
    await world.setPolicy(withKey(file)(world.issuer.url).replace('ml-eng', 'others'));
    expect(code((await world.post(path, ask)).text)).toBe('access_denied');
  });

  test('of the greatest length is used, and taken out', async () => {
    const file = `/tmp/sidegate-credential-${process.pid}`;
    const key = 'long-key'.repeat(512);
    writeFileSync(file, key);
    world = await startWorld({ policy: withKey(file) });
    world.model.script = streamChat(['the key is ', key.slice(0, 2_000), key.slice(2_000), ' ok']);
    expect(joinContent((await world.post(path, stream)).text)).toBe('the key is [credential] ok');
    expect(world.model.seen.at(-1)?.headers['authorization']).toBe(`Bearer ${key}`);
  });

  test('that the model refuses is no news for the caller', async () => {
    const file = `/tmp/sidegate-credential-${process.pid}`;
    writeFileSync(file, 'first-model-key-0001');
    world = await startWorld({ policy: withKey(file) });
    world.model.script = (response) =>
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"error":{"message":"bad key first-model-key-0001"}}');
    const answer = await world.post(path, ask);
    expect([answer.status, code(answer.text)]).toEqual([502, 'upstream_error']);
  });
});

describe('stopping', () => {
  test('lets streams under way end', async () => {
    world = await startWorld({ policy: (issuer) => basePolicy(issuer) });
    world.model.script = streamChat(['one ', 'two ', 'three '], { delayMs: 60 });
    let first = (): void => undefined;
    const begun = new Promise<void>((resolve) => (first = resolve));
    const answer = world.post(path, stream, { onChunk: () => first() });
    await begun;
    const draining = world.sidecar.drain(5_000);
    expect(joinContent((await answer).text)).toBe('one two three ');
    await draining;
    await expect(world.post(path, ask)).rejects.toThrow();
  });
});
