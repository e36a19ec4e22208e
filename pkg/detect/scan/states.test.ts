import { readFileSync, readdirSync } from 'node:fs';
import { afterEach, expect, it, jest } from '@jest/globals';
import { StateCache } from '../automaton/state-cache.ts';
import { compileScanner } from '../index.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

/** What is built while prose comes in pieces of five characters: states, and the instructions in their sets. */
function built(detectors: readonly string[], prose: string): { states: number; instructions: number } {
  const sets = new Set<Int32Array>();
  const intern = jest.spyOn(StateCache.prototype, 'intern');
  const view = compileScanner(sketchRules({ label: 't', detectors: [...detectors] }), {
    hashKey: new Uint8Array(32),
  }).view(sketchView('r'));
  const lane = view.open('text');
  for (let at = 0; at < prose.length; at += 5) {
    lane.push(prose.slice(at, at + 5));
    lane.take(lane.decided);
  }
  lane.end('complete');
  intern.mock.contexts.forEach((cache, call) => {
    const { type, value } = intern.mock.results[call] ?? {};
    // Nothing is emptied in so short a text.
    if (type === 'return') sets.add((cache as StateCache<unknown>).get(value as number).set);
  });
  intern.mockRestore();
  return { states: sets.size, instructions: [...sets].reduce((sum, { length }) => sum + length, 0) };
}

it('builds next to nothing for a quarter of a million characters that it has read before', () => {
  const docs = new URL('../../../docs/', import.meta.url);
  const prose = readdirSync(docs)
    .filter((name) => name.endsWith('.md'))
    .map((name) => readFileSync(new URL(name, docs), 'utf8'))
    .join('\n')
    .replace(/[^\x00-\x7f]/g, ' ')
    .slice(0, 250_000);
  const view = compileScanner(sketchRules({ label: 't', detectors: ['Pii', 'Secrets'] }), {
    hashKey: new Uint8Array(32),
  }).view(sketchView('r'));
  const read = (): void => {
    for (let at = 0; at < prose.length; at += 1000) view.mask(prose.slice(at, at + 1000), 'prose', 'complete');
  };
  read();
  const intern = jest.spyOn(StateCache.prototype, 'intern');
  read();
  // Each is a state that was looked for, since no table had it.
  expect(intern.mock.calls.length).toBeLessThan(prose.length / 1000);
});

it('costs little more to look for secrets of two hundred vendors than for those of a few', () => {
  const prose = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8').slice(0, 4000);
  const few = built(['Pii', 'Jwt', 'PrivateKey', 'AwsKey', 'GitHubToken', 'GenericApiKey'], prose);
  const all = built(['Pii', 'Secrets'], prose);
  expect(all.states).toBeLessThan(1.5 * few.states);
  expect(all.instructions).toBeLessThan(2 * few.instructions);
  // Of thousands.
  expect(all.instructions / all.states).toBeLessThan(150);
});
