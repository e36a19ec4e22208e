import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { drawShape, randomNumbers, sampleTokens, sampleTold } from '../../testing/token-samples.ts';
import { compileScanner } from '../../index.ts';
import { sketchRules, sketchView } from '../../testing/rules.ts';
import { saidOf } from '../brute-force.ts';
import { endless, long, marked, prefixed, toldKinds } from './token-kinds.ts';
import { vendorToken } from './vendor-token.ts';

const scanner = compileScanner(sketchRules({ label: 't', detectors: ['VendorToken'] }), {
  hashKey: new Uint8Array(32),
});
const view = scanner.view(sketchView('r'));
const mask = (text: string): string => view.mask(text, 'text', 'complete').text;

const share = (all: readonly boolean[]): number => all.filter(Boolean).length / all.length;

const drawn = 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1';
const check = checkOf(drawn);

function checkOf(text: string): string {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let sum = crc32(text);
  let digits = '';
  for (; digits.length < 6; sum = Math.floor(sum / 62)) digits = (alphabet[sum % 62] ?? '') + digits;
  return digits;
}

describe('VendorToken', () => {
  test('knows more than two hundred kinds, each by a name of its own', () => {
    const kinds = [...prefixed, ...marked].map((one) => one.kind);
    expect(new Set(kinds).size).toBe(kinds.length);
    expect(new Set([...kinds, ...[...endless, ...long, ...toldKinds].map((one) => one.kind)]).size).toBeGreaterThan(
      200,
    );
  });

  const contexts: readonly (readonly [string, (token: string) => string])[] = [
    ['alone', (token) => token],
    ['in a sentence', (token) => `Use ${token}, please.`],
    ['in quotes', (token) => `const key = "${token}";`],
    ['in JSON in a string', (token) => `{\\"key\\":\\"${token}\\"}`],
    ['behind an escaped line break', (token) => `"a\\n${token}\\nb"`],
    ['in code marks', (token) => `\`${token}\``],
    ['in an environment file', (token) => `X=${token}\nY=1`],
    ['in brackets', (token) => `(${token})`],
    ['in tags', (token) => `<a>${token}</a>`],
  ];

  test.each(contexts)('covers exactly the token %s', (where, write) => {
    // A third of all, another one in each context.
    const part = contexts.findIndex(([name]) => name === where) % 3;
    const tokens = sampleTokens(1).filter((_, at) => at % 3 === part);
    const missed = tokens.filter(
      ({ token, covered }) => mask(write(token)) !== write(token.replace(covered, () => '[t]')),
    );
    // A drawn value may lack a digit, or hold a filler.
    expect(missed.length).toBeLessThanOrEqual(1);
  });

  test('finds a token that is longer than its vendor’s are known to be', () => {
    const random = randomNumbers(3);
    const missed = [...prefixed, ...long].flatMap(({ prefixes, body }) =>
      prefixes.flatMap((prefix) => {
        const [, name = '', most = ''] = /(?:^| )([a-z])\d+-(\d+)$/.exec(body) ?? [];
        if (name === '') return [];
        const longest = body.replaceAll(/\d+-(\d+)/g, '$1');
        const token = `${prefix}${drawShape(longest, random)}${drawShape(`${name}50`, random)}`;
        const masked = mask(`${token} and`);
        return masked.includes(token.slice(prefix.length, prefix.length + Number(most))) ? [token] : [];
      }),
    );
    expect(missed.length).toBeLessThanOrEqual(1);
  });

  test('covers tokens of a thousand characters to their end', () => {
    const random = randomNumbers(4);
    for (const { prefixes } of long)
      for (const prefix of prefixes) expect(mask(`${prefix}${drawShape('w1000', random)} x`)).toBe('[t] x');
  });

  test.each([
    ['before sk-ant-api03-', `x[sk-ant-api03-${'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1'.repeat(3)}]`],
    ['before glpat-', `Key[glpat-${'aB3dE5gH7jK9mN1pQ3sT'}]`],
    ['behind sntryu_', `[sntryu_${'0a1b2c3d4e5f6789'.repeat(4)}z]`],
    ['behind glsa_', `[glsa_${'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE'}_0a1B2c3Dz]`],
  ])('finds a token with a letter glued to it %s', (_where, marks) => {
    expect(mask(marks.replace(/[[\]]/g, ''))).toBe(marks.replace(/\[.*\]/, '[t]'));
  });

  test('finds a token behind letters by its checksum, where its prefix is short', () => {
    expect(mask(`Keynpm_${drawn}${check}`)).toBe('Key[t]');
  });

  test('says how certain it is: by a checksum, by a prefix, by a name', () => {
    expect(saidOf(vendorToken, `ghp_${drawn}${check}`)).toBe('Certain CheckDigits');
    expect(saidOf(vendorToken, `npm_${drawn}aaaaaa`)).toBe('Likely Format');
    expect(saidOf(vendorToken, `glpat-${drawn.slice(0, 20)}`)).toBe('Certain Prefix');
    expect(saidOf(vendorToken, `datadog=${'0a1b2c3d4e5f6789'.repeat(2)}`)).toBe('Likely TellingWord');
  });

  test('finds tokens that were drawn anew', () => {
    const tokens = sampleTokens(2);
    expect(
      share(tokens.map(({ token, covered }) => mask(token) === token.replace(covered, () => '[t]'))),
    ).toBeGreaterThan(0.985);
  });

  test.each([
    [
      'an environment file',
      (name: string, value: string) => `${name.toUpperCase().replaceAll(' ', '_')}_APP=${value}\n`,
    ],
    ['JSON', (name: string, value: string) => `{"${name.replaceAll(' ', '')}": "${value}"}`],
    ['YAML', (name: string, value: string) => `  ${name.replaceAll(' ', '-')}-app: ${value}\n`],
    ['code', (name: string, value: string) => `const ${name.replaceAll(' ', '_')}App = '${value}';`],
    ['a call', (name: string, value: string) => `new Client("${name.replaceAll(' ', '')}", "${value}")`],
  ])('covers exactly the value that a vendor’s name tells of in %s', (_where, write) => {
    const all = sampleTold(5).map(({ name, value }) => mask(write(name, value)) === write(name, '[t]'));
    expect(share(all)).toBeGreaterThan(0.97);
  });

  test.each([
    ['a prefix alone', 'keys begin with ghp_, sk- or xoxb-'],
    ['a filler', `ghp_${'x'.repeat(36)} glpat-your-token-goes-here AIza${'0'.repeat(35)}`],
    ['an example', `sk-ant-api03-${'example'.repeat(14)}`],
    [
      'words behind a prefix that is one',
      'sk-learn-pipelines-and-more, pa-ternal-instincts-of-the-common-brown-bear-1',
    ],
    ['what a word leads to', `task_${'ghp_'}aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5`.replace('task_', 'task')],
    ['a body that is too short', `glpat-${'aB3dE5gH7j'}`],
    [
      'a hash behind a vendor’s name',
      `sentry-trace: ${'0123456789abcdef'.repeat(2)}, "datadog_commit": "${'0a1b2c3d'.repeat(5)}"`,
    ],
    ['a digest of an image', `docker pull datadog/agent@sha256:${'0a1b2c3d'.repeat(8)}`],
    ['talk of a vendor', 'Stripe and Datadog: both raised their prices in the third quarter of 2024'],
  ])('leaves %s', (_what, text) => {
    expect(mask(text)).toBe(text);
  });
});
