import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { detectorNames } from '../../core/index.ts';
import { formsOf } from '../detector.ts';
import type { Detector } from '../detector.ts';
import { tells } from '../testing/slow-tells.ts';
import { findings, longestFrom, mayBegin, verdictOf } from './brute-force.ts';
import { detectors } from './index.ts';
import { examples } from './issued/examples.ts';

/** Length of the longest string that a pattern matches, for the syntax that the declarations use. */
function longestMatch(pattern: string): number {
  let at = 0;
  const peek = (): string => pattern[at] ?? '';
  const alternation = (): number => {
    let longest = sequence();
    while (peek() === '|') {
      at += 1;
      longest = Math.max(longest, sequence());
    }
    return longest;
  };
  const sequence = (): number => {
    let total = 0;
    while (at < pattern.length && peek() !== '|' && peek() !== ')') total += repeated();
    return total;
  };
  const repeated = (): number => {
    const one = atom();
    const counted = /^\{(\d+)(?:,(\d+))?\}|^\?/.exec(pattern.slice(at));
    if (counted === null) {
      if ('*+{'.includes(peek()) && peek() !== '') throw new Error(`unbounded at ${at}`);
      return one;
    }
    at += counted[0].length;
    return counted[0] === '?' ? one : one * Number(counted[2] ?? counted[1]);
  };
  const atom = (): number => {
    if (peek() === '(') {
      const head = /^\(\?i?:/.exec(pattern.slice(at));
      if (head === null) throw new Error(`a capturing group at ${at}`);
      at += head[0].length;
      const inside = alternation();
      at += 1;
      return inside;
    }
    if (peek() === '[') {
      for (at += 1; peek() !== ']'; at += peek() === '\\' ? 2 : 1);
      at += 1;
      return 1;
    }
    if (peek() === '\\' && /[bBAzQEpPx]/.test(pattern[at + 1] ?? '')) throw new Error(`an assertion or class at ${at}`);
    if ('^$.'.includes(peek())) throw new Error(`an assertion at ${at}`);
    at += peek() === '\\' ? 2 : 1;
    return 1;
  };
  const longest = alternation();
  if (at !== pattern.length) throw new Error(`stopped at ${at}`);
  return longest;
}

/** For each detector a text with findings and with near misses. */
const samples: Readonly<Record<string, readonly string[]>> = {
  CreditCard: [
    '4111 1111 1111 1111',
    '4111111111111111',
    '3782-822463-10005',
    '4.111111111111111e15',
    '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1',
  ],
  Iban: ['DE89 3704 0044 0532 0130 00', 'NO9386011117947', 'IBANDE89370400440532013000'],
  UsSsn: ['123-45-6789', '123 45 6789', 'SSN: 123456789', 'social security number 123-45-6789'],
  Email: ["o'brien@example.ie", 'a.b+c@x-y.example.org', `${'a'.repeat(70)}@example.com`, '"a b"@x.org'],
  Phone: ['+49 30 12345678', '(202) 555-0123', '01 23 45 67 89', 'tel: 0301234567', '0049 30 12345678', '030/1234567'],
  IpAddress: ['192.0.2.1', '2001:db8::1', '::1', 'fe80::1', '::ffff:192.0.2.1', '1:2:3:4:5:6:7:8', 'version 1.2.3.4'],
  MacAddress: ['00:1a:2b:3c:4d:5e', '001a.2b3c.4d5e', '00-1a-2b-ff-fe-3c-4d-5e'],
  Jwt: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.abc', 'x.eyJzdWIiOiJhIn0.abc'],
  PrivateKey: ['-----BEGIN RSA PRIVATE KEY-----abc-----END RSA PRIVATE KEY-----'],
  AwsKey: ['AKIAIOSFODNN7EXAMPLE', 'secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
  GitHubToken: ['ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5'],
  GenericApiKey: [
    'api_key=a1b2c3d4e5f6',
    'password: hunter22',
    '--password s3cr3tpw',
    'sk-proj-abcDEF123456ghiJKL',
    'page_token=a1b2c3d4',
  ],
  VendorToken: [
    `glpat-${'aB3dE5gH7jK9mN1pQ3sT'}`,
    `SG.${'aB3dE5gH7jK9mN1pQ3sT5v'}.${'W7yZ9bC1dE3fG5aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC'}`,
    `ya29.${'aB3dE5gH7jK9mN1pQ3sT'}`,
    `datadog_app: "${'0a1b2c3d4e5f6789'.repeat(2)}"`,
  ],
  Credential: [
    'postgres://bob:s3cr3t@db.example.org',
    'DB_PASSWORD=correcthorse',
    '{\\"password\\": \\"letmein\\"}',
    'Basic Ym9iOmh1bnRlcg==',
    'login bob password hunter22',
    ' -u bob:hunter22 ',
    'kind: Secret\ndata:\n  a: c2VjcmV0\n',
  ],
  CryptoAddress: [
    '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    'bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a',
  ],
  ...Object.fromEntries(
    Object.entries(examples).map(([name, { alone = [], told: [word, ...behind] = [''] }]) => [
      name,
      [...alone, ...behind.map((number) => `${word} ${number}`)],
    ]),
  ),
};

/** Each form by itself: what one declares it alone must keep. */
const forms = detectors.flatMap((detector) =>
  formsOf(detector).map((form, number) => [number === 0 ? form.name : `${form.name}, form ${number}`, form] as const),
);

describe('every declaration', () => {
  test('stands in the list once, under its name, in the order of names', () => {
    expect(detectors.map((detector) => detector.name)).toEqual([...detectorNames]);
    expect(Object.keys(samples)).toEqual([...detectorNames]);
  });

  test.each(forms)(
    '%s has a bounded pattern without assertions, whose longest match is maxLength',
    (_name, detector) => {
      expect(longestMatch(detector.pattern)).toBe(detector.maxLength);
      if (detector.open !== undefined && 'until' in detector.open) {
        expect(longestMatch(detector.open.until)).toBe(detector.open.untilMaxLength);
      }
    },
  );

  test.each(forms)('%s decides on nothing but its span, its left and its right', (_name, detector) => {
    const context = fc.stringMatching(/^[ -~\n]{0,12}$/);
    // Far text is cut away or replaced: what is nearer than `left` and `right` stays, and no lane's end comes nearer.
    fc.assert(
      fc.property(
        fc.constantFrom(...(samples[detector.name] ?? [])),
        context,
        context,
        fc.constantFrom('0', 'a', ' ', '-', '.', ':', '@', '/', 'secret '),
        (sample, before, after, filler) => {
          const text = before + sample + after;
          for (let start = 0; start < text.length; start += 1) {
            for (const end of ends(detector, text, start)) {
              const verdict = judge(detector, text, start, end);
              const left = text.slice(Math.max(0, start - detector.left), start);
              const right = text.slice(end, end + detector.right);
              const far = filler.repeat(4);
              const begin = start > detector.left ? far + left : left;
              const other = begin + text.slice(start, end) + right + (text.length > end + detector.right ? far : '');
              expect([end, judge(detector, other, begin.length, begin.length + end - start)]).toEqual([end, verdict]);
            }
          }
        },
      ),
      // Those share one `accept`.
      { numRuns: detector.name in examples ? 3 : detector.maxLength > 100 ? 6 : 20 },
    );
  });

  test.each(detectors.map((detector) => [detector.name, detector] as const))(
    '%s finds in each of its samples',
    (_name, detector) => {
      for (const sample of samples[detector.name] ?? []) {
        const negative = sample.startsWith('version') || sample.startsWith('page_');
        expect(findings(detector, sample).length).toBe(negative ? 0 : 1);
      }
    },
  );
});

function judge(detector: Detector, text: string, start: number, end: number): readonly unknown[] {
  const told = detector.telling !== undefined && tells(text, start, detector.telling.words);
  return [mayBegin(detector, text, start, told), verdictOf(detector, text, { start, end }, told, 'Possible')];
}

function ends(detector: Detector, text: string, start: number): number[] {
  const found: number[] = [];
  const everyEnd: Detector = {
    name: detector.name,
    pattern: detector.pattern,
    maxLength: detector.maxLength,
    left: detector.left,
    right: detector.right,
    significant: detector.significant,
    leastSignificant: detector.leastSignificant,
    accept(_text, _start, end) {
      found.push(end);
      return false;
    },
  };
  longestFrom(everyEnd, text, start);
  return found;
}

describe('accept', () => {
  const hostile: readonly (readonly [string, string])[] = [
    ['digits', '4111111111111111'],
    ['digits apart', '4 1 1 1 '],
    ['pairs with colons', 'aa:bb:'],
    ['at signs', 'a.a@a.a'],
    ['letters', 'aaaaaaaaaaaaaaaa'],
    ['openers', 'eyJhbGciOi-----BEGIN PRIVATE KEY'],
    ['assignments', 'password=password:'],
    ['phones', '+49 (0) 30 / '],
    ['openers of tokens', 'sk-proj-ghp_AIza'],
    ['values without an end', 'password=";;;;'],
    ['addresses', '://a:b@'],
  ];

  /** A string that counts how often it is read: accept functions read by code alone. */
  function counted(text: string): { readonly text: string; readonly reads: () => number } {
    let reads = 0;
    const reader = {
      length: text.length,
      charCodeAt: (at: number): number => {
        reads += 1;
        return text.charCodeAt(at);
      },
      startsWith: (part: string, at: number): boolean => {
        reads += part.length;
        return text.startsWith(part, at);
      },
    };
    return { text: reader as unknown as string, reads: () => reads };
  }

  test.each(hostile)('reads in proportion to the text for repeated %s', (_what, piece) => {
    for (const [, detector] of forms) {
      const reads = (repeats: number): number => {
        const { text, reads: sum } = counted(piece.repeat(repeats));
        for (let start = 0; start < text.length; start += 1) {
          for (const told of detector.telling === undefined ? [false] : [false, true])
            detector.accept?.(text, start, Math.min(text.length, start + detector.maxLength), told, 0);
        }
        return sum();
      };
      // Ten times the text; the ends of the shorter one weigh a little less.
      expect(reads(1_000)).toBeLessThanOrEqual(reads(100) * 15);
    }
  });
});
