import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ScanRule } from '../core/index.ts';
import { compileScanner } from '../detect/index.ts';
import { recognise, sse } from '../dialect/index.ts';
import { StreamAnswer, goesOn } from './answer-stream.ts';
import { CleanTexts } from './clean-texts.ts';
import { Departure } from './departure.ts';
import type { ResponseViews } from './runtime.ts';

const route = recognise('POST', '/v1/chat/completions');

const rule = (index: number, match: Partial<ScanRule['match']>): ScanRule => ({
  index,
  id: `test/rule-${index}`,
  label: `label-${index}`,
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: [], patterns: [], words: [], ...match },
  fields: [],
  replacement: { style: 'Label' },
});
const scanner = compileScanner([rule(0, { detectors: ['Email', 'CreditCard'] }), rule(1, { words: ['stop here'] })], {
  hashKey: new Uint8Array(32),
});
const set = (...rules: number[]): Uint8Array => Uint8Array.from([0, 1], (at) => (rules.includes(at) ? 1 : 0));

/** Rule 0 is masked for caller and record; with `stopping`, rule 1 ends the answer, and the record is read apart. */
function views(stopping: boolean): ResponseViews {
  const act = scanner.view({ replace: set(0), stop: stopping ? set(1) : set(), note: set() });
  const record = scanner.view({ replace: set(0), stop: set(), note: set() });
  const pair = scanner.pair(act, record);
  const common = { sealed: undefined, hiding: set(0, 1), guarded: true, same: !stopping };
  return {
    act,
    record,
    pair,
    clean: new CleanTexts(),
    cleanRecord: new CleanTexts(),
    cleanReadings: new CleanTexts(),
    ...common,
  };
}

interface Outcome {
  /** What left, read by read. */
  readonly left: readonly string[];
  /** Segments, read by read. */
  readonly segments: readonly (readonly (readonly [lane: string, text: string])[])[];
  readonly hits: number;
  readonly bytes: number;
  readonly error: unknown;
}

function run(reads: readonly (string | Buffer)[], stopping = false): Outcome {
  const departure = new Departure();
  const left: string[] = [];
  const segments: [string, string][][] = [];
  let hits = 0;
  const stream = new StreamAnswer(
    {
      route,
      framing: sse,
      views: views(stopping),
      stops: false,
      dropUsage: false,
      observes: false,
      onHits: (some) => (hits += some.length),
    },
    departure,
  );
  const take = (): void => {
    const some: [string, string][] = [];
    left.push(departure.take((lane, text) => some.push([lane, text])));
    segments.push(some);
  };
  try {
    for (const read of reads) {
      stream.data(typeof read === 'string' ? Buffer.from(read) : read);
      take();
    }
    stream.end();
    take();
  } catch (error) {
    take();
    return { left, segments, hits, bytes: stream.textBytes, error };
  }
  return { left, segments, hits, bytes: stream.textBytes, error: undefined };
}

let time = 1_767_225_600;
const frame = (content: string, choice = 0): string =>
  `data: {"created":${time++},"choices":[{"index":${choice},"delta":{"content":${JSON.stringify(content)}},"finish_reason":null}]}\n\n`;
const finish = (choice = 0): string => `data: {"choices":[{"index":${choice},"delta":{},"finish_reason":"stop"}]}\n\n`;
const done = 'data: [DONE]\n\n';

/** What a client joins of each choice. */
function read(stream: string): Record<number, string> {
  const texts: Record<number, string> = {};
  for (const [, data] of stream.matchAll(/^data: (\{.*\})$/gm)) {
    const { choices } = JSON.parse(data ?? '') as { choices: { index: number; delta: { content?: string } }[] };
    for (const { index, delta } of choices) texts[index] = (texts[index] ?? '') + (delta.content ?? '');
  }
  return texts;
}

function recorded({ segments }: Outcome): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [lane, text] of segments.flat()) texts[lane] = (texts[lane] ?? '') + text;
  return texts;
}

const lane = (choice: number): string => `choices[${choice}].delta.content`;
const tokens = (text: string): string[] => text.match(/.{1,3}/gs) ?? [];

describe('a stream', () => {
  it('is measured in bytes, in whatever script: also frames that differ in their text alone', () => {
    expect(run([frame('漢字'), `${frame('é')}${frame('aé')}`, finish(), done]).bytes).toBe(6 + 2 + 3);
  });

  it('of which nothing is hidden leaves byte for byte as it came', () => {
    const frames = [...tokens('Nothing of this is hidden from anybody. ').map((one) => frame(one)), ': ping\n\n'];
    const reads = [...frames, frame('So.'), finish(), done];
    expect(run(reads).left.join('')).toBe(reads.join('').replace(': ping', ':'));
  });

  it('in which a read holds many frames is recorded in one segment a read and lane', () => {
    const one = tokens('the first choice says this. ').map((text) => frame(text));
    const two = tokens('and the second choice says that. ').map((text) => frame(text, 1));
    const mixed = one.flatMap((text, at) => [text, two[at] ?? '']).join('');
    const { segments } = run([mixed, finish() + finish(1) + done]);
    expect(segments[0]?.map(([name]) => name)).toEqual([lane(0), lane(1)]);
    expect(segments.flat().length).toBeLessThanOrEqual(4);
  });

  it.each([
    ['that nothing hides goes in front of what follows', ' is no card, and so', [' 411', '1 1111'].join('')],
    ['that is hidden does not leave', ' 1111 1111 so', ''],
  ])('in which another lane goes on: held text %s', (_, rest, shown) => {
    const others = Array.from({ length: 20 }, (_none, at) => frame(` and ${at}`, 1));
    const held = [frame(' 411'), frame('1 1111')];
    const follows = tokens(rest).map((text) => frame(text));
    for (const end of [follows, [follows.join('')]]) {
      const outcome = run([...held, ...others, ...end, finish(), finish(1), done]);
      expect(outcome.error).toBeUndefined();
      const texts = read(outcome.left.join(''));
      expect(texts[0]).toBe(shown === '' ? ' [label-0] so' : shown + rest);
      expect(recorded(outcome)[lane(0)]).toBe(texts[0]);
      expect(texts[1]).toBe(others.map((_none, at) => ` and ${at}`).join(''));
      // The first frames left before their text was decided.
      expect(read(outcome.left.slice(0, held.length + others.length).join(''))[0]).toBe(' ');
    }
  });

  it('gives the caller and the record the same of each lane, however it was cut into reads', () => {
    const piece = fc.constantFrom(
      ...[
        ' plain',
        ' words',
        ' ana',
        '@exa',
        'mple',
        '.com',
        ' 4111',
        ' 1111',
        '1111',
        '\n',
        ' é',
        '😀',
        '"',
        '',
        '. ',
      ],
    );
    const part = fc.record({
      text: piece,
      choice: fc.constantFrom(0, 0, 0, 0, 1),
      before: fc.constantFrom('', '', ':\n\n'),
    });
    const cuts = fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 80 }), cuts, (parts, sizes) => {
        const frames = parts.map(({ text, choice, before }) => before + frame(text, choice));
        const all = [...frames, finish(), finish(1), done];
        const whole = all.join('');
        // Cut in bytes, also within a character.
        const bytes = Buffer.from(whole);
        let from = 0;
        const reads = sizes.map((size) => bytes.subarray(from, (from += size)));
        reads.push(bytes.subarray(from));
        const view = scanner.view({ replace: set(0), stop: set(), note: set() });
        const source = read(whole);
        for (const outcome of [run(all), run([whole]), run(reads)]) {
          expect(outcome.error).toBeUndefined();
          const given = read(outcome.left.join(''));
          for (const choice of [0, 1]) {
            const expected = view.mask(source[choice] ?? '', 'text', 'complete').text;
            expect(given[choice] ?? '').toBe(expected);
            expect(recorded(outcome)[lane(choice)] ?? '').toBe(expected);
          }
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('a rule that ends the answer', () => {
  const before = tokens('All of this may be read, until we stop');
  const after = tokens(' here and nothing of this ');
  const frames = [...before, ...after].map((text) => frame(text));

  it.each([
    ['one frame a read', frames],
    ['all frames in one read', [frames.join('')]],
    ['two reads', [frames.slice(0, 9).join(''), frames.slice(9).join('')]],
  ])('lets what stands before its finding leave, and nothing more: %s', (_, reads) => {
    const { left, error, hits } = run(reads, true);
    expect(error).toMatchObject({ name: 'StoppedError', rule: 1 });
    expect(hits).toBe(1);
    expect(read(left.join(''))[0]).toBe('All of this may be read, until we ');
  });
});

describe('text behind the finish', () => {
  it.each([
    ['its own read', (frames: string[]) => frames],
    ['the same read', (frames: string[]) => [frames.join('')]],
  ])('ends the stream, in %s', (_, cut) => {
    const one = frame('a').replace(/"created":\d+/, '"created":1');
    const { error, left } = run(cut([one, one, finish(), one]));
    expect(error).toMatchObject({ code: 'upstream_protocol' });
    expect(read(left.join(''))[0] ?? '').not.toContain('aaa');
  });

  it('is refused also where it comes in a run of frames behind one without text', () => {
    const { error } = run([[frame('a'), finish(), frame(''), frame(''), frame('b')].join('')]);
    expect(error).toMatchObject({ code: 'upstream_protocol' });
  });
});

describe('a frame that cannot be read', () => {
  it('ends the stream behind the frames of its read that were well, with nothing of it', () => {
    const { error, left } = run([frame('All well. '), frame('Also ') + frame('this. ') + 'data: {"choices\n\n']);
    expect(error).toMatchObject({ code: 'response_uninspectable' });
    expect(left.join('')).not.toContain('"choices\n');
    expect('All well. Also this. '.startsWith(read(left.join(''))[0] ?? '')).toBe(true);
  });
});

describe('a stream that is observed', () => {
  const ending = [frame('the end is '), frame('secret-ab')];
  const masked = scanner.view({ replace: set(0), stop: set(), note: set() });
  const nothing = scanner.view({ replace: set(), stop: set(), note: set() });
  const apart: ResponseViews = {
    ...views(false),
    act: nothing,
    record: masked,
    sealed: masked,
    pair: scanner.pair(nothing, masked),
    same: false,
  };

  it.each<[string, (stream: StreamAnswer) => void]>([
    ['finishes', (stream) => stream.data(Buffer.from(finish() + done))],
    ['ends without a finish', (stream) => stream.end()],
    ['breaks off', (stream) => stream.breakOff()],
    [
      'cannot be read',
      (stream) => {
        expect(() => stream.data(Buffer.from(`${frame('!')}data: {\n\n`))).toThrow();
        stream.breakOff();
      },
    ],
  ])('is recorded to its end, also where it %s', (_, end) => {
    const departure = new Departure();
    const options = {
      route,
      framing: sse,
      views: apart,
      stops: false,
      dropUsage: false,
      observes: true,
      onHits: () => undefined,
    };
    const stream = new StreamAnswer(options, departure);
    let left = '';
    const texts = ['', ''];
    const take = (): void => {
      left += departure.take((_lane, text, raw) => {
        texts[0] += text;
        texts[1] += raw ?? '';
      });
    };
    for (const one of ending) stream.data(Buffer.from(one));
    take();
    expect(left).toBe(ending.join(''));
    expect(texts[0]).toBe('the end is ');
    end(stream);
    take();
    expect(texts.map((text) => text.replace('!', ''))).toEqual(['the end is secret-ab', 'the end is secret-ab']);
  });
});

describe('what a stream keeps', () => {
  const stream = (): StreamAnswer =>
    new StreamAnswer(
      {
        route,
        framing: sse,
        views: views(false),
        stops: false,
        dropUsage: false,
        observes: false,
        onHits: () => undefined,
      },
      new Departure(),
    );

  it('is a frame that is not whole, until it breaks off', () => {
    const one = stream();
    one.data(Buffer.from(frame('some words. ')));
    expect(one.kept).toBe(0);
    one.data(Buffer.from('data: {"x":"'));
    one.data(Buffer.from('é'.repeat(500)));
    expect(one.kept).toBe(12 + 1_000);
    one.breakOff();
    expect(one.kept).toBe(0);
  });

  it('is a frame that waits, and the form of one of whose text a part has left', () => {
    const one = stream();
    const waits = frame('4111');
    one.data(Buffer.from(waits));
    expect(one.kept).toBe(waits.length);
    const long = frame(`${' words '.repeat(1_000)}4111`);
    one.data(Buffer.from(long));
    expect(one.kept).toBe(long.length);
    one.data(Buffer.from(finish() + done));
    expect(one.kept).toBe(0);
  });
});

describe('what departs', () => {
  it('is taken once, text and record, lanes in the order in which they came', () => {
    const departure = new Departure();
    departure.record('b', '1');
    departure.text('x');
    departure.record('a', '2');
    departure.record('b', '3');
    departure.text('y');
    const segments: string[] = [];
    const keep = (name: string, text: string): void => void segments.push(`${name} ${text}`);
    expect(departure.take(keep)).toBe('xy');
    expect(segments).toEqual(['b 13', 'a 2']);
    expect(departure.take(keep)).toBe('');
    expect(segments).toHaveLength(2);
  });
});

describe('an error of the model’s in mid-stream', () => {
  const failure = 'data: {"error":{"message":"context length exceeded","type":"BadRequestError","code":400}}\n\n';
  const usage = 'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n';

  it.each([
    ['in one read', (parts: readonly string[]) => [parts.join('')]],
    ['in a read each', (parts: readonly string[]) => parts],
  ])('leaves behind what was decided, without the end marker that follows it (%s)', (_, reads) => {
    const first = frame('All well. ');
    const { left, error } = run(reads([first, failure, usage, done]));
    expect(error).toBeUndefined();
    expect(left.join('')).toBe(first + failure);
  });

  it('is followed by nothing else', () => {
    const { left, error } = run([failure + frame('more')]);
    expect(error).toMatchObject({ code: 'upstream_protocol' });
    expect(left.join('')).toBe(failure);
  });

  it('drops what was held', () => {
    const { left } = run([frame('Write to ana.maria@exam') + failure + done]);
    expect(left.join('')).not.toContain('ana');
    expect(left.join('')).toContain('context length exceeded');
  });
});

it('what was decided leaves before a frame behind the end marker ends the stream', () => {
  const first = frame('All well. ');
  const { left, error } = run([first + finish() + done + frame('more')]);
  expect(error).toMatchObject({ code: 'upstream_protocol' });
  expect(read(left.join(''))).toEqual({ 0: 'All well. ' });
});

it.each([
  ['x', '. And', true],
  ['x', '.', true],
  ['x', '?) Yes', true],
  ['x', '\nz', true],
  ['x', '.10.20.30.40 now', false],
  ['x', ',4111', false],
  ['1', '. And', false],
  ['x', 'y', false],
])('behind %j the part %j goes on with the sentence: %s', (before, text, expected) => {
  expect(goesOn(before, text)).toBe(expected);
});
