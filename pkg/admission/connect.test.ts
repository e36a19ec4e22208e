import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { targetName } from './connect.ts';
import { createBreakGlass, createConnect } from './index.ts';
import type { ClusterLookup, ConnectOptions } from './index.ts';
import { emptyLookup, request, testHooks } from './testing/hooks.ts';

const lookup: ClusterLookup = {
  ...emptyLookup,
  pod: (namespace, name) =>
    Promise.resolve(
      namespace !== 'ml' || name === 'gone' ? undefined : { governed: name === 'llama', uid: `uid-${name}` },
    ),
  service: (_, name) =>
    Promise.resolve(
      {
        llama: { selector: { app: 'llama' } },
        other: { selector: { app: 'other' } },
        partly: { selector: { app: 'llama', tier: 'b' } },
        bare: { selector: {} },
      }[name],
    ),
  governedPods: () => Promise.resolve([{ app: 'llama', tier: 'a' }]),
};

function build(more: Partial<ConnectOptions> = {}) {
  const hooks = testHooks();
  const options: ConnectOptions = {
    breakGlassGroup: 'sre-emergency',
    lookup,
    events: hooks.hook.events,
    metrics: hooks.metrics,
    logger: silentLogger,
    ...more,
  };
  return { ...hooks, connect: createConnect(options), breakGlass: createBreakGlass(options) };
}

const ask = (resource: string, subResource: string, name: string, more = {}) =>
  request({ operation: 'CONNECT', resource, subResource, name, ...more });

describe('without the break-glass group', () => {
  test.each(['exec', 'attach', 'portforward', 'proxy'])('%s is refused for a governed pod alone', async (verb) => {
    const { connect } = build();
    const refused = await connect(ask('pods', verb, 'llama'));
    expect(refused).toMatchObject({ allowed: false });
    expect(refused.message).toContain(`[${verb}] pod llama is governed`);
    expect(refused.message).toContain('group sre-emergency');
    expect(await connect(ask('pods', verb, 'web'))).toEqual({ allowed: true });
    expect(await connect(ask('pods', verb, 'gone'))).toMatchObject({ allowed: false });
    expect(await connect(ask('pods', verb, 'web', { namespace: 'other' }))).toMatchObject({ allowed: false });
  });

  test.each<[string, string, boolean]>([
    ['services', 'llama', false],
    ['services', 'https:llama:8000', false],
    ['services', 'llama:http', false],
    ['services', 'other', true],
    ['services', 'partly', true],
    ['services', 'bare', false],
    ['services', 'gone', false],
    ['pods', 'llama:8000', false],
    ['pods', 'http:llama:8000', false],
    ['pods', 'web:8000', true],
    ['pods', ':llama:', false],
    ['pods', 'a:web:llama:', false],
    ['pods', '', false],
  ])('the proxy verb of %s %s: %s', async (resource, name, allowed) => {
    expect((await build().connect(ask(resource, 'proxy', name))).allowed).toBe(allowed);
  });

  test('a lookup that fails is a refusal, and counts', async () => {
    const failing = { ...lookup, pod: () => Promise.reject(new Error('no route')) };
    const { connect, render } = build({ lookup: failing });
    const verdict = await connect(ask('pods', 'exec', 'web'));
    expect(verdict).toMatchObject({ allowed: false, status: 503 });
    expect(verdict.message).not.toContain('no route');
    expect(await render()).toContain('sidegate_admission_failures_total{kind="lookup"} 1');
  });

  test.each([
    ['another operation', ask('pods', 'exec', 'web', { operation: 'CREATE' })],
    ['another subresource', ask('pods', 'log', 'web')],
    ['exec of a service', ask('services', 'exec', 'other')],
    ['another group', ask('pods', 'exec', 'web', { group: 'a' })],
    ['nodes', ask('nodes', 'proxy', 'n')],
  ])('%s is refused', async (_, what) => {
    expect(await build().connect(what)).toMatchObject({ allowed: false });
  });
});

describe('the break-glass group', () => {
  const groups = ['system:authenticated', 'sre-emergency'];

  test.each(['connect', 'breakGlass'] as const)('passes and is recorded, by %s', async (path) => {
    const built = build();
    const verdict = await built[path](ask('pods', 'exec', 'llama', { groups }));
    expect(verdict).toMatchObject({ allowed: true, audit: { 'break-glass': 'exec pods/llama' } });
    expect(built.events).toEqual([
      {
        kind: 'Pod',
        name: 'llama',
        reason: 'BreakGlassExec',
        note: 'ana used exec past the sidecar as a member of group sre-emergency',
      },
    ]);
    expect(await built.render()).toContain('sidegate_break_glass_total{verb="exec"} 1');
  });

  test('puts a debug container into a governed pod: recorded; into another pod of the namespace: not', async () => {
    const warned: string[] = [];
    const built = build({ logger: { ...silentLogger, warn: (message) => void warned.push(message) } });
    const debug = (labels: Record<string, string>, more = {}) => {
      const object = { metadata: { labels } };
      return built.breakGlass(
        ask('pods', 'ephemeralcontainers', 'llama', {
          operation: 'UPDATE',
          groups,
          object,
          oldObject: object,
          ...more,
        }),
      );
    };
    const governed = { 'sidegate.dev/inference': 'true' };
    expect(await debug({})).toEqual({ allowed: true });
    expect(built.events).toEqual([]);
    expect(await debug(governed)).toMatchObject({ allowed: true, audit: { 'break-glass': 'debug pods/llama' } });
    expect(built.events.map(({ reason, note }) => [reason, note.split(' as ')[0]])).toEqual([
      ['BreakGlassDebug', 'ana used debug past the sidecar'],
    ]);
    expect(await built.render()).toContain('sidegate_break_glass_total{verb="debug"} 1');
    expect(await debug(governed, { groups: [] })).toMatchObject({ allowed: false });
    // Its label taken off by the same request, as far as this hook can tell.
    expect(await debug(governed, { object: {} })).toMatchObject({ audit: { 'break-glass': 'debug pods/llama' } });
    expect(await debug(governed, { dryRun: true })).toMatchObject({ allowed: true });
    expect([built.events.length, warned]).toEqual([2, ['break-glass', 'break-glass']]);
    expect(await built.render()).toContain('sidegate_break_glass_total{verb="debug"} 2');
  });

  test('is nobody where it is empty', async () => {
    const { connect, breakGlass } = build({ breakGlassGroup: '' });
    expect(await connect(ask('pods', 'exec', 'llama', { groups: [''] }))).toMatchObject({ allowed: false });
    expect(await breakGlass(ask('pods', 'exec', 'llama', { groups: [''] }))).toMatchObject({ allowed: false });
  });

  test('is not who only asks at its path', async () => {
    const { breakGlass, events } = build();
    expect(await breakGlass(ask('pods', 'exec', 'llama'))).toMatchObject({ allowed: false });
    expect(events).toEqual([]);
  });
});

test.each([
  ['a', 'a'],
  ['a:80', 'a'],
  ['https:a:80', 'a'],
  ['https:a:', 'a'],
  ['', undefined],
  [':a', undefined],
  ['a:b:c:d', undefined],
])('the name in %j is %j', (written, name) => {
  expect(targetName(written)).toBe(name);
});
