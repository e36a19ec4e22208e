import { describe, expect, it } from '@jest/globals';
import { checkScanRules } from './compile-scanner.ts';
import { compileScanner } from './index.ts';
import type { View } from './index.ts';
import { sketchRules, sketchView } from './testing/rules.ts';
import type { RuleSketch } from './testing/rules.ts';
import { cpuMs } from '../../test/support/cost.ts';

const hashKey = new Uint8Array(32).fill(1);

function viewOf(letters: string, ...rules: readonly RuleSketch[]): View {
  return compileScanner(sketchRules(...rules), { hashKey }).view(sketchView(letters));
}

const masked = (view: View, text: string): string => view.mask(text, 'text', 'complete').text;

describe('compileScanner', () => {
  it.each([
    [{ patterns: ['(?<=a)b'] }, 'invalid_pattern', '(?<=a)b'],
    [{ detectors: ['Nothing'] }, 'unknown_detector', 'Nothing'],
    [{ words: [' - '] }, 'invalid_word', 'word'],
    [{ words: ['\u200b', '\u00ad.'] }, 'invalid_word', 'word'],
    [{ fields: ['ssn'] }, 'invalid_field_path', 'ssn'],
    [{ fields: ['$.a.**'], words: ['-'] }, 'invalid_field_path', '$.a.**'],
  ])('refuses what it cannot look for, and so does checking alone: %j', (rule, code, named) => {
    const refusal = expect.objectContaining({ code, message: expect.stringContaining(named) as unknown });
    expect(() => compileScanner(sketchRules(rule), { hashKey })).toThrow(refusal as unknown as Error);
    expect(() => checkScanRules(sketchRules(rule))).toThrow(refusal as unknown as Error);
  });

  it('takes a word of one sign, and so does checking alone', () => {
    const rules = sketchRules({ words: ['$', '\u2460', '\u00df'], fields: ['**.ssn'], detectors: ['Email'] });
    expect(() => compileScanner(rules, { hashKey })).not.toThrow();
    expect(() => checkScanRules(rules)).not.toThrow();
  });

  it('gives equal views as one object', () => {
    const scanner = compileScanner(sketchRules({ words: ['a'] }, { words: ['b'] }), { hashKey });
    expect(scanner.view(sketchView('r-'))).toBe(scanner.view(sketchView('r-')));
    expect(scanner.view(sketchView('rn'))).not.toBe(scanner.view(sketchView('r-')));
  });

  it('passes text untouched where nothing is looked for', () => {
    const view = viewOf('-', { detectors: ['Email'] });
    expect(view.idle).toBe(true);
    const lane = view.open('json');
    lane.push('ana@example.com');
    expect(lane.decided).toBe(15);
    expect(lane.take(15)).toBe('ana@example.com');
    lane.end('cut');
    expect(() => lane.push('x')).toThrow('ended');
    const text = 'ana@example.com';
    expect(view.mask(text, 'text', 'complete')).toMatchObject({ text, edits: [], hits: [] });
  });

  it('lets a caller see the findings of rules that are not in the view', () => {
    const view = viewOf('-r', { detectors: ['Email'] }, { detectors: ['CreditCard'] });
    expect(masked(view, 'ana@example.com 4111111111111111')).toBe('ana@example.com [label-1]');
  });
});

describe('replacements', () => {
  it.each<[RuleSketch, string, string]>([
    [{ label: 'pci' }, '4111 1111 1111 1111', '[pci]'],
    [{ replacement: { style: 'Partial', keep: 4 } }, '4111 1111 1111 1111', '****1111'],
    [{ replacement: { style: 'Partial', keep: 0 } }, '4111 1111 1111 1111', '****'],
    [{ replacement: { style: 'Partial', keep: 40 } }, '4111 1111 1111 1111', '****'],
    [{ replacement: { style: 'Constant', text: 'X' } }, '４111 1111 1111 1111', 'X'],
  ])('print what their style says: %j', (rule, text, wanted) => {
    expect(masked(viewOf('r', { ...rule, detectors: ['CreditCard'] }), `a ${text} b`)).toBe(`a ${wanted} b`);
  });

  it('print equal hashes for equal values as a reader sees them, under one key', () => {
    const view = viewOf('r', { label: 'pci', detectors: ['CreditCard'], replacement: { style: 'Hash' } });
    const plain = masked(view, '4111111111111111');
    expect(plain).toMatch(/^\[pci:[0-9a-f]{8}\]$/);
    expect(masked(view, '４１１１1111\u200b11111111')).toBe(plain);
    expect(masked(view, '378282246310005')).not.toBe(plain);
    const other = compileScanner(
      sketchRules({ label: 'pci', detectors: ['CreditCard'], replacement: { style: 'Hash' } }),
      {
        hashKey: new Uint8Array(32).fill(2),
      },
    ).view(sketchView('r'));
    expect(masked(other, '4111111111111111')).not.toBe(plain);
  });

  it('are the label where two findings of different extents are one component', () => {
    const view = viewOf(
      'rr',
      { label: 'a', patterns: ['x[0-9]+'], replacement: { style: 'Partial', keep: 2 } },
      { label: 'b', patterns: ['[0-9]+y'] },
    );
    expect(masked(view, 'x123y')).toBe('[a]');
    expect(masked(view, 'x123')).toBe('****23');
    expect(masked(view, 'x12 3y')).toBe('****12 [b]');
  });
});

describe('words of a list', () => {
  const view = viewOf('r', { label: 'w', words: ['ignore previous', 'bomb', 'C++', 'été'] });

  it.each([
    'ignore previous',
    'IGNORE  Previous',
    'i g n o r e p-r-e-v-i-o-u-s',
    '1gn0re\nprev!ous',
    'ign\u200bore рrevious',
    'b0mb',
    'B.O.M.B',
    'c++',
    'ETE',
    'Été',
  ])('are found as a reader would: %s', (text) => {
    expect(masked(view, `so ${text}, yes`)).toBe('so [w], yes');
  });

  it.each(['ignoreprevious2', 'bombs', 'abomb', 'c', 'bo mbs'])('are not found inside of others: %s', (text) => {
    expect(masked(view, `so ${text} yes`)).toBe(`so ${text} yes`);
  });

  it('of fewer than four letters allow nothing between letters', () => {
    expect(masked(viewOf('r', { words: ['ass'] }), 'it was as so, a s s')).toBe('it was as so, a s s');
  });
});

describe('a lane', () => {
  it('says where a component stands while it grows', () => {
    const lane = viewOf('r', { label: 'k', detectors: ['PrivateKey'] }).open('text');
    lane.push('see -----BEGIN PRIVATE KEY-----\nAAAA');
    expect(lane.decided).toBe(lane.received);
    expect(lane.edits(0, 100)).toEqual([{ start: 4, end: Number.POSITIVE_INFINITY, text: '[k]' }]);
    expect(lane.take(lane.decided)).toBe('see [k]');
    lane.push('BBBB\n-----END PRIVATE KEY----- done ');
    lane.end('complete');
    expect(lane.take(lane.decided)).toBe(' done ');
    expect(lane.drainHits()).toEqual([
      { rule: 0, by: 'PrivateKey', start: 4, end: 31, certainty: 'Certain', reason: 'Prefix' },
    ]);
    expect(lane.drainHits()).toEqual([]);
  });

  it('gives nothing from the component of a stop rule on', () => {
    const lane = viewOf('sr', { words: ['bomb'] }, { detectors: ['Email'] }).open('text');
    lane.push('mail ana@example.com a bo');
    lane.push('mb, and more');
    lane.push(' and more');
    expect(lane.stopped).toEqual({ rule: 0, by: 'word', start: 23, end: 27, certainty: 'Certain', reason: 'Policy' });
    expect(lane.take(lane.received)).toBe('mail [label-1] a ');
    lane.end('cut');
    expect(lane.decided).toBe(23);
  });

  it('hides a card that is cut one digit short', () => {
    const view = viewOf('r', { label: 'pci', detectors: ['CreditCard'] });
    expect(view.mask('card 4111 1111 1111 111', 'text', 'cut').text).toBe('card [pci]');
    expect(view.mask('card 4111 1111 1111 111', 'text', 'complete').text).toBe('card 4111 1111 1111 111');
    expect(view.mask('in 2024', 'text', 'cut').text).toBe('in 2024');
  });

  it('hides a card that is padded beyond all patience', () => {
    const view = viewOf('r', { label: 'pci', detectors: ['CreditCard'] });
    const padded = (by: number): string => Array.from('4111111111111111').join('\u200b'.repeat(by));
    expect(masked(view, `a ${padded(40)} b`)).toBe('a [pci] b');
    // Beyond 8 W characters of padding a candidate is hidden up to the next visible character, whatever follows.
    expect(masked(view, `a ${padded(80)} b`)).toMatch(/^a \[pci\]1{0,4} b$/);
  });

  it('holds no more than a word or two of natural text', () => {
    const view = viewOf('rr', { detectors: ['Pii', 'Secrets'] }, { words: ['ignore previous', 'exfiltrate', 'kill'] });
    const text =
      'I was told that the committee would discuss its annual report (see page 42) on 12 May at 10:30; nobody objected. ' +
      'Models predict the next token given the previous ones, and 3,400 people in 18 countries read what they say.';
    const lane = view.open('text');
    const held: number[] = [];
    for (const token of text.match(/ ?[^ ]{1,4}/g) ?? []) {
      lane.push(token);
      held.push(lane.received - lane.decided);
    }
    held.sort((a, b) => a - b);
    expect(held[Math.floor(held.length / 2)]).toBeLessThanOrEqual(6);
    expect(held.at(-1)).toBeLessThanOrEqual(16);
  });
});

describe('cost', () => {
  const words = ['ignore previous', 'exfiltrate', 'leak'];
  const view = viewOf('rr', { detectors: ['Pii', 'Secrets'] }, { words });

  it.each([
    '7',
    '@',
    'eyJ',
    '-----BEGIN RSA PRIVATE KEY-----',
    'QUJD',
    'a@a.',
    'a@aaaa.aa.',
    'i g n o r e ',
    '4111 1111 ',
    '1\u200b',
    'api_key=',
  ])(
    'grows with the length of hostile text: %s',
    (unit) => {
      const text = (length: number): string => unit.repeat(Math.ceil(length / unit.length));
      const small = text(8_192);
      const large = text(65_536);
      view.mask(small, 'text', 'cut');
      const first = cpuMs(() => view.mask(small, 'text', 'cut'));
      const second = cpuMs(() => view.mask(large, 'text', 'cut'));
      // Eight times the text; quadratic would be 64.
      expect(second).toBeLessThan(24 * Math.max(first, 5));
    },
    60_000,
  );

  it('of a pushed token does not grow with what was pushed before', () => {
    const part = 'natural text goes by, nothing to see here; ';
    const lane = view.open('text');
    const feed = (tokens: number): void => {
      for (let i = 0; i < tokens; i++) {
        lane.push(part.slice((i * 4) % 40, ((i * 4) % 40) + 4));
        lane.take(lane.decided);
      }
    };
    feed(2_000);
    const early = cpuMs(() => feed(3_000));
    feed(40_000);
    const late = cpuMs(() => feed(3_000));
    // Fifteen times as much was pushed before.
    expect(late).toBeLessThan(4 * Math.max(early, 5));
  });

  it('does not grow with the number of patterns', () => {
    const some = (count: number): View =>
      viewOf('r', { patterns: Array.from({ length: count }, (_, i) => `(?i)project-${i.toString(36)}x[0-9]{3,6}`) });
    const text = 'The project-7x was discussed, project-3x1234 was not; nothing else happened in 2024. '.repeat(2_000);
    const [few, many] = [some(10), some(1000)].map((one) => {
      one.mask(text, 'text', 'complete');
      return cpuMs(() => one.mask(text, 'text', 'complete'));
    });
    // A hundred times as many.
    expect(many).toBeLessThan(10 * Math.max(few ?? 0, 5));
  });

  it('is paid in steps for long texts', () => {
    const steps = view.maskInSteps('ana@example.com and more text, '.repeat(3_000), 'text', 'complete');
    let count = 0;
    for (;;) {
      const step = steps.next();
      if (step.done === true) {
        expect(step.value.text).toBe('[label-0] and more text, '.repeat(3_000));
        break;
      }
      count++;
    }
    expect(count).toBeGreaterThan(5);
  });
});
