import { describe, expect, it } from '@jest/globals';
import { checkFinalState, finalStateRules, inject } from './index.ts';
import type { FinalStateRule, InjectOptions } from './index.ts';
import { paramsOf, testOptions } from './testing/options.ts';
import { changed, model, pod } from './testing/pods.ts';
import { second, tamperings } from './testing/tamperings.ts';

function good(options: InjectOptions = testOptions): unknown {
  const result = inject(pod({ containers: [model(), second] }), options);
  if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
  return result.pod;
}

const rulesBroken = (value: unknown, options: InjectOptions = testOptions): readonly FinalStateRule[] =>
  checkFinalState(value, paramsOf(options)).map(({ rule }) => rule);

describe('a pod that was injected', () => {
  it.each<[string, Partial<InjectOptions>]>([
    ['as it is', {}],
    ['without native sidecars', { nativeSidecars: false }],
    ['in capture mode NamedPort', { captureMode: 'NamedPort' }],
  ])('passes %s', (_, differing) => {
    const options = { ...testOptions, ...differing };
    expect(rulesBroken(good(options), options)).toEqual([]);
  });

  it.each(tamperings)('fails with %s: %j', (_, rules, tamper) => {
    const value = changed(good(), tamper as (copy: never) => void);
    expect(rulesBroken(value)).toEqual(rules);
    for (const { message } of checkFinalState(value, paramsOf(testOptions))) expect(message.length).toBeGreaterThan(15);
  });

  it('has every rule broken by some row', () => {
    const broken = new Set(tamperings.flatMap(([, rules]) => rules));
    expect(finalStateRules.filter((rule) => !broken.has(rule))).toEqual([]);
  });

  it('fails where the options are others', () => {
    expect(rulesBroken(good({ ...testOptions, nativeSidecars: false }))).toContain('sidecar_present');
    expect(rulesBroken(good({ ...testOptions, captureMode: 'NamedPort' }))).toContain('init_present');
    expect(rulesBroken(good(), { ...testOptions, captureMode: 'NamedPort' })).toContain('init_present');
    expect(rulesBroken(good(), { ...testOptions, nativeSidecars: false })).toContain('order');
  });

  it('passes with each image, authority and injector that is allowed', () => {
    const now = { ...testOptions, image: 'sidegate/sidegate:0.2.0', version: '0.2.0' };
    const params = paramsOf(now);
    const before = paramsOf(testOptions);
    const both = {
      ...params,
      images: [...params.images, ...before.images],
      injected: [...params.injected, ...before.injected],
    };
    expect(checkFinalState(good(), both)).toEqual([]);
    expect(checkFinalState(good(now), both)).toEqual([]);
    expect(checkFinalState(good(), params).map(({ rule }) => rule)).toEqual(['image', 'injected']);
  });

  it('passes with a mesh in front of ours', () => {
    const value = inject(
      pod({
        initContainers: [
          { name: 'istio-init', image: 'istio/proxyv2:1', args: ['istio-iptables'] },
          { name: 'istio-proxy', image: 'istio/proxyv2:1', args: ['proxy'], restartPolicy: 'Always' },
          { name: 'warm-up', image: 'a:1' },
        ],
      }),
      testOptions,
    );
    expect(value.kind === 'inject' && rulesBroken(value.pod)).toEqual([]);
  });

  it('is not governed when it was never injected', () => {
    expect(rulesBroken(pod())).toEqual([
      'sidecar_present',
      'init_present',
      'restart_policy',
      'volumes',
      'port_map',
      'injected',
      'raw_sockets',
      'change_user',
    ]);
  });
});
