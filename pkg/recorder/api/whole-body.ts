import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { Refusal } from './question.ts';

/** A question is some hundred bytes: who needs longer for it keeps others waiting. */
const bodyMs = 5_000;

/**
 * The body of a request, which has 5 s to come.
 *
 * @param most Bytes.
 * @throws Refusal
 */
export async function wholeBody(
  request: IncomingMessage,
  response: ServerResponse,
  { most, clock }: { readonly most: number; readonly clock: Clock },
): Promise<string> {
  const late = Promise.withResolvers<never>();
  const timer = clock.after(bodyMs, () => {
    // The rest of it may come at any time.
    response.shouldKeepAlive = false;
    late.reject(new Refusal(408, 'bad_question', 'the question did not come within 5 s'));
  });
  const read = readBody(request, most).catch(() => {
    throw new Refusal(400, 'bad_question', 'the question did not come whole');
  });
  try {
    const text = await Promise.race([read, late.promise]);
    if (text === undefined) throw new Refusal(413, 'bad_question', 'the question is too long');
    return text;
  } finally {
    timer.cancel();
    read.catch(() => undefined);
  }
}
