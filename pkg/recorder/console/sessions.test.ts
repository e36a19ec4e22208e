import { beforeEach, describe, expect, test } from '@jest/globals';
import { Secret } from '../../base/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { createRate } from './rate.ts';
import { createSessions } from './sessions.ts';
import type { Sessions } from './sessions.ts';

let clock: FakeClock;
let sessions: Sessions;
beforeEach(() => {
  clock = fakeClock();
  sessions = createSessions({ idleMs: 1_000, lifeMs: 5_000, each: 2, all: 4 }, clock);
});
const open = (subject: string, issuer = 'https://idp.test'): string =>
  sessions.open({
    issuer,
    subject,
    name: subject,
    tokens: { token: new Secret('t'), refresh: undefined, name: undefined },
  });
const stand = (cookies: readonly string[]): readonly boolean[] =>
  cookies.map((cookie) => sessions.find(cookie) !== undefined);

describe('sessions', () => {
  test('have cookies and tokens that nobody guesses, none like another', () => {
    const cookies = [open('ana'), open('ana')];
    const all = [...cookies, ...cookies.map((cookie) => sessions.find(cookie)?.csrf ?? '')];
    expect(new Set(all).size).toBe(4);
    for (const one of all) expect(Buffer.from(one, 'base64url')).toHaveLength(32);
    expect(stand(['', 'x', `${cookies[0] ?? ''}x`])).toEqual([false, false, false]);
  });

  test('end without use, and in their time with it', () => {
    const [used, unused] = [open('ana'), open('bob')];
    for (let ms = 0; ms < 4_800; ms += 600) {
      clock.advance(600);
      expect(stand([used])).toEqual([true]);
    }
    expect(stand([unused])).toEqual([false]);
    const session = sessions.find(used);
    expect(session && sessions.leftMs(session)).toBe(200);
    clock.advance(200);
    expect(stand([used])).toEqual([false]);
    expect(sessions.size).toBe(0);
  });

  test('of one person too many end the oldest of theirs, of all too many the oldest of all', () => {
    const bob = open('bob');
    const ana = [open('ana'), open('ana'), open('ana')];
    expect(stand([bob, ...ana])).toEqual([true, false, true, true]);
    // Another issuer's ana is another person.
    const other = open('ana', 'https://other.test');
    expect(stand([bob, ...ana, other])).toEqual([true, false, true, true, true]);
    const cyd = open('cyd');
    expect(stand([bob, ...ana, other, cyd])).toEqual([false, false, true, true, true, true]);
    expect(sessions.size).toBe(4);
  });

  test('that have ended take nobody’s place', () => {
    open('ana');
    open('bob');
    open('cyd');
    clock.advance(1_000);
    const fresh = ['dan', 'eve', 'fay', 'gus'].map((one) => open(one));
    expect(stand(fresh)).toEqual([true, true, true, true]);
  });
});

describe('logins', () => {
  test('are tried five times each, and take nothing from others', () => {
    const admitted = createRate(clock);
    const tried = (login: string, times: number): number =>
      Array.from({ length: times }, () => admitted(login)).filter(Boolean).length;
    expect([tried('a', 200), tried('b', 4), tried('b', 4)]).toEqual([5, 4, 1]);
    clock.advance(60_000);
    expect(tried('a', 20)).toBe(0);
  });

  test('of all browsers together are limited', () => {
    const admitted = createRate(clock);
    const passed = Array.from({ length: 500 }, (_, n) => admitted(`login ${n}`)).filter(Boolean).length;
    expect(passed).toBe(300);
  });
});
