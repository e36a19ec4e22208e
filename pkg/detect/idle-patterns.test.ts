import { expect, test } from '@jest/globals';
import { guard, label, match, policy } from '../core/testing/policies.ts';
import { carriedOut } from './carried-out.ts';
import { idlePatterns } from './idle-patterns.ts';

const patterns = (...all: string[]) => all.map((pattern) => ({ pattern, maxLength: 256 }));

test.each(['$', '\\b', '(?i)^$', '(?:)', '()*', '(?m:^|$)+', 'x{0}'])(
  '%s finds nothing, and whoever stores it is told',
  (pattern) => {
    const idle = policy('p', {
      guards: [guard('g', { match: { ...match('Email'), patterns: patterns('a', pattern) } })],
    });
    const [notice, ...others] = idlePatterns(idle);
    expect(notice).toMatchObject({ policy: 'p', field: 'guards[g].match' });
    expect(notice?.message).toContain(`pattern ${pattern} never finds anything`);
    expect(others).toEqual([]);
    expect(carriedOut(idle)).toMatchObject({ kind: 'can', notices: expect.arrayContaining([notice]) });
  },
);

test('of a label, too', () => {
  const idle = policy('p', { classification: [label('secret', { match: { ...match(), patterns: patterns('\\B') } })] });
  expect(idlePatterns(idle)).toMatchObject([{ field: 'classification[secret]' }]);
});

test.each(['a*', 'a|$', '^.', '(?:b?)*', '\\bx', '(broken'])('nothing is said of %s', (pattern) => {
  const spec = { guards: [guard('g', { match: { ...match(), patterns: patterns(pattern) } })] };
  expect(idlePatterns(policy('p', spec))).toEqual([]);
});
