import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { compileScanner } from '../index.ts';
import type { Hit, LaneEnd, LaneKind, LaneScanner, MaskResult, PairLane, ViewSpec } from '../scanner.ts';
import { sketchRules, sketchView } from '../testing/rules.ts';

/** Two views over one scanner must give what each gives alone, however the text is cut; and a seam that is called clean is clean. */
const scanner = compileScanner(
  sketchRules(
    { label: 'pii', detectors: ['Pii'], replacement: { style: 'Partial', keep: 4 } },
    { label: 'keys', detectors: ['Secrets'] },
    { label: 'words', words: ['ignore all', 'leak'], patterns: ['(?i)print (all )?env', '\\bab[0-9]+'] },
    { label: 'mail', detectors: ['Email'], replacement: { style: 'Constant', text: '<mail>' } },
    { label: 'long', patterns: [{ pattern: 'x.*y', maxLength: 40 }] },
  ),
  { hashKey: new Uint8Array(32).fill(3) },
);
const withFields = compileScanner(
  sketchRules({ fields: ['**.ssn'], detectors: ['Email'] }, { fields: ['$.a'], words: ['leak'] }),
  { hashKey: new Uint8Array(32).fill(3) },
);

const letters = fc.constantFrom('r', 's', 'n', '-');
const spec = (count: number): fc.Arbitrary<ViewSpec> =>
  fc.array(letters, { minLength: count, maxLength: count }).map((some) => sketchView(some.join('')));

const pieces = fc.constantFrom(
  '4111 1111 1111 1111',
  '4111',
  '1111',
  ' ',
  'ana@example.com',
  '@example.com',
  'ana',
  '536-90-4399',
  'ignore ',
  'all',
  'print ',
  'ENV',
  'leak',
  'lea\u200bk',
  'é',
  'ab12',
  'x',
  'y',
  '"',
  'password: hunter22',
  '=Zx9Zx9',
  'YW5hQGV4YW1wbGUuY29t',
  '%40',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIi',
  '-----BEGIN PRIVATE KEY-----',
  '\n',
  '{"ssn": "123", "a": "ana@example.com"}',
  '[1, "leak"',
  '. ',
);
const text = fc.array(pieces, { maxLength: 8 }).map((some) => some.join(''));
const end = fc.constantFrom<LaneEnd>('complete', 'cut');

function drain(lane: LaneScanner): Omit<MaskResult, 'edits'> {
  const byPlace = [...lane.drainHits()].sort((a, b) => a.start - b.start || a.rule - b.rule || a.end - b.end);
  return { text: lane.take(lane.decided), hits: byPlace, stopped: lane.stopped, failed: lane.failed };
}

/** How often a decoded finding inside of a component is counted depends on when that component is settled; that it is counted does not. */
const counted = (hits: readonly Hit[]): string[] => [...new Set(hits.map((hit) => `${hit.rule} ${hit.by}`))].sort();

function feed(lane: PairLane, source: string, cut: number, how: LaneEnd): void {
  for (let at = 0; at < source.length; at += cut) {
    lane.caller.push(source.slice(at, at + cut));
    lane.record.push(source.slice(at, at + cut));
  }
  lane.caller.end(how);
  lane.record.end(how);
}

describe.each([
  ['rules', scanner, 5, ['text', 'prose', 'json']],
  ['field rules', withFields, 2, ['text', 'json']],
] as const)('a pair of views with %s', (_name, compiled, count, kinds) => {
  it('leaves of a whole text what each view leaves', () => {
    fc.assert(
      fc.property(
        spec(count),
        spec(count),
        text,
        fc.constantFrom<LaneKind>(...kinds),
        end,
        (a, b, source, kind, how) => {
          const [caller, record] = [compiled.view(a), compiled.view(b)];
          const both = compiled.pair(caller, record).mask(source, kind, how);
          expect(both.caller).toEqual(caller.mask(source, kind, how));
          expect(both.record).toEqual(record.mask(source, kind, how));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves of a long text, read in steps, what a lane leaves of it piece by piece', () => {
    const filler = 'plain words, one after the other; '.repeat(300);
    fc.assert(
      fc.property(
        spec(count),
        spec(count),
        text,
        fc.constantFrom<LaneKind>(...kinds),
        end,
        (a, b, source, kind, how) => {
          const long = `${kind === 'json' ? '' : filler}${source} ${filler.slice(0, 3_000)}${source}`;
          const [caller, record] = [compiled.view(a), compiled.view(b)];
          const both = compiled.pair(caller, record).mask(long, kind, how);
          for (const [got, view] of [
            [both.caller, caller],
            [both.record, record],
            [caller.mask(long, kind, how), caller],
          ] as const) {
            const lane = view.open(kind);
            for (let at = 0; at < long.length && lane.stopped === undefined && !lane.failed; at += 1_000)
              lane.push(long.slice(at, at + 1_000));
            lane.end(how);
            const left = drain(lane);
            expect(got.text).toBe(left.text);
            expect(got.failed).toBe(left.failed);
            // What failed gives nothing; whether a stop was met behind the fault depends on how much was pushed at once.
            if (!got.failed) expect(got.stopped).toEqual(left.stopped);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('gives on a stream what each view gives', () => {
    fc.assert(
      fc.property(
        fc.tuple(spec(count), spec(count)),
        text,
        fc.constantFrom<LaneKind>(...kinds),
        end,
        fc.integer({ min: 1, max: 7 }),
        ([a, b], source, kind, how, cut) => {
          const [caller, record] = [compiled.view(a), compiled.view(b)];
          const lane = compiled.pair(caller, record).open(kind);
          feed(lane, source, cut, how);
          for (const [mine, view] of [
            [lane.caller, caller],
            [lane.record, record],
          ] as const) {
            const { edits: _, ...alone } = view.mask(source, kind, how);
            const got = drain(mine);
            if (alone.failed) expect(got.failed).toBe(true);
            else expect({ ...got, hits: [] }).toEqual({ ...alone, hits: [] });
            if (alone.stopped === undefined && !alone.failed) expect(counted(got.hits)).toEqual(counted(alone.hits));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a seam that nothing may cross', () => {
  it('is crossed by nothing', () => {
    const view = scanner.view(sketchView('rrrrr'));
    let clean = 0;
    fc.assert(
      fc.property(text, text, (left, right) => {
        if (view.mayCross(left, right)) return;
        clean++;
        const { hits } = view.mask(left + right, 'prose', 'complete');
        expect(hits.filter((hit) => hit.start < left.length && hit.end > left.length)).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
    expect(clean).toBeGreaterThan(200);
  });

  it('is told apart from one that a card, a word or an encoding spans', () => {
    const view = scanner.view(sketchView('rrrrr'));
    for (const [left, right] of [
      ['pay 4111 1111 ', '1111 1111 now'],
      ['please ignore', ' all of it'],
      ['YW5hQGV4', 'YW1wbGUuY29t'],
      ['ana', '@example.com'],
      ['lea', '\u200bk'],
      ['x', 'y'],
    ] as const)
      expect(view.mayCross(left, right)).toBe(true);
    expect(view.mayCross('That is all. ', 'And now <this>.')).toBe(false);
    // A run of 16 letters that decodes to nothing of interest.
    expect(view.mayCross('prompt_name', 'Summarise the meeting of last week.')).toBe(false);
  });

  it.each(['base64', 'base64url', 'hex'] as const)('is crossed by what %s hides, wherever it is cut', (coding) => {
    const view = scanner.view(sketchView('rrrrr'));
    let crossed = 0;
    for (const value of [
      'ana@example.com',
      '4111 1111 1111 1111',
      'mail to ana@example.com, or do not: it is all the same',
    ])
      for (const [lead, rest] of [
        ['', ''],
        ['key ', ' and more'],
        ['k', 'w'],
        ['abcd', '==x'],
      ] as const) {
        const whole = lead + Buffer.from(value).toString(coding) + rest;
        for (let at = 1; at < whole.length; at++) {
          const { hits } = view.mask(whole, 'prose', 'complete');
          if (!hits.some((hit) => hit.start < at && hit.end > at)) continue;
          crossed++;
          expect(view.mayCross(whole.slice(0, at), whole.slice(at))).toBe(true);
        }
      }
    expect(crossed).toBeGreaterThan(100);
  });
});
