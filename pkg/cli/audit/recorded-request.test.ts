import { describe, expect, test } from '@jest/globals';
import { recordedRequest } from './recorded-request.ts';

const start = (request: readonly { readonly lane: string; readonly text: string }[]): string =>
  JSON.stringify({
    type: 'start',
    method: 'POST',
    path: '/v1/chat/completions',
    operation: 'Chat',
    model: 'm',
    request,
  });

describe('a request that is made again from its texts', () => {
  test('has the keys that are on record, and says of what it lacks', () => {
    const keys = '{1} "colour"\n{2} "[secret]"\n{3} "a b"\n{4} "__proto__"\n';
    const { body, notes } = recordedRequest(
      [
        start([
          { lane: '{keys}', text: keys },
          { lane: 'messages[0].content', text: 'hello' },
          { lane: 'metadata.{1}', text: 'green' },
          { lane: 'metadata.{2}', text: 'masked' },
          { lane: 'metadata.{3}', text: 'no name' },
          { lane: 'metadata.{4}', text: 'unsafe' },
          { lane: 'metadata.{5}', text: 'untold' },
        ]),
      ],
      false,
    );
    expect(body).toEqual({ model: 'm', messages: [{ role: 'user', content: 'hello' }], metadata: { colour: 'green' } });
    for (const lane of ['{2}', '{3}', '__proto__', '{5}']) expect(notes).toContain(`metadata.${lane} cannot be sent`);
    expect(notes.join()).not.toContain('keys');
  });
});
