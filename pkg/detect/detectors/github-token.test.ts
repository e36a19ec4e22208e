import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { githubToken } from './github-token.ts';

const rest = 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5';

describe('GitHubToken', () => {
  test.each(['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'])('finds a token that begins with %s', (prefix) => {
    const token = prefix + rest;
    expect(found(githubToken, token)).toEqual([token]);
    expect(found(githubToken, `https://x:${token}@github.com/a/b.git`)).toEqual([token]);
    expect(found(githubToken, `GH_TOKEN=${token}; echo`)).toEqual([token]);
  });

  test('finds a fine-grained token and one of a length to come', () => {
    const token = `github_pat_11ABCDEFG0aBcDeFgHiJkL_${'m'.repeat(59)}`;
    expect(found(githubToken, `"${token}"`)).toEqual([token]);
    expect(found(githubToken, `ghs_${'a1'.repeat(300)} `)).toEqual([`ghs_${'a1'.repeat(300)}`]);
  });

  test.each([
    ['a prefix alone', 'tokens begin with ghp_ or github_pat_'],
    ['a filler', 'ghp_xxxx'],
    ['another letter', `ghx_${rest}`],
    ['a hyphen', `ghp-${rest}`],
    ['a name in code', 'ghp_token_name'],
    ['a path', 'github.com/owner/repository'],
  ])('leaves %s', (_what, text) => {
    expect(found(githubToken, text)).toEqual([]);
  });

  test('finds any token of the alphabet, whatever is glued before it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('ghp_', 'gho_', 'ghs_', 'github_pat_'),
        fc.stringMatching(/^[A-Za-z0-9]{16,80}$/),
        fc.constantFrom('', 'x', '=', '1', ':'),
        (prefix, body, before) => {
          expect(found(githubToken, `${before}${prefix}${body}.`)).toEqual([prefix + body]);
        },
      ),
      { numRuns: 100 },
    );
  });
});
