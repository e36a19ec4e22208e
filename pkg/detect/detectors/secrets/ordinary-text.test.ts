import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { cpuMs } from '../../../../test/support/cost.ts';
import { compileScanner } from '../../index.ts';
import { randomNumbers } from '../../testing/token-samples.ts';
import { sketchRules, sketchView } from '../../testing/rules.ts';

const scanner = compileScanner(sketchRules({ label: 's', detectors: ['VendorToken', 'Credential', 'PrivateKey'] }), {
  hashKey: new Uint8Array(32),
});
const view = scanner.view(sketchView('n'));
const found = (text: string): string[] =>
  view.mask(text, 'text', 'complete').hits.map(({ by, start, end }) => `${by}: ${text.slice(start - 20, end)}`);

const root = new URL('../../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !/\.test\.|testing\//.test(name))
    .map((name) => `${folder}/${name}`);

const random = randomNumbers(11);
const draw = (alphabet: string, length: number): string =>
  Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
const hex = '0123456789abcdef';
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const uuid = (): string => [8, 4, 4, 4, 12].map((length) => draw(hex, length)).join('-');

describe('secrets in ordinary text', () => {
  test.each([
    ['hashes of a lock file', () => read('package-lock.json')],
    ['documentation', () => filesOf('docs', '.md').map(read).join('\n')],
    ['the chart', () => filesOf('charts', '.yaml').map(read).join('\n')],
    ['the proxy’s sources', () => filesOf('pkg/proxy', '.ts').map(read).join('\n')],
    [
      'records with hashes and UUIDs',
      () =>
        Array.from(
          { length: 3_000 },
          () =>
            `{"id":"${uuid()}","sha256":"${draw(hex, 64)}","trace_id":"${draw(hex, 32)}","etag":"\\"${draw(hex, 32)}\\"","revision":"${draw(hex, 40)}"}`,
        ).join('\n'),
    ],
    [
      'pictures in base64',
      () => Array.from({ length: 20 }, () => `data:image/png;base64,${draw(base64, 30_000)}`).join('\n'),
    ],
    [
      'minified code',
      () =>
        Array.from(
          { length: 5_000 },
          (_, at) =>
            `function ${draw('abcdefgh', 2)}(t,e){return t.token===e.key?${at}:"${draw('abcdefghijklmnop', 8)}"};a.${draw('xyzabc', 3)}={type:"password",name:"token",auth:!0};`,
        ).join(''),
    ],
  ])('are not found in %s: at most one false alarm in a million characters', (_what, make) => {
    const text = make();
    const alarms = found(text);
    expect(text.length).toBeGreaterThan(100_000);
    if (alarms.length > text.length / 1e6) expect(alarms).toEqual([]);
  });

  test.each([
    ['openers of tokens', 'sk-proj-ghp_AIza'],
    ['tokens', `glpat-${draw(base64.slice(0, 62), 20)} `],
    ['assignments', 'password="'],
    ['values', 'token=a1b2c3d4;'],
    ['addresses', '://a:b@c'],
    ['letters', 'aaaaaaaa'],
    ['names of vendors', 'datadog = sentry : '],
  ])('cost in proportion to the text of repeated %s', (_what, piece) => {
    const text = piece.repeat(Math.ceil(100_000 / piece.length));
    found(text);
    const once = cpuMs(() => found(text), 5);
    expect(cpuMs(() => found(text + text), 5)).toBeLessThan(3 * once + 20);
  });
});
