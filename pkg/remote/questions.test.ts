import { beforeEach, expect, test } from '@jest/globals';
import type { CertificatePurpose, CertificateRequest } from '../wire/index.ts';
import { createQuestions } from './questions.ts';
import type { Questions } from './questions.ts';

let due: Set<CertificatePurpose>;
let sent: string[];
let number: number;
let questions: Questions;
const send = ({ purpose, csr }: CertificateRequest): void => void sent.push(`${purpose} ${csr}`);
beforeEach(() => {
  due = new Set(['identity', 'serving']);
  sent = [];
  number = 0;
  questions = createQuestions({
    request: (purpose) => (due.has(purpose) ? String(++number) : undefined),
    expire: (purpose) => void due.add(purpose),
  });
});
const answer = (purpose: CertificatePurpose): void => {
  due.delete(purpose);
  questions.answered(purpose);
};

test('what is due is asked once, however often there is cause, until it is answered', () => {
  questions.begin(send);
  questions.ask();
  questions.ask();
  expect(sent).toEqual(['identity 1', 'serving 2']);
  answer('identity');
  questions.ask();
  expect(sent).toHaveLength(2);
  // A refusal: it is still due.
  questions.answered('serving');
  questions.ask();
  expect(sent).toEqual(['identity 1', 'serving 2', 'serving 3']);
});

test('a wish for another while one is on its way is a second question after the answer, whatever it was', () => {
  questions.begin(send);
  for (let at = 0; at < 3; at++) questions.renew('serving');
  expect(sent).toHaveLength(2);
  answer('serving');
  expect(sent).toEqual(['identity 1', 'serving 2', 'serving 3']);
  answer('serving');
  expect(sent).toHaveLength(3);
  questions.renew('serving');
  expect(sent).toHaveLength(4);
});

test('a new connection begins anew; between two nothing is asked', () => {
  questions.begin(send);
  questions.renew('serving');
  questions.end();
  questions.ask();
  questions.renew('identity');
  expect(sent).toHaveLength(2);
  questions.begin(send);
  expect(sent.slice(2)).toEqual(['identity 3', 'serving 4']);
  answer('serving');
  expect(sent).toHaveLength(4);
});
