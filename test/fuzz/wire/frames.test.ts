import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jsonValue, parseJson } from '../../../pkg/base/index.ts';
import type { JsonNode } from '../../../pkg/base/index.ts';
import {
  WireError,
  createFrameReader,
  encodeFrame,
  isBehind,
  newest,
  readDownMessage,
  readUpMessage,
} from '../../../pkg/wire/index.ts';
import type { DownMessage, UpMessage } from '../../../pkg/wire/index.ts';

/** Cuts bytes at the given places and feeds the pieces. */
function feed(bytes: Buffer, cuts: readonly number[], maxBytes = 65_536): JsonNode[] {
  const frames: JsonNode[] = [];
  const reader = createFrameReader({ maxBytes, onFrame: (root) => frames.push(root) });
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let at = 0;
  for (const place of [...places, bytes.length]) {
    reader.push(bytes.subarray(at, place));
    at = place;
  }
  return frames;
}

const hash = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const seen = fc.dictionary(fc.constantFrom('inferencepolicies', 'pods', 'services'), fc.nat().map(String), {
  noNullPrototype: false,
});
const up: fc.Arbitrary<UpMessage> = fc.oneof(
  fc.record({ type: fc.constant('ack' as const), hash }),
  fc.record({
    type: fc.constant('nack' as const),
    hash,
    reason: fc.constantFrom('stale' as const, 'invalid' as const),
    message: fc.string({ unit: 'grapheme', maxLength: 100 }).filter((one) => one.isWellFormed()),
  }),
  fc.record({ type: fc.constant('beat' as const) }),
  fc.record({
    type: fc.constant('hello' as const),
    version: fc.integer({ min: 1, max: 9 }),
    pod: fc.constant({ namespace: 'ml', name: 'llama-0', uid: 'u-1' }),
    portMap: fc.constant({ '8000': 17_400 }),
    capture: fc.constantFrom('Redirect' as const, 'NamedPort' as const),
    software: fc.string({ maxLength: 20 }),
    holds: fc.option(hash),
    seen,
    audit: fc.constant(null),
    serving: fc.option(fc.constant(['a.ml.svc'])),
  }),
);

describe('frames', () => {
  test('what is written is read, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(up, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, cuts) => {
        const read = feed(Buffer.concat(messages.map(encodeFrame)), cuts).map(readUpMessage);
        expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(messages)));
      }),
      { numRuns: 400 },
    );
  });

  test('any bytes give messages or a WireError, and never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.array(fc.nat(), { maxLength: 6 }), (bytes, cuts) => {
        try {
          for (const root of feed(Buffer.from(bytes), cuts, 256)) {
            readUpMessage(root);
            readDownMessage(root);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a length that is not taken is refused before a byte of its frame has come', () => {
    fc.assert(
      fc.property(fc.integer({ min: 257, max: 0xffffffff }), (length) => {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(length);
        expect(() => feed(head, [], 256)).toThrow(expect.objectContaining({ code: 'frame_size' }));
      }),
    );
    expect(() => feed(Buffer.alloc(4), [])).toThrow(expect.objectContaining({ code: 'frame_size' }));
  });

  test.each(['{"a":1,"a":2}', '\uFEFF{}', '{"a":1}x', '[', '['.repeat(60) + ']'.repeat(60)])(
    'JSON that could be read in two ways, or that nests without end, is refused (%#)',
    (text) => {
      const body = Buffer.from(text);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length);
      expect(() => feed(Buffer.concat([head, body]), [])).toThrow(expect.objectContaining({ code: 'frame_content' }));
    },
  );

  test('text that is not UTF-8 is refused', () => {
    expect(() => feed(Buffer.from([0, 0, 0, 4, 0x22, 0xc3, 0x28, 0x22]), [])).toThrow(WireError);
  });
});

describe('messages', () => {
  const valid: readonly DownMessage[] = [
    { type: 'welcome', version: 1, heartbeatMs: 15_000, maxAgeMs: 1_800_000 },
    { type: 'confirm', hash: 'a'.repeat(64), seen: { pods: '1' } },
    { type: 'secrets', values: [{ name: 'n', key: 'k', value: 'v' }], missing: [{ name: 'm', key: 'k' }] },
    { type: 'goodbye', reason: 'shutdown', afterMs: 10 },
    { type: 'imported', secretName: 's', material: { certificate: 'c', key: 'k' } },
    {
      type: 'snapshot',
      hash: 'b'.repeat(64),
      sources: [{ kind: 'InferencePolicy', uid: 'u', namespace: 'ml', name: 'p', generation: 1 }],
      policies: [],
      seen: {},
    },
  ];

  test('one field of a wrong kind makes a message no message', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.nat(),
        fc.constantFrom<unknown>(null, 1.5, -1, {}, 'x'.repeat(300_000), [[]], true),
        (message, which, wrong) => {
          const names = Object.keys(message).filter((name) => name !== 'type' && name !== 'afterMs');
          const name = names[which % names.length] ?? '';
          // `null` is a value that these two have.
          fc.pre(!(wrong === null && message.type === 'imported'));
          fc.pre(!(typeof wrong === 'object' && wrong !== null && !Array.isArray(wrong) && name === 'seen'));
          const changed = parseJson(JSON.stringify({ ...message, [name]: wrong }));
          expect(() => readDownMessage(changed)).toThrow(expect.objectContaining({ code: 'message_shape' }));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('keys that mean something to JavaScript are only keys, or none', () => {
    const text = '{"type":"ack","hash":"' + 'a'.repeat(64) + '","__proto__":{"polluted":1}}';
    expect(readUpMessage(parseJson(text))).toEqual({ type: 'ack', hash: 'a'.repeat(64) });
    expect(() => readUpMessage(parseJson('{"type":"__proto__"}'))).toThrow(WireError);
    expect(() => readUpMessage(parseJson('{"type":"constructor"}'))).toThrow(WireError);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(jsonValue(parseJson('{"a":1}'))).toEqual({ a: 1 });
  });
});

describe('versions', () => {
  const versions = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.bigInt({ min: 0n, max: 10n ** 25n }).map(String), {
    noNullPrototype: true,
  });
  test('the newer of two is behind neither, and being behind is what numbers say', () => {
    fc.assert(
      fc.property(versions, versions, (a, b) => {
        const both = newest(a, b);
        expect(isBehind(both, a) || isBehind(both, b)).toBe(false);
        const expected = Object.entries(a).some(
          ([kind, one]) => b[kind] === undefined || BigInt(b[kind]) < BigInt(one),
        );
        expect(isBehind(b, a)).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
