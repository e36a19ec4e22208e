import { describe, expect, it, test } from '@jest/globals';
import { applyEdits, parseJson } from '../../base/index.ts';
import { recogniseSocket } from '../index.ts';

const most = 5;

/** One connection under a rule that limits output. */
function connection() {
  const route = recogniseSocket('/v1/realtime');
  return {
    /** What goes to the model. */
    asks(event: object): unknown {
      const source = JSON.stringify(event);
      const edits = route.dialect.request(route, parseJson(source)).limitOutput(most);

      return JSON.parse(applyEdits(source, edits));
    },
    /** @returns the model that a handshake with this query names. */
    opens: (query: string) => route.socket?.model(query),
    hears(event: object): void {
      route.dialect.frame(route, undefined, '', parseJson(JSON.stringify(event)));
    },
  };
}

test('a session that was opened to write down what is said becomes no other', () => {
  const { asks, opens } = connection();
  expect(opens('intent=transcription')).toBeUndefined();
  expect(() => asks({ type: 'session.update', session: { type: 'transcription' } })).not.toThrow();
  expect(() => asks({ type: 'transcription_session.update', session: {} })).not.toThrow();
  for (const event of [
    { type: 'session.update', session: { type: 'realtime' } },
    { type: 'session.update', session: { instructions: 'answer me' } },
    { type: 'response.create' },
    { type: 'response.create', response: { instructions: 'answer me' } },
  ])
    expect(() => asks(event)).toThrow(refused('type'));
  const other = connection();
  expect(other.opens('model=gpt-realtime')).toBe('gpt-realtime');
  expect(() => other.asks({ type: 'response.create' })).not.toThrow();
  for (const query of ['intent=transcription&model=a', 'intent=answers', 'intent=', 'call_id=c', ''])
    expect(() => connection().opens(query)).toThrow(refused('query'));
});

const append = { type: 'input_audio_buffer.append', audio: Buffer.alloc(90, 0x9c).toString('base64') };
const commit = { type: 'input_audio_buffer.commit' };
const update = (session: object): object => ({ type: 'session.update', session });
const told = (session: object, type = 'session.updated'): object => ({ type, session });
const refused = (detail: string): unknown => expect.objectContaining({ code: 'invalid_request', detail });

describe('sound, which a session answers by itself', () => {
  const sound = [append, commit];

  test.each<[string, readonly object[]]>([
    ['nothing', []],
    ['what its caller set', [update({ type: 'realtime' })]],
    ['what its caller limited', [update({ max_output_tokens: 3 })]],
    ['a session that its caller calls another kind', [update({ type: 'transcription' })]],
    ['another kind of session, in the older words', [{ type: 'transcription_session.update', session: {} }]],
  ])('waits behind %s', (_, before) => {
    for (const event of sound) {
      const { asks } = connection();
      before.forEach((one) => asks(one));
      expect(() => asks(event)).toThrow(refused('max_output_tokens'));
    }
  });

  test.each<[object, boolean, string]>([
    [{ max_output_tokens: most }, true, 'session.updated'],
    [{ max_response_output_tokens: 1 }, true, 'session.updated'],
    [{ max_output_tokens: most }, true, 'session.created'],
    [{ type: 'transcription' }, true, 'session.updated'],
    [{}, true, 'transcription_session.updated'],
    [{ max_output_tokens: most + 1 }, false, 'session.updated'],
    [{ max_output_tokens: 'inf' }, false, 'session.updated'],
    [{ max_output_tokens: '3' }, false, 'session.updated'],
    [{ max_output_tokens: null }, false, 'session.updated'],
    [{ max_output_tokens: -1 }, false, 'session.updated'],
    [{ max_output_tokens: 3, max_response_output_tokens: 'inf' }, false, 'session.updated'],
    [{ max_output_tokens: 3, max_response_output_tokens: 30 }, false, 'session.updated'],
    [{}, false, 'session.updated'],
    [{ type: 'realtime' }, false, 'session.updated'],
  ])('goes on where the server says %j: %j, in %s', (session, goesOn, type) => {
    const { asks, hears } = connection();
    asks(update({}));
    hears(told(session, type));
    for (const event of sound) {
      if (goesOn) expect(asks(event)).toEqual(event);
      else expect(() => asks(event)).toThrow(refused('max_output_tokens'));
    }
  });

  it('waits again where the server says that there is no limit any more, and an error changes nothing', () => {
    const { asks, hears } = connection();
    hears(told({ max_output_tokens: 3 }));
    hears({ type: 'error', error: { message: 'no such voice' } });
    expect(asks(append)).toEqual(append);
    hears(told({ max_output_tokens: 'inf' }));
    expect(() => asks(append)).toThrow(refused('max_output_tokens'));
  });
});

test.each([
  [{ type: 'transcription', max_output_tokens: 100 }, 'max_output_tokens'],
  [{ type: 'transcription', max_output_tokens: null }, 'max_output_tokens'],
  [{ type: 'transcription', max_response_output_tokens: 'inf' }, 'max_response_output_tokens'],
])('a session that only writes down what is said, and has a limit, is refused: %j', (session, detail) => {
  expect(() => connection().asks(update(session))).toThrow(refused(detail));
});

describe('the limit', () => {
  it('has the name that every server knows, beside the older one', () => {
    const { asks } = connection();
    expect(asks(update({ max_response_output_tokens: 3 }))).toEqual(
      update({ max_output_tokens: most, max_response_output_tokens: 3 }),
    );
    expect(asks({ type: 'response.create', response: { max_response_output_tokens: 9 } })).toEqual({
      type: 'response.create',
      response: { max_output_tokens: most, max_response_output_tokens: most },
    });
  });

  it('has the older name at a server that says it', () => {
    const { asks, hears } = connection();
    hears(told({ max_response_output_tokens: 'inf' }, 'session.created'));
    expect(asks(update({ voice: 'v' }))).toEqual(update({ max_response_output_tokens: most, voice: 'v' }));
    for (const response of [undefined, null, {}, { max_response_output_tokens: null }])
      expect(asks({ type: 'response.create', response })).toEqual({
        type: 'response.create',
        response: { max_response_output_tokens: most },
      });
    expect(asks({ type: 'response.create', response: { max_response_output_tokens: 2 } })).toEqual({
      type: 'response.create',
      response: { max_response_output_tokens: 2 },
    });
  });
});

test('a model whose name has a plus is refused: servers read a space there', () => {
  const { socket } = recogniseSocket('/v1/realtime');
  expect(socket?.model?.('model=gpt%2Bx')).toBe('gpt+x');
  expect(() => socket?.model?.('model=gpt+x')).toThrow(refused('query'));
});

test.each([
  ['root', 'previous_item_id'],
  ['item_1', 'previous_item_id'],
  [null, undefined],
  [undefined, undefined],
])('an item behind %j is placed by %s', (previous_item_id, placedBy) => {
  const route = recogniseSocket('/v1/realtime');
  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] };
  const source = JSON.stringify({ type: 'conversation.item.create', previous_item_id, item });
  expect(route.dialect.request(route, parseJson(source)).placedBy).toBe(placedBy);
});

describe('what a message does to a conversation', () => {
  const changes = (event: object, before: readonly object[] = []): unknown => {
    const route = recogniseSocket('/v1/realtime');
    for (const one of before) route.dialect.frame(route, undefined, '', parseJson(JSON.stringify(one)));
    return route.dialect.request(route, parseJson(JSON.stringify(event))).conversation;
  };
  const remove = { type: 'conversation.item.delete', item_id: 'i1' };

  test('is said of items and of what leads them', () => {
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }] };
    expect(changes({ type: 'conversation.item.create', item })).toEqual({ adds: { id: undefined } });
    expect(changes({ type: 'conversation.item.create', item: { ...item, id: 'i1' } })).toEqual({ adds: { id: 'i1' } });
    expect(changes(update({ instructions: 'be brief' }))).toMatchObject({ leads: { stays: true } });
    expect(changes({ type: 'response.create', response: { instructions: 'be brief' } })).toMatchObject({
      leads: { stays: false },
    });
    for (const event of [append, { type: 'response.create' }, update({ voice: 'v' })])
      expect(changes(event)).toBeUndefined();
    expect(() => changes({ type: 'conversation.item.delete' })).toThrow(refused('item_id'));
  });

  test.each<[string, readonly object[], boolean]>([
    ['nobody', [], true],
    [
      'the server of its own answer',
      [{ type: 'response.output_item.added', response_id: 'r', item: { id: 'i1' } }],
      false,
    ],
    ['the server of sound', [{ type: 'input_audio_buffer.committed', item_id: 'i1' }], false],
    ['the server of a text', [{ type: 'conversation.item.added', item: { id: 'i1', role: 'user' } }], true],
    // A caller may make items of that role.
    [
      'the server of what was answered',
      [{ type: 'conversation.item.added', item: { id: 'i1', role: 'assistant' } }],
      true,
    ],
    ['the server of another', [{ type: 'response.output_item.added', response_id: 'r', item: { id: 'i2' } }], true],
  ])('takes out an item that was told by %s', (_who, before, removes) => {
    expect(changes(remove, before)).toEqual(removes ? { removes: 'i1' } : undefined);
  });
});
