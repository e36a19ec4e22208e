import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader, WebSocketFault } from './frame-reader.ts';
import { closeFrame, frame } from './frame-writer.ts';

interface Heard {
  readonly events: unknown[];
  readonly fault: number | undefined;
}

/** What a reader says of these bytes, in these chunks. */
function read(chunks: readonly Buffer[], masked: boolean, maxMessageBytes = 1_000_000): Heard {
  const events: unknown[] = [];
  let payload: Buffer[] = [];
  let length = 0;
  const reader = new FrameReader(
    { masked, maxMessageBytes },
    {
      begin: (_first, bytes) => (length = bytes),
      bytes: (piece) => payload.push(Buffer.from(piece)),
      done(first) {
        const whole = Buffer.concat(payload);
        expect(whole.length).toBe(length);
        events.push([first, whole.toString('latin1')]);
        payload = [];
      },
      ping: (one) => events.push(['ping', one.toString('latin1')]),
      pong: (one) => events.push(['pong', one.toString('latin1')]),
      close: (code, reason) => events.push(['close', code, reason]),
    },
  );
  try {
    for (const chunk of chunks) reader.push(Buffer.from(chunk));
  } catch (error) {
    if (!(error instanceof WebSocketFault)) throw error;
    return { events, fault: error.code };
  }
  return { events, fault: undefined };
}

const text = (value: string): Buffer => Buffer.from(value);

/** A conversation with fragments, control frames between them, and every length of length. */
const conversation = (masked: boolean): Buffer =>
  Buffer.concat([
    frame(0x81, text('whole'), masked),
    frame(0x01, text('be'), masked),
    frame(0x89, text('are you there'), masked),
    frame(0x00, text(''), masked),
    frame(0x8a, text('yes'), masked),
    frame(0x80, text('gun'), masked),
    frame(0x82, Buffer.from([0, 255, 128]), masked),
    frame(0x81, text('x'.repeat(125)), masked),
    frame(0x81, text('y'.repeat(126)), masked),
    closeFrame(4_001, 'enough é', masked),
  ]);

test.each([true, false])('the same is heard at every cut, and byte by byte (masked: %s)', (masked) => {
  const bytes = conversation(masked);
  const whole = read([bytes], masked);
  expect(whole).toEqual({
    events: [
      [0x81, 'whole'],
      [0x01, 'be'],
      ['ping', 'are you there'],
      [0x00, ''],
      ['pong', 'yes'],
      [0x80, 'gun'],
      [0x82, '\0\u00ff\u0080'],
      [0x81, 'x'.repeat(125)],
      [0x81, 'y'.repeat(126)],
      ['close', 4_001, 'enough é'],
    ],
    fault: undefined,
  });
  for (let cut = 0; cut <= bytes.length; cut++)
    expect(read([bytes.subarray(0, cut), bytes.subarray(cut)], masked)).toEqual(whole);
  expect(
    read(
      Array.from(bytes, (byte) => Buffer.of(byte)),
      masked,
    ),
  ).toEqual(whole);
});

test('lengths of 16 and 64 bits', () => {
  for (const size of [65_535, 65_536, 70_000])
    expect(read([frame(0x82, Buffer.alloc(size, 7), true)], true).events).toEqual([[0x82, '\u0007'.repeat(size)]]);
});

const masked = (bytes: readonly number[]): Buffer =>
  Buffer.from([bytes[0] ?? 0, (bytes[1] ?? 0) | 0x80, ...bytes.slice(2), 0, 0, 0, 0]);

test.each([
  ['a reserved bit', masked([0xc1, 0]), 1002],
  ['an unknown opcode', masked([0x83, 0]), 1002],
  ['an unknown control frame', masked([0x8b, 0]), 1002],
  ['a control frame in pieces', masked([0x09, 0]), 1002],
  ['a control frame of 126 bytes', masked([0x89, 126, 0, 126]), 1002],
  ['the rest of no message', masked([0x80, 0]), 1002],
  ['a message within a message', Buffer.concat([frame(0x01, text('a'), true), frame(0x81, text('b'), true)]), 1002],
  ['a length that could be shorter (16 bits)', masked([0x81, 126, 0, 125]), 1002],
  ['a length that could be shorter (64 bits)', masked([0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255]), 1002],
  ['a length of 64 bits whose first is set', masked([0x81, 127, 128, 0, 0, 0, 0, 0, 0, 0]), 1002],
  ['a length beyond all bounds', masked([0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0]), 1009],
  ['no mask', frame(0x81, text('a'), false), 1002],
  ['a close code of one byte', frame(0x88, Buffer.of(3), true), 1002],
  ['a close code that is never sent', frame(0x88, Buffer.from([0x03, 0xed]), true), 1002],
  ['a close code below all', frame(0x88, Buffer.from([0x00, 0x01]), true), 1002],
  ['a reason that is not UTF-8', frame(0x88, Buffer.from([0x03, 0xe8, 0xff]), true), 1007],
])('%s is refused', (_what, bytes, code) => {
  expect(read([bytes], true)).toMatchObject({ fault: code });
  expect(
    read(
      Array.from(bytes, (byte) => Buffer.of(byte)),
      true,
    ),
  ).toMatchObject({ fault: code });
});

test('what a server sends is not masked', () => {
  expect(read([frame(0x81, text('a'), true)], false)).toEqual({ events: [], fault: 1002 });
});

test('a message is as long as it may be, in one frame or in many, and has no frames without end', () => {
  const halves = [frame(0x01, Buffer.alloc(6), true), frame(0x80, Buffer.alloc(5), true)];
  expect(read(halves, true, 11).fault).toBeUndefined();
  expect(read(halves, true, 10)).toMatchObject({ fault: 1009 });
  expect(read([frame(0x82, Buffer.alloc(11), true)], true, 10)).toEqual({ events: [], fault: 1009 });
  const empty = [
    frame(0x01, Buffer.alloc(0), true),
    ...Array.from({ length: 5_000 }, () => frame(0x00, Buffer.alloc(0), true)),
  ];
  expect(read(empty, true)).toMatchObject({ fault: 1009 });
});

test('nothing is read behind a close frame', () => {
  const bytes = Buffer.concat([closeFrame(undefined, '', true), frame(0x81, text('more'), true), Buffer.of(255)]);
  expect(read([bytes], true)).toEqual({ events: [['close', undefined, '']], fault: undefined });
});

test('a reason that is too long is cut between two letters', () => {
  for (const letter of ['a', 'é', '€', '😀']) {
    const { events } = read([closeFrame(1000, letter.repeat(130), false)], false);
    const [, , reason] = events[0] as [string, number, string];
    expect(letter.repeat(130).startsWith(reason)).toBe(true);
    expect(Buffer.byteLength(reason)).toBeGreaterThan(123 - 4);
  }
});

test('what is written is read, whatever the cuts', () => {
  const message = fc.tuple(fc.constantFrom(0x81, 0x82), fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.nat({ max: 60 })),
      fc.boolean(),
      (all, sizes, masks) => {
        const bytes = Buffer.concat(all.map(([first, payload]) => frame(first, payload, masks)));
        let from = 0;
        const chunks = sizes.map((size) => bytes.subarray(from, (from += size)));
        expect(read([...chunks, bytes.subarray(from)], masks)).toEqual({
          events: all.map(([first, payload]) => [first, Buffer.from(payload).toString('latin1')]),
          fault: undefined,
        });
      },
    ),
  );
});
