import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createRefusedQuestions } from './refused-questions.ts';

const notAllowed = { status: 403, code: 'not_allowed' };
const bad = { status: 400, code: 'bad_question' };

test('the first of a minute is written as it is asked, and the others of the same account are counted', () => {
  const clock = fakeClock();
  const written: [string, string][] = [];
  const refused = createRefusedQuestions(clock, (who, question) => void written.push([who, question]));
  refused.note('eve', true, 'GET /v1/log', notAllowed);
  expect(written).toEqual([['eve', '403 not_allowed: GET /v1/log']]);
  for (let n = 0; n < 40; n++) refused.note('eve', true, 'GET /v1/log', notAllowed);
  refused.note('eve', true, 'GET /v1/log?x', bad);
  refused.note('bob', true, 'GET /v1/holds', notAllowed);
  clock.advance(60_000);
  expect(written.slice(1)).toEqual([
    ['bob', '403 not_allowed: GET /v1/holds'],
    ['eve', 'and 41 more within a minute: not_allowed 40, bad_question 1'],
  ]);
  expect(clock.pending).toBe(0);
  refused.note('eve', true, 'GET /v1/log', notAllowed);
  refused.note('eve', true, 'GET /v1/log', notAllowed);
  refused.flush();
  expect(written.slice(3)).toEqual([
    ['eve', '403 not_allowed: GET /v1/log'],
    ['eve', 'and 1 more within a minute: not_allowed 1'],
  ]);
  expect(clock.pending).toBe(0);
});

test('a flood that goes on for a day writes little in sum, from however many addresses and accounts', () => {
  const clock = fakeClock();
  const written: string[] = [];
  const refused = createRefusedQuestions(clock, (who) => void written.push(who));
  const minutes = 24 * 60;
  for (let minute = 0; minute < minutes; minute++) {
    for (let n = 0; n < 30; n++) refused.note(`10.0.0.${n}`, false, 'GET /', { status: 401, code: 'x' });
    for (let n = 0; n < 30; n++) refused.note(`10.0.0.${n}`, false, 'GET /', { status: 401, code: 'x' });
    for (let n = 0; n < 120; n++) refused.note(`user ${n}`, true, 'GET /', notAllowed);
    clock.advance(60_000);
  }
  const strangers = written.filter((who) => !who.startsWith('user') && who !== 'other accounts').length;
  expect(strangers).toBeLessThanOrEqual(4 * minutes + 40);
  expect(written.length - strangers).toBeLessThanOrEqual(12 * minutes + 100);
});

test('a flood writes a bounded number of entries, and strangers take no place of accounts', () => {
  const clock = fakeClock();
  const written: string[] = [];
  const refused = createRefusedQuestions(clock, (who, question) => void written.push(`${who}: ${question}`));
  for (let n = 0; n < 20_000; n++)
    refused.note(`10.0.${n >> 8}.${n & 255}`, false, 'GET /', { status: 401, code: 'x' });
  for (let n = 0; n < 20_000; n++) refused.note(`user ${n}`, true, 'GET /', notAllowed);
  expect(written).toHaveLength(20 + 1 + 100 + 1);
  clock.advance(60_000);
  expect(written.slice(122)).toEqual([
    `other accounts: and ${20_000 - 101} more within a minute: not_allowed ${20_000 - 101}`,
    `other addresses: and ${20_000 - 21} more within a minute: x ${20_000 - 21}`,
  ]);
});
