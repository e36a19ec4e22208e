import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createMetrics } from './metrics.ts';
import type { Metrics, MetricsOptions } from './metrics.ts';

function make(options: Partial<MetricsOptions> = {}) {
  const clock = fakeClock();
  const metrics = createMetrics({
    clock,
    operations: ['Chat', 'Embeddings'],
    codes: ['access_denied', 'upstream_timeout', 'response_too_large'],
    dialects: ['openai'],
    finders: ['Email', 'word'],
    certainties: ['Likely', 'Certain'],
    processMetrics: false,
    ...options,
  });
  return { clock, metrics };
}

/** Lines of the exposition without comments, as name{labels} -> value. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** Every method once, with values of the closed sets. */
function touchAll(metrics: Metrics): void {
  metrics.connectionOpened('h2');
  metrics.connectionOpened('h2');
  metrics.connectionClosed('h2');
  metrics.refusedBeforeExchange('access_denied');
  metrics.requestBegan();
  metrics.requestBegan();
  metrics.requestEnded('Chat', undefined, 'allowed');
  metrics.exchange('openai', 'http/1.1');
  metrics.stage('identify', 2);
  metrics.firstByte('Chat', 40);
  metrics.received(10);
  metrics.sent(20);
  metrics.held(7);
  metrics.held(-3);
  metrics.heldAtMost(100);
  metrics.streamOpened();
  metrics.streamOpened();
  metrics.streamClosed();
  metrics.ruleActed('p/mask-cards', 'masked', 3);
  metrics.found('Email', 'Certain', 2);
  metrics.found('Email', 'Likely', 1);
  metrics.found('ana@example.com', 'sure', 1);
  metrics.policy({ generation: 'p@2', hash: 'ab', revision: 2 });
  metrics.policyAge(() => 1500);
  metrics.reload('accepted');
  metrics.upstreamError('upstream_timeout');
  metrics.auditWritten(5);
  metrics.auditFailed();
  metrics.failedOpen();
  metrics.limitStoreFailed();
  metrics.credentialRefused();
  metrics.tokenCache('hit');
  metrics.aborted('caller');
  metrics.glassBroken();
  metrics.logLineDropped();
  metrics.answerWithoutRoom('response_too_large');
}

describe('metrics', () => {
  test('show what was counted under the labels that it was counted with', async () => {
    const { metrics, clock } = make();
    touchAll(metrics);
    clock.advance(2500);
    expect(Object.fromEntries(await samples(metrics))).toMatchObject({
      'sidegate_connections_total{protocol="h2"}': 2,
      'sidegate_connections_open{protocol="h2"}': 1,
      'sidegate_refused_before_exchange_total{code="access_denied"}': 1,
      'sidegate_requests_total{operation="Chat",code="none",decision="allowed"}': 1,
      sidegate_requests_live: 1,
      'sidegate_exchanges_total{dialect="openai",protocol="http/1.1"}': 1,
      'sidegate_stage_seconds_sum{stage="identify"}': 0.002,
      'sidegate_stage_seconds_count{stage="identify"}': 1,
      'sidegate_time_to_first_byte_seconds_count{operation="Chat"}': 1,
      sidegate_received_bytes_total: 10,
      sidegate_sent_bytes_total: 20,
      sidegate_held_bytes: 4,
      'sidegate_stream_held_bytes_bucket{le="256"}': 1,
      sidegate_streams_live: 1,
      'sidegate_rule_acts_total{rule="p/mask-cards",act="masked"}': 3,
      'sidegate_findings_total{by="Email",certainty="Certain"}': 2,
      'sidegate_findings_total{by="Email",certainty="Likely"}': 1,
      'sidegate_findings_total{by="other",certainty="other"}': 1,
      'sidegate_policy_info{generation="p@2",hash="ab"}': 1,
      sidegate_policy_revision: 2,
      sidegate_policy_age_seconds: 1.5,
      'sidegate_policy_reloads_total{result="accepted"}': 1,
      'sidegate_upstream_errors_total{kind="upstream_timeout"}': 1,
      sidegate_audit_events_total: 5,
      sidegate_audit_failures_total: 1,
      sidegate_failed_open_total: 1,
      sidegate_credentials_refused_total: 1,
      'sidegate_token_cache_total{result="hit"}': 1,
      'sidegate_aborted_total{by="caller"}': 1,
      sidegate_glass_broken_total: 1,
      sidegate_log_lines_dropped_total: 1,
      'sidegate_answers_without_room_total{code="response_too_large"}': 1,
      sidegate_uptime_seconds: 2.5,
    });
  });

  test('put an observation into the first bucket whose bound it does not exceed, cumulated', async () => {
    const { metrics } = make();
    for (const ms of [0.01, 0.05, 0.06, 1000, 1_000_000]) metrics.stage('mask', ms);
    const shown = await samples(metrics);
    const bucket = (le: string) => shown.get(`sidegate_stage_seconds_bucket{stage="mask",le="${le}"}`);
    expect(['0.00001', '0.00005', '0.0001', '0.5', '1', '300', '+Inf'].map((le) => bucket(String(+le || le)))).toEqual([
      1, 2, 3, 3, 4, 4, 5,
    ]);
    expect(shown.get('sidegate_stage_seconds_count{stage="mask"}')).toBe(5);
  });

  test('count values outside of a closed set as other, however many there are', async () => {
    const { metrics } = make();
    for (let n = 0; n < 5000; n++) metrics.requestEnded(`evil-${n}`, `code-${n}`, 'refused');
    const shown = [...(await samples(metrics))].filter(([name]) => name.startsWith('sidegate_requests_total'));
    expect(shown).toEqual([['sidegate_requests_total{operation="other",code="other",decision="refused"}', 5000]]);
  });

  test('keep a series for so many rules and count the others together', async () => {
    const { metrics } = make({ maxRules: 3 });
    for (let n = 0; n < 10; n++) metrics.ruleActed(`grant/${n}`, 'allowed');
    for (let n = 0; n < 10; n++) metrics.ruleActed(`rule-${n}`, 'blocked');
    metrics.ruleActed('rule-1', 'flagged');
    const shown = [...(await samples(metrics))].filter(([name]) => name.startsWith('sidegate_rule_acts_total'));
    expect(Object.fromEntries(shown)).toEqual({
      // Every grant has a name of its own.
      'sidegate_rule_acts_total{rule="grant",act="allowed"}': 10,
      'sidegate_rule_acts_total{rule="rule-0",act="blocked"}': 1,
      'sidegate_rule_acts_total{rule="rule-1",act="blocked"}': 1,
      'sidegate_rule_acts_total{rule="other",act="blocked"}': 8,
      'sidegate_rule_acts_total{rule="rule-1",act="flagged"}': 1,
    });
  });

  test('keep a hostile rule name inside its quotes', async () => {
    const { metrics } = make();
    metrics.ruleActed('a"} 1\nsidegate_forged 1 \\', 'blocked');
    const text = await metrics.render();
    expect(text).toContain('sidegate_rule_acts_total{rule="a\\"} 1\\nsidegate_forged 1 \\\\",act="blocked"} 1');
    expect(text).not.toMatch(/^sidegate_forged/m);
  });

  test('follow the conventions: one HELP and TYPE a metric, base units, counters and only counters end in _total', async () => {
    const { metrics } = make();
    touchAll(metrics);
    const text = await metrics.render();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => ({
      name: match[1] ?? '',
      kind: match[2],
    }));
    expect(types.length).toBeGreaterThan(20);
    expect(new Set(types.map(({ name }) => name)).size).toBe(types.length);
    for (const { name, kind } of types) {
      expect(name).toMatch(/^sidegate_[a-z_]+$/);
      expect(`${name}: ${name.endsWith('_total')}`).toBe(`${name}: ${kind === 'counter'}`);
      expect(name).not.toMatch(/_(ms|milliseconds|kb|minutes)(_|$)/);
      expect(text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'));
    }
  });

  test('show only the policy that is in force', async () => {
    const { metrics } = make();
    expect(await metrics.render()).not.toMatch(/^sidegate_policy_info\{/m);
    metrics.policy({ generation: 'p@1', hash: 'aa', revision: 1 });
    metrics.policy({ generation: 'p@2', hash: 'bb', revision: 2 });
    const infos = (await metrics.render()).match(/^sidegate_policy_info\{.*$/gm);
    expect(infos).toEqual(['sidegate_policy_info{generation="p@2",hash="bb"} 1']);
  });

  test('take gauges of others and refuse a name that is taken', async () => {
    const { metrics } = make();
    let value = 1;
    metrics.gauge('sidegate_buffered_bytes', 'Bytes of bodies in memory.', () => value);
    value = 42;
    expect((await samples(metrics)).get('sidegate_buffered_bytes')).toBe(42);
    expect(() => metrics.gauge('sidegate_buffered_bytes', 'again', () => 0)).toThrow();
  });

  test('bring the process and its event loop along', async () => {
    const { metrics } = make({ processMetrics: true });
    const text = await metrics.render();
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ]) {
      expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
    }
  });

  test('render once for scrapes that come together, and anew for the next', async () => {
    const { metrics } = make();
    const first = metrics.render();
    expect(metrics.render()).toBe(first);
    await first;
    metrics.auditFailed();
    expect((await samples(metrics)).get('sidegate_audit_failures_total')).toBe(1);
  });
});

test('sums over all series are there without a scrape', () => {
  const { clock, metrics } = make();
  expect(metrics.traffic()).toEqual({
    uptimeMs: 0,
    requests: 0,
    refused: 0,
    masked: 0,
    held: 0,
    live: 0,
    streams: 0,
    waiting: 0,
    generation: null,
    policyAgeMs: null,
  });
  touchAll(metrics);
  metrics.requestEnded('Chat', 'access_denied', 'refused');
  metrics.ruleActed('p/ask', 'held', 2);
  metrics.ruleActed('q/mask', 'masked');
  metrics.approvalsWaiting(() => 5);
  clock.advance(2_500);
  expect(metrics.traffic()).toEqual({
    uptimeMs: 2_500,
    requests: 2,
    refused: 1,
    masked: 4,
    held: 2,
    live: 0,
    streams: 1,
    waiting: 5,
    generation: 'p@2',
    policyAgeMs: 1_500,
  });
});
