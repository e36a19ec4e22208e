import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectH2 } from 'node:http2';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { AuditUnavailableError } from '../../pkg/core/index.ts';
import type { AuditEvent } from '../../pkg/core/index.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import { answerChat, chunk } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';

const path = '/v1/chat/completions';
const mail = 'ana.maria@example.com';
const githubToken = `ghp_${'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'}`;
const ask = { model: 'llama-3-8b', messages: [{ role: 'user', content: 'a prompt of nobody’s business' }] };
const stream = { ...ask, stream: true };

const policyOf = (issuer: string, more = ''): string =>
  basePolicy(
    issuer,
    `  classification:
  - label: confidential
    detectors: [Email]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
  guards:
  - name: no-secrets
    direction: Request
    match: { detectors: [Secrets] }
    action: Block
${more}`,
  );

let world: World;
let recordWorks = true;
let recorded = 0;
let token = '';

/** `name{labels}` to value; labels in the order that they are printed. */
async function samples(): Promise<Map<string, number>> {
  const lines = (await world.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** A caller has its answer a moment before its session has its end; ends are written together. */
async function settled(): Promise<void> {
  await until(async () => (await samples()).get('sidegate_requests_live') === 0);
  world.sidecar.flushRecord();
}

/** What these samples grew by, while `run` ran and until it shows. */
async function growth(run: () => Promise<unknown>): Promise<(name: string) => number> {
  const before = await samples();
  await run();
  await settled();
  const after = await samples();
  return (name) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
}

const h2Post = (body: unknown, bearer: string): Promise<string> =>
  new Promise((done, failed) => {
    const session = connectH2(world.url, { ca: world.ca });
    session.on('error', failed);
    const request = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/json',
      authorization: `Bearer ${bearer}`,
    });
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => session.close(() => done(text)));
    request.end(JSON.stringify(body));
  });

beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) => policyOf(issuer),
    audit: {
      append(events: readonly AuditEvent[]) {
        if (!recordWorks) throw new AuditUnavailableError();
        recorded += events.length;
      },
      close: () => Promise.resolve(),
    },
  });
  token = await world.token({ sub: 'subject-of-nobodys-business' });
});
afterAll(() => world.close());

const ended = (code: string, decision: string): string =>
  `sidegate_requests_total{operation="Chat",code="${code}",decision="${decision}"}`;

const isOpen = /^sidegate_connections_open\{/;

describe('what /metrics shows', () => {
  test('connections by protocol: h1, h2 and plain, opened and closed', async () => {
    const grew = await growth(async () => {
      expect(await h2Post(ask, token)).toContain('hello');
      await new Promise<void>((done) => {
        const socket = connect(world.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'));
        socket.resume().on('close', () => done());
      });
      await world.post(path, ask, { headers: { connection: 'close' } });
      await until(async () => [...(await samples())].every(([name, count]) => !isOpen.test(name) || count === 0));
    });
    for (const protocol of ['http/1.1', 'h2', 'plain']) {
      expect([protocol, grew(`sidegate_connections_total{protocol="${protocol}"}`)]).toEqual([protocol, 1]);
      expect([protocol, grew(`sidegate_connections_open{protocol="${protocol}"}`)]).toEqual([protocol, 0]);
    }
    expect(grew('sidegate_refused_before_exchange_total{code="tls_required"}')).toBe(1);
    expect(grew('sidegate_exchanges_total{dialect="openai",protocol="h2"}')).toBe(1);
    expect(grew('sidegate_exchanges_total{dialect="openai",protocol="http/1.1"}')).toBe(1);
  });

  test('a connection that is open is counted as open', async () => {
    const session = connectH2(world.url, { ca: world.ca });
    await new Promise((done) => session.once('remoteSettings', done));
    expect((await samples()).get('sidegate_connections_open{protocol="h2"}')).toBe(1);
    await new Promise<void>((done) => session.close(done));
  });

  test('a masked answer: stages, bytes, rule, record, and the token that was known', async () => {
    world.model.script = answerChat(`write to ${mail}`);
    let answer = '';
    const grew = await growth(async () => (answer = (await world.post(path, ask)).text));
    expect(answer).toContain('[confidential]');
    expect(grew(ended('none', 'allowed'))).toBe(1);
    for (const stage of ['identify', 'access', 'inspect', 'upstream', 'mask', 'total'])
      expect([stage, grew(`sidegate_stage_seconds_count{stage="${stage}"}`)]).toEqual([stage, 1]);
    expect(grew('sidegate_stage_seconds_sum{stage="total"}')).toBeLessThan(10);
    expect(grew('sidegate_time_to_first_byte_seconds_count{operation="Chat"}')).toBe(1);
    expect(grew('sidegate_received_bytes_total')).toBe(Buffer.byteLength(JSON.stringify(ask)));
    expect(grew('sidegate_sent_bytes_total')).toBe(Buffer.byteLength(answer));
    expect(grew('sidegate_rule_acts_total{rule="test/confidential",act="masked"}')).toBe(1);
    expect(grew('sidegate_rule_acts_total{rule="test/engineers",act="allowed"}')).toBe(1);
    expect(grew('sidegate_findings_total{by="Email",certainty="Certain"}')).toBe(1);
    expect(grew('sidegate_token_cache_total{result="hit"}')).toBe(1);
    expect(grew('sidegate_token_cache_total{result="miss"}')).toBe(0);
    expect(grew('sidegate_requests_live')).toBe(0);
    expect(grew('sidegate_held_bytes')).toBe(0);
  });

  test('every event that the record took, and no other', async () => {
    await settled();
    const before = recorded;
    const grew = await growth(() => world.post(path, ask));
    expect(recorded - before).toBeGreaterThan(2);
    expect(grew('sidegate_audit_events_total')).toBe(recorded - before);
  });

  test('a token that was never seen is a miss', async () => {
    const other = await world.token({ sub: 'another' });
    const grew = await growth(() => world.post(path, ask, { token: other }));
    expect(grew('sidegate_token_cache_total{result="miss"}')).toBe(1);
  });

  test('what waits, while it waits: a whole answer, a stream, a request', async () => {
    let finish = (): void => undefined;
    world.model.script = (response) => {
      response.setHeader('content-type', 'application/json');
      response.write('{"choices":');
      finish = () => response.end('[]}');
    };
    const whole = world.post(path, ask);
    await until(async () => (await samples()).get('sidegate_held_bytes') === 11);
    expect((await samples()).get('sidegate_requests_live')).toBe(1);
    finish();
    await whole;
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'write to ana.maria' }));
      finish = () => response.end(chunk({ content: '@example.com' }) + chunk({}, 'stop') + 'data: [DONE]\n\n');
    };
    let text = '';
    const grew = await growth(async () => {
      const streamed = world.post(path, stream);
      await until(async () => (await samples()).get('sidegate_streams_live') === 1);
      await pause(50);
      finish();
      text = (await streamed).text;
    });
    expect(text).toContain('[confidential]');
    expect(grew('sidegate_streams_live')).toBe(0);
    expect(grew('sidegate_stream_held_bytes_count')).toBe(1);
    expect(grew('sidegate_stream_held_bytes_sum')).toBeGreaterThanOrEqual('ana.maria'.length);
    const now = await samples();
    expect([now.get('sidegate_held_bytes'), now.get('sidegate_requests_live')]).toEqual([0, 0]);
  });

  test('what is refused and blocked, by code and rule', async () => {
    const grew = await growth(async () => {
      await world.post(path, ask, { token: null });
      await world.post(path, ask, { token: await world.token({ groups: ['others'] }) });
      await world.post(path, { ...ask, messages: [{ role: 'user', content: githubToken }] });
    });
    expect(grew(ended('token_missing', 'refused'))).toBe(1);
    expect(grew(ended('access_denied', 'refused'))).toBe(1);
    expect(grew(ended('guard_blocked', 'refused'))).toBe(1);
    // A token of GitHub's is found by two detectors.
    expect(grew('sidegate_rule_acts_total{rule="test/no-secrets",act="blocked"}')).toBe(2);
    expect(grew('sidegate_rule_acts_total{rule="default",act="denied"}')).toBeGreaterThan(0);
  });

  test('a model that fails and a caller who leaves', async () => {
    world.model.script = (response) => response.destroy();
    const failed = await growth(() => world.post(path, ask));
    expect(failed('sidegate_upstream_errors_total{kind="upstream_protocol"}')).toBe(1);
    expect(failed(ended('upstream_protocol', 'failed'))).toBe(1);
    world.model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 10);
      response.on('close', () => clearInterval(timer));
    };
    const left = await growth(async () => {
      const abort = new AbortController();
      await world.post(path, stream, { signal: abort.signal, onChunk: () => abort.abort() }).catch(() => undefined);
    });
    expect(left('sidegate_aborted_total{by="caller"}')).toBe(1);
    expect(left(ended('none', 'aborted'))).toBe(1);
    world.model.script = answerChat('hello');
  });

  test('a record that cannot be written, denied or let through', async () => {
    const denied = await growth(async () => {
      recordWorks = false;
      expect((await world.post(path, ask)).status).toBe(503);
      recordWorks = true;
    });
    expect(denied('sidegate_audit_failures_total')).toBeGreaterThan(0);
    expect(denied(ended('audit_unavailable', 'failed'))).toBe(1);
    const swapped = await growth(() =>
      world.setPolicy(policyOf(world.issuer.url, '  audit: { content: Masked, onFailure: Allow }\n')),
    );
    expect(swapped('sidegate_policy_reloads_total{result="accepted"}')).toBe(1);
    expect(swapped('sidegate_policy_revision')).toBeGreaterThan(0);
    const open = await growth(async () => {
      recordWorks = false;
      expect((await world.post(path, ask)).status).toBe(200);
      await settled();
      recordWorks = true;
    });
    expect(open('sidegate_failed_open_total')).toBeGreaterThan(0);
    expect(open('sidegate_audit_failures_total')).toBeGreaterThan(0);
  });

  test('a policy that is not taken, and the one in force', async () => {
    const grew = await growth(async () => {
      writeFileSync(
        join(world.folder, 'policy.yaml'),
        policyOf(world.issuer.url).replace('effect: Allow', 'effect: May'),
      );
      await until(async () => ((await samples()).get('sidegate_policy_reloads_total{result="refused"}') ?? 0) > 0);
    });
    expect(grew('sidegate_policy_reloads_total{result="accepted"}')).toBe(0);
    const now = await samples();
    expect([...now].find(([name]) => name.startsWith('sidegate_policy_info'))?.[0]).toMatch(
      /^sidegate_policy_info\{generation="test@\d+",hash="[0-9a-f]{64}"\}$/,
    );
    const age = async (): Promise<number> => (await samples()).get('sidegate_policy_age_seconds') ?? -1;
    const early = await age();
    expect(early).toBeGreaterThanOrEqual(0);
    expect((await samples()).get('sidegate_uptime_seconds') ?? 0).toBeGreaterThan(early);
    // It grows while the newest files are not what is in force, and begins anew as soon as they are.
    await until(async () => (await age()) > early + 0.3, 'the age grows');
    const grown = await age();
    writeFileSync(join(world.folder, 'policy.yaml'), policyOf(world.issuer.url));
    await until(async () => (await age()) < grown, 'the age begins anew');
  });

  test('holds nothing of callers, of what they said, or of what was found', async () => {
    const shown = await world.metrics();
    for (const secret of [token, mail, 'ana', githubToken, 'nobody', 'llama', world.issuer.url, 'ml-eng'])
      expect(shown).not.toContain(secret);
    expect(shown.match(/ghp_|@example|Bearer|eyJ/)).toBeNull();
  });
});

describe('docs/metrics.md', () => {
  interface Row {
    readonly type: string;
    readonly unit: string;
    readonly labels: readonly string[];
    readonly meaning: string;
  }
  const rows = new Map<string, Row>(
    [
      ...readFileSync(resolve(import.meta.dirname, '../../docs/metrics.md'), 'utf8').matchAll(
        /^\| `(\w+)` \| (\w+) \| ([\w ]+) \| (.*?) \| (.*) \|$/gm,
      ),
    ].map(([, name = '', type = '', unit = '', labels = '', meaning = '']) => [
      name,
      { type, unit, labels: [...labels.matchAll(/`(\w+)`/g)].map((label) => label[1] ?? ''), meaning },
    ]),
  );

  test('has a true row for each metric that is printed, and no other', async () => {
    const shown = await world.metrics();
    const printed = [...shown.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]);
    expect(printed.length).toBeGreaterThan(20);
    expect([...rows].map(([name, { type }]) => [name, type]).sort()).toEqual(printed.sort());
    for (const [name, { type, unit, labels, meaning }] of rows) {
      const series = [...(await samples()).keys()].filter((one) => {
        const family = one.replace(/\{.*$/, '');
        return family === name || (type === 'histogram' && family === `${name}_count`);
      });
      expect([name, series.length > 0]).toEqual([name, true]);
      for (const one of series)
        expect([name, [...one.matchAll(/(\w+)="/g)].map((label) => label[1])]).toEqual([name, labels]);
      expect([name, meaning.length > 20]).toEqual([name, true]);
      if (/_seconds$/.test(name)) expect([name, unit]).toEqual([name, 'seconds']);
      if (/_bytes(_total)?$/.test(name)) expect([name, unit]).toEqual([name, 'bytes']);
    }
  });
});
