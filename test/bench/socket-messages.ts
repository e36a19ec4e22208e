/** What the WebSockets of the bench carry. */

/** Of a route that the policy describes: 60 bytes. */
export const echoPath = '/ws/echo';
export const echoed = JSON.stringify({ say: 'good day, and how is the weather up there' });

export const answerPath = '/v1/realtime?model=bench';
export const question = JSON.stringify({
  type: 'response.create',
  response: { instructions: 'tell me of the weather' },
});

/** Pieces of an answer. */
const pieces = 20;

/** The model's answer to a question, of this number. */
export function answerTo(number: number): string[] {
  const its = { response_id: `resp_${number}`, output_index: 0, content_index: 0, item_id: `item_${number}` };
  const events = Array.from({ length: pieces }, (_, at) =>
    JSON.stringify({
      type: 'response.output_text.delta',
      event_id: `event_${number}`,
      ...its,
      delta: ` word${at % 7}`,
    }),
  );
  const usage = { total_tokens: 30, input_tokens: 10, output_tokens: 20 };
  const response = { object: 'realtime.response', id: its.response_id, status: 'completed', output: [], usage };
  return [...events, JSON.stringify({ type: 'response.done', event_id: `event_${number}`, response })];
}
