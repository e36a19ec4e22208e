import { expect, test } from '@jest/globals';
import { StepNumbers, keysLane, mostNumbers } from './strange-keys.ts';

const digest = (number: number): string => `{${number.toString(16).padStart(16, '0')}}`;

test('keys are numbered as they come, the same again, and beyond a bound they have one name', () => {
  const steps = new StepNumbers();
  expect(steps.name(`a.${digest(7)}.b.${digest(9)}`)).toBe('a.{1}.b.{2}');
  expect(steps.text(keysLane, `${digest(9)} "x"\n`)).toBe('{2} "x"\n');
  for (let key = 100; key < 98 + mostNumbers; key++) steps.name(digest(key));
  expect(steps.name(digest(97 + mostNumbers))).toBe(`{${String(mostNumbers)}}`);
  expect(steps.name(`a.${digest(98 + mostNumbers)}`)).toBe('a.{…}');
  expect(steps.text(keysLane, `${digest(99 + mostNumbers)} "y"\n`)).toBe('{…} "y"\n');
  expect(steps.name(digest(7))).toBe('{1}');
});
