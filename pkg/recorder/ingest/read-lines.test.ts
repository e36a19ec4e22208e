import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { namedStart } from '../../record/index.ts';
import { maxRecordBytes } from '../../wire/index.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../testing/chains.ts';
import { LineConflict, readLines } from './read-lines.ts';

const lines = () => {
  const chain = testChain();
  return {
    bytes: chain.lines([...sessionEvents({ id: sessionId(1) }), ...sessionEvents({ id: sessionId(2) })]),
    chain,
  };
};
const start = { sequence: 0, hash: namedStart(testChain().name).hash };
const conflictOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof LineConflict) return `${error.kind} ${error.sequence}`;
    throw error;
  }
  return 'none';
};

describe('a batch of lines', () => {
  test('says where the chain stands after it, and what is in it', () => {
    const { bytes, chain } = lines();
    const read = readLines(bytes, start);
    expect(read).toMatchObject({ first: 1, last: 6, prev: start.hash, hash: chain.point().hash });
    expect(read.block).toMatchObject({ count: 6, sessions: [sessionId(1), sessionId(2)] });
    expect(read.block.starts[0]).toMatchObject({ session: sessionId(1), subject: 'ana', at: testTime, sequence: 1 });
    expect(read.block.ends[1]).toMatchObject({
      session: sessionId(2),
      status: 200,
      sequence: 6,
      tags: ['rule:support/allow', 'act:allowed'],
    });
    expect(read.block.lines).toBe(bytes);
  });

  test('says what its sidecar could not record, and finds what befell it as a session is found', () => {
    const { bytes } = {
      bytes: testChain().lines([
        { type: 'process', session: sessionId(1), what: 'gap', amount: 2_300 },
        { type: 'process', session: sessionId(2), what: 'clock_step', amount: -3_600_000 },
        { type: 'process', what: 'gap', amount: 7 },
      ]),
    };
    const { gap, block } = readLines(bytes, start);
    expect(gap).toBe(2_307);
    expect(block.starts).toEqual([
      expect.objectContaining({ session: sessionId(1), operation: 'Process', path: 'gap' }),
      expect.objectContaining({ session: sessionId(2), operation: 'Process', path: 'clock_step' }),
    ]);
    expect(block.ends.map(({ code }) => code)).toEqual(['gap', 'clock_step']);
  });

  test.each(['a1', 'A'.repeat(32), `${'0'.repeat(32)}0`, ''])(
    'that names a session otherwise than all do is none of a sidecar: %j',
    (session) => {
      const bytes = testChain().lines([{ type: 'process', session, what: 'start' }]);
      expect(conflictOf(() => readLines(bytes, start, 'sidecar'))).toBe('changed 1');
      expect(conflictOf(() => readLines(bytes, start, 'controller'))).toBe('changed 1');
      // What a store of before has is read as it is.
      expect(conflictOf(() => readLines(bytes, start))).toBe('none');
    },
  );

  test('counts a million at most of what one line says was lost', () => {
    const gap = (amount: number) => ({ type: 'process', what: 'gap', amount }) as const;
    const liar = testChain().lines([...[1, 2, 3].map(() => gap(Number.MAX_SAFE_INTEGER)), gap(1)]);
    expect(readLines(liar, start).gap).toBe(3_000_001);
  });

  test.each<[string, (text: string) => string, string]>([
    ['a changed character', (text) => text.replace('"hi"', '"ho"'), 'changed 2'],
    ['a line that is missing', (text) => text.split('\n').toSpliced(1, 1).join('\n'), 'out_of_order 2'],
    [
      'two lines that changed places',
      (text) => {
        const all = text.split('\n');
        return [all[1], all[0], ...all.slice(2)].join('\n');
      },
      'out_of_order 1',
    ],
    ['a line twice', (text) => text.replace(/^(.*\n)/, '$1$1'), 'out_of_order 2'],
    [
      'a line of another chain',
      (text) => {
        const other = testChain('b')
          .lines(sessionEvents({ id: sessionId(3) }))
          .toString()
          .split('\n');
        return text
          .split('\n')
          .with(0, other[0] ?? '')
          .join('\n');
      },
      'not_linked 1',
    ],
    ['no line feed at the end', (text) => text.slice(0, -1), 'changed 6'],
    ['something else', () => 'hello\n', 'changed 1'],
    ['an empty line', (text) => `\n${text}`, 'changed 1'],
    ['a member twice', (text) => text.replace('"session":"', '"session":"x","session":"'), 'changed 1'],
  ])('with %s is a conflict at that line', (_, spoil, conflict) => {
    const { bytes } = lines();
    expect(conflictOf(() => readLines(Buffer.from(spoil(bytes.toString())), start))).toBe(conflict);
  });

  test('that is not UTF-8 is a conflict, not another text', () => {
    const { bytes } = lines();
    bytes[bytes.indexOf('hello')] = 0xff;
    expect(conflictOf(() => readLines(bytes, start))).toBe('changed 1');
  });

  test('is refused for any byte that is another', () => {
    const { bytes } = lines();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const spoilt = Buffer.from(bytes);
        spoilt[at] = (spoilt[at] ?? 0) ^ change;
        expect(conflictOf(() => readLines(spoilt, start))).not.toBe('none');
      }),
      { numRuns: 300 },
    );
  });

  test('does not fill the index, whatever a sidecar writes into it', () => {
    const chain = testChain();
    const [first, , last] = sessionEvents({
      id: sessionId(1),
      user: 'u'.repeat(10_000),
      model: 'a\nb',
      groups: Array.from({ length: 5_000 }, (_, n) => `g${n}`),
    });
    if (first === undefined || last?.type !== 'end') throw new Error('events');
    const rules = Array.from({ length: 5_000 }, (_, n) => ({ rule: `r${n}`, act: 'allowed' as const }));
    const read = readLines(chain.lines([first, { ...last, rules }]), start);
    expect(read.block.starts[0]?.subject).toHaveLength(256);
    expect(read.block.starts[0]?.groups).toHaveLength(1_025);
    expect(read.block.starts[0]?.model).toBe('a b');
    expect(read.block.ends[0]?.tags).toHaveLength(1_026);
  });
});

describe('what has just come', () => {
  test('is taken however many rules acted, as long as a frame holds it', () => {
    const act = { rule: 'a/b', act: 'denied', by: ['x'] } as const;
    const count = Math.floor((maxRecordBytes - 4_096) / (JSON.stringify(act).length + 1));
    const chain = testChain();
    const bytes = chain.lines(
      sessionEvents({ id: sessionId(1) }).map((event) =>
        event.type === 'end' ? { ...event, observed: Array.from({ length: count }, () => act) } : event,
      ),
    );
    expect(bytes.length).toBeGreaterThan(0.99 * maxRecordBytes);
    const { block } = readLines(bytes, start, 'sidecar');
    expect(block.ends[0]?.tags).toContain('observed:a/b');
  });

  const hashed = (body: object, seq = start.sequence + 1): Buffer => {
    const time = '2026-11-26T12:00:00.000Z';
    const text = `{"v":1,"seq":${seq},"time":"${time}","prev":"${start.hash}",${JSON.stringify(body).slice(1, -1)}`;
    return Buffer.from(`${text},"hash":"${hash('sha256', text, 'hex')}"}\n`);
  };
  const session = 'ab'.repeat(16);
  const fault = (body: object, from?: 'controller' | 'sidecar') =>
    conflictOf(() => readLines(hashed(body), start, from));
  const change = { type: 'change', session, what: 'approval', step: 'approved', name: 'payroll' };

  test('is spelled as its writer spells it: a type stands where each reader looks for it', () => {
    for (const from of ['controller', 'sidecar'] as const) {
      expect(fault({ x: 1, type: 'end', session }, from)).toBe('changed 1');
      expect(fault({ session, type: 'end' }, from)).toBe('changed 1');
      expect(fault({ x: { type: 'change' } }, from)).toBe('none');
      expect(fault({ type: 'end', x: 1, session }, from)).toBe('none');
    }
    // A store may have it from an older recorder.
    expect(fault({ x: 1, type: 'end', session })).toBe('none');
  });

  test('is a controller’s word, where it says who decided what, or is found as if it did', () => {
    const foreign = [
      change,
      ...['Approval', 'Grant', 'Token', 'Revocation', 'Process'].map((operation) => ({
        type: 'start',
        session,
        operation,
      })),
    ];
    for (const body of foreign) {
      expect(fault(body, 'sidecar')).toBe('foreign_change 1');
      expect(fault(body, 'controller')).toBe('none');
    }
    expect(fault({ type: 'start', session, operation: 'Chat' }, 'sidecar')).toBe('none');
  });
});
