import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cpuMs } from '../../../test/support/cost.ts';
import { fakeCache, pod } from '../testing/fake-state.ts';
import { podFact } from './pod-fact.ts';
import type { PodFact } from './pod-fact.ts';
import { mostServices, serviceFact, servingNamesOf } from './service-fact.ts';
import type { ServiceFact } from './service-fact.ts';
import { createServiceIndex } from './service-index.ts';

type Labels = Readonly<Record<string, string>>;
const service = (name: string, selector: Labels, ports: readonly number[] = [], annotations = {}) => ({
  metadata: { namespace: 'ml', name, annotations },
  spec: { selector, ports: ports.map((port) => ({ port })) },
});
const podOf = (name: string, labels: Labels): PodFact => podFact(pod(name, { labels }));

function world() {
  const services = fakeCache(serviceFact, { namespace: (one) => [one.namespace] });
  const index = createServiceIndex(services, 'namespace', 'cluster.local');
  const changes: boolean[] = [];
  services.subscribe((change) => changes.push(index.changed(change)));
  return { services, index, changes };
}

/** As Kubernetes says it: every label of a selector that is not empty. */
const selects = ({ selector }: ServiceFact, { labels }: PodFact): boolean =>
  Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value);

test('whatever changes, in any order: exactly the Services whose selector fits', () => {
  const value = fc.constantFrom('x', 'y');
  const labels = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor'), value, { maxKeys: 4 });
  const step = fc.oneof(
    fc.record({ put: fc.nat(5), selector: labels, port: fc.constantFrom(80, 8000) }),
    fc.record({ remove: fc.nat(5) }),
    fc.record({ ask: fc.boolean() }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 12 }),
      fc.array(labels, { minLength: 1, maxLength: 3 }),
      (steps, wanted) => {
        const { services, index } = world();
        const pods = wanted.map((one, at) => podOf(`p${at}`, one));
        const check = (): void => {
          for (const one of pods) {
            const found = [...services.values()].filter((each) => selects(each, one));
            const answer = index.of(one);
            expect(answer.count).toBe(found.length);
            expect(answer.names()).toEqual(servingNamesOf(found, 'cluster.local'));
            const leading = found.filter(({ numericTargets }) => numericTargets.includes(8000)).map(({ name }) => name);
            expect(answer.leadingTo(8000).toSorted()).toEqual(leading.sort());
          }
        };
        for (const one of steps) {
          if ('put' in one) services.put(service(`s${one.put}`, one.selector, [one.port]));
          else if ('remove' in one) services.remove(`ml/s${one.remove}`);
          else check();
        }
        check();
      },
    ),
    { numRuns: 200 },
  );
});

test('a change that leaves selector and ports is none, nor is one of a Service that selects nothing', () => {
  const { services, changes, index } = world();
  const one = podOf('a', {});
  services.put(service('llama', { app: 'llama' }, [80]));
  services.put(service('none', {}));
  const before = index.of(one);
  services.put(service('llama', { app: 'llama' }, [80], { note: 'x' }));
  services.remove('ml/none');
  expect(changes).toEqual([true, false, false, false]);
  expect(index.of(one)).toBe(before);
  services.put(service('llama', { app: 'llama' }, [8000]));
  expect([changes.at(-1), index.of(one).leadingTo(8000)]).toEqual([true, ['llama']]);
});

describe('200 pods, each with labels of its own, and 5,000 Services cost little', () => {
  const pods = Array.from({ length: 200 }, (_, at) =>
    podOf(`p${at}`, { pod: `${at}`, b: `${at % 17}`, c: `${at % 13}` }),
  );
  const digits = (at: number): Labels => ({
    b: `${at % 17}`,
    c: `${Math.floor(at / 17) % 17}`,
    d: `${Math.floor(at / 289)}`,
  });
  test.each<[string, (at: number) => Labels]>([
    ['one selector', () => ({ app: 'llama' })],
    ['a selector each', (at) => ({ app: 'llama', [`x${at}`]: 'y' })],
    ['selectors of labels that many have', digits],
  ])('with %s', (_what, selector) => {
    const { services, index } = world();
    for (let at = 0; at < 5_000; at++) services.put(service(`s${at}`, selector(at)));
    const ask = (): void => {
      for (const one of pods) index.of(one).names();
    };
    ask();
    let round = 0;
    const ms = cpuMs(() => {
      services.put(service('s0', { ...selector(0), round: `${round++}` }));
      ask();
    });
    // A million questions.
    const oneByOne = cpuMs(() => {
      for (const one of pods) for (const each of services.values()) selects(each, one);
    }, 1);
    expect(ms).toBeLessThan(oneByOne / 3);
    expect(index.of(pods[0]!).names().length).toBeLessThanOrEqual(2 * mostServices);
  });
});
