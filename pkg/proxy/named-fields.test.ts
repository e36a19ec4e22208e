import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { compileScanner } from '../detect/index.ts';
import { sketchRules, sketchView } from '../detect/testing/rules.ts';
import { cpuMs } from '../../test/support/cost.ts';
import { namedFieldsOf } from './named-fields.ts';

const view = compileScanner(sketchRules({ fields: ['**.ssn', '$.pin'] }), { hashKey: new Uint8Array(32).fill(1) }).view(
  sketchView('r'),
);

test('tells a value once that a rule names from the body and from what a tool is called with', () => {
  const body = parseJson('{"input":{"ssn":"a","pin":"b"},"pin":"c"}');
  const input = body.get('input');
  if (input === undefined) throw new Error('no input');
  expect(namedFieldsOf(view, body, [input]).map(({ node }) => node.string)).toEqual(['a', 'c', 'b']);
});

test('takes as long for ten times as many as they are', () => {
  const cost = (count: number): number => {
    const body = parseJson(`{"input":[${Array.from({ length: count }, () => '{"ssn":"a"}').join()}]}`);
    const input = body.get('input');
    if (input === undefined) throw new Error('no input');
    return cpuMs(() => namedFieldsOf(view, body, [input]));
  };
  cost(3_000);
  expect(cost(60_000)).toBeLessThan(60 * Math.max(1, cost(6_000)));
});
