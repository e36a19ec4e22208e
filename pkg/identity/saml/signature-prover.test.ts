import { afterEach, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { createSignatureProver } from './signature-prover.ts';
import type { SignatureProver } from './signature-prover.ts';

/** A thread that does this with each question. */
const thread = (act: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'; parentPort.on('message', (question) => { ${act} });`)}`,
  );

const clock = fakeClock();
let prover: SignatureProver | undefined;
afterEach(() => prover?.close());

const outcome = (asked: Promise<string>): Promise<unknown> =>
  asked.catch((error: unknown) => (error as { readonly code?: string }).code);

test('answers each question with its own answer', async () => {
  prover = createSignatureProver(
    thread(`const { id, response } = question;
      parentPort.postMessage(response === 'bad' ? { id, why: 'no' } : { id, text: response + question.keys + question.responseSigned });`),
    clock,
  );
  const all = ['a', 'bad', 'b'].map((response) => outcome(prover?.prove(response, ['k'], true) ?? Promise.reject()));
  expect(await Promise.all(all)).toEqual(['aktrue', 'signature', 'bktrue']);
});

test('a thread that ends proves nothing, and the next question has another', async () => {
  prover = createSignatureProver(
    thread(`if (question.response === 'kill') process.exit(1);
      if (question.response === 'throw') throw new Error('broken');
      parentPort.postMessage({ id: question.id, text: 'signed' });`),
    clock,
  );
  for (const how of ['kill', 'throw']) {
    expect(await outcome(prover.prove(how, [], false))).toBe('ended');
    expect(await outcome(prover.prove('x', [], false))).toBe('signed');
  }
});

test('one that takes too long is ended, with all that wait for it', async () => {
  prover = createSignatureProver(
    thread(`while (question.response === 'hang');
      parentPort.postMessage({ id: question.id, text: 'signed' });`),
    clock,
  );
  const [hanging, behind] = ['hang', 'x'].map((response) =>
    outcome(prover?.prove(response, [], false) ?? Promise.reject()),
  );
  clock.advance(9_999);
  clock.advance(1);
  expect([await hanging, await behind]).toEqual(['ended', 'ended']);
  expect(await outcome(prover.prove('x', [], false))).toBe('signed');
});

test('so many wait and no more; closed, none does', async () => {
  prover = createSignatureProver(thread(''), clock);
  let over = 0;
  const waiting = Array.from({ length: 20 }, () =>
    outcome(prover?.prove('x', [], false) ?? Promise.reject()).then((code) => {
      over++;
      return code;
    }),
  );
  expect(await outcome(prover.prove('x', [], false))).toBe('busy');
  expect(over).toBe(0);
  prover.close();
  await until(() => over === 20);
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ended']));
});
