import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { CodedError, createLogger, silentLogger } from '../base/index.ts';
import { ForwardAutomaton } from '../detect/automaton/forward.ts';
import type { PolicySource, ResponsePlan, Snapshot } from '../core/index.ts';
import { compileSnapshot } from '../core/index.ts';
import { allow, anyone, caller, group, label, match, oidc, policy, provider } from '../core/testing/policies.ts';
import { compileViews, RuntimeHolder } from './runtime.ts';

const snapshotOf = (revision: number): Snapshot =>
  compileSnapshot(
    [
      policy(`p${revision}`, {
        access: [allow('all', { subjects: [anyone] })],
        upstream: {
          ports: [],
          hosted: undefined,
          credential: {
            source: { kind: 'File', path: 'key' },
            use: { kind: 'Header', header: 'authorization', prefix: 'Bearer ' },
          },
        },
      }),
    ],
    { revision },
  );

const holders: RuntimeHolder[] = [];
afterEach(() => holders.splice(0).forEach((one) => one.close()));

function make(credential = 'model-key-0001') {
  const clock = fakeClock();
  let put: (snapshot: Snapshot) => void = () => undefined;
  const settled: (string | undefined)[] = [];
  const source: PolicySource = {
    current: () => snapshotOf(1),
    subscribe(listener) {
      put = listener;
      return () => undefined;
    },
    problem: () => undefined,
    settled: (fault) => void settled.push(fault),
    ageMs: () => 0,
    close: () => Promise.resolve(),
  };
  const world = { credential, broken: false, faults: 0, closed: 0, open: 0 };
  const holder = new RuntimeHolder({
    source,
    credentials: { read: () => world.credential, close: () => undefined },
    verifiers() {
      if (world.broken) throw new CodedError('broken_provider', 'this provider cannot be used');
      world.open++;
      return {
        verify: () => Promise.resolve({ kind: 'absent' }),
        clientAuthorities: () => undefined,
        close: () => void world.open--,
      };
    },
    tokens: { read: () => undefined, refused: () => undefined, close: () => undefined },
    hashKey: Buffer.alloc(32, 7),
    clock,
    logger: silentLogger,
    onFault: () => world.faults++,
  });
  holders.push(holder);
  return { world, holder, settled, clock, put: (revision: number) => put(snapshotOf(revision)) };
}

describe('a policy that cannot be put into force', () => {
  test('leaves nothing in force, says so, and the next good one is', () => {
    const { world, holder, settled, put } = make();
    expect(holder.current?.snapshot.revision).toBe(1);
    world.credential = 'k'.repeat(4_097);
    put(2);
    expect(holder.current).toBeUndefined();
    expect(holder.absence).toBe('policy_invalid');
    expect(settled).toEqual([undefined, 'invalid_credential']);
    expect([world.faults, world.open]).toEqual([1, 0]);
    world.credential = 'model-key-0002';
    put(3);
    expect(holder.current?.snapshot.revision).toBe(3);
    expect(settled.at(-1)).toBeUndefined();
    expect(world.open).toBe(1);
  });

  test('because of a verifier: the same', () => {
    const { world, holder, settled } = make();
    world.broken = true;
    // Providers that did not change keep theirs: here nothing is in force, so that none is kept.
    world.credential = 'short';
    expect(holder.current).toBeUndefined();
    world.credential = 'model-key-0002';
    expect(holder.current).toBeUndefined();
    expect(settled).toEqual([undefined, 'invalid_credential', 'broken_provider']);
    expect(world.open).toBe(0);
  });

  test('is tried again when the credential changes, not at each request', () => {
    const { world, holder, settled, clock } = make();
    world.credential = 'short';
    clock.advance(1_000);
    for (let n = 0; n < 3; n++) expect(holder.current).toBeUndefined();
    expect(settled).toEqual([undefined, 'invalid_credential']);
    world.credential = 'model-key-0002';
    expect(holder.current?.credential).toBe('model-key-0002');
  });

  test('at a part that cannot take it: the same', () => {
    const { world, holder, settled, put } = make();
    holder.onSwap(() => {
      throw new Error('this part cannot');
    });
    put(2);
    expect(holder.current).toBeUndefined();
    expect(settled).toEqual([undefined, 'unknown']);
    expect(world.open).toBe(0);
  });
});

describe('the model’s credential', () => {
  test.each([8, 4_096])('of %i characters is found again in an answer', (length) => {
    const credential = '-key.[x]'.repeat(length / 8);
    const { holder } = make(credential);
    const runtime = holder.current!;
    const { act } = runtime.responseViews(runtime.snapshot.responsePlan(undefined));
    expect(act.mask(`the key is ${credential} ok`, 'text', 'complete').text).toBe('the key is [credential] ok');
  });

  test.each([1, 7, 4_097, 8_000])('of %i characters, which would not be, is never sent', (length) => {
    const { holder } = make('k'.repeat(length));
    expect(holder.current).toBeUndefined();
    expect(holder.absence).toBe('policy_invalid');
  });
});

describe('the views of a policy with many outcomes', () => {
  const labels = ['Email', 'Iban', 'UsSsn', 'Phone', 'Jwt', 'AwsKey'];
  const snapshot = compileSnapshot(
    [
      policy('p', {
        providers: [provider('corp', { oidc: oidc('https://issuer.example.com') })],
        classification: labels.map((name) => label(name, { match: match(name), visibleTo: [group(name)] })),
      }),
    ],
    { revision: 1 },
  );
  /** Callers who may see different ones each. */
  const plans = Array.from({ length: 64 }, (_, bits) =>
    snapshot.responsePlan(
      caller(snapshot.providers[0]?.id ?? '', { groups: labels.filter((_name, at) => ((bits >> at) & 1) === 1) }),
    ),
  );

  test('are kept for those who came last', () => {
    const { responseViews } = compileViews(snapshot, undefined, new Uint8Array(32));
    expect(new Set(plans).size).toBe(64);
    const [first, second] = plans.slice(0, 2).map(responseViews);
    for (const plan of plans.slice(2, 33)) {
      responseViews(plan);
      expect(responseViews(plans[0] as ResponsePlan)).toBe(first);
    }
    expect(responseViews(plans[1] as ResponsePlan)).not.toBe(second);
  });

  test('share the automata of what they look for, whatever they do with it', () => {
    const { responseViews } = compileViews(snapshot, undefined, new Uint8Array(32));
    const built = jest.spyOn(ForwardAutomaton.prototype, 'begin');
    const text = 'to a@bc.de';
    for (const plan of plans)
      expect(responseViews(plan).pair.mask(text, 'prose', 'complete').record.text).not.toBe(text);
    const automata = new Set(built.mock.contexts);
    built.mockRestore();
    // The same for all pairs, since the record hides all labels: three, by how what they look for begins.
    expect(automata.size).toBe(3);
  });
});

describe('a long path or name of a model', () => {
  const snapshot = compileSnapshot([policy('p', { classification: [label('pii', { match: match('CreditCard') })] })], {
    revision: 1,
  });
  const { forRecord, nameForRecord } = compileViews(snapshot, undefined, new Uint8Array(32));
  const card = '4111111111111111';

  test('is recorded up to 256 characters, and says so', () => {
    const whole = `/${'a-'.repeat(127)}b`;
    expect(nameForRecord(whole)).toBe(whole);
    expect(nameForRecord(`${whole}c`)).toBe(`${whole}…`);
    expect(nameForRecord(`${whole}${card.repeat(500)}`)).toBe(`${whole}…`);
    expect(nameForRecord(`${'a'.repeat(255)}😀`)).toBe(`${'a'.repeat(255)}\uFFFD…`);
    expect(forRecord(`${whole}c`)).toBe(`${whole}c`);
  });

  test('is masked where it is cut, too', () => {
    for (let at = 8; at <= 16; at++) {
      const lead = '/'.padEnd(256 - at, 'a-');
      expect(nameForRecord(`${lead}${card}/more`)).toBe(`${lead}[pii]…`);
    }
    expect(nameForRecord(`/${'a-'.repeat(117)}4111%2D1111%2D1111%2D1111/more`)).toBe('[disguised]…');
  });
});

describe('a token that a token endpoint gives', () => {
  const oauth = (proxyOf?: (url: URL) => undefined) => {
    const lines: string[] = [];
    const use = {
      kind: 'OAuth',
      tokenUrl: 'https://idp.test/token',
      clientId: 'c',
      scopes: [],
      audience: undefined,
      shown: { kind: 'Header', header: 'authorization', prefix: 'Bearer ' },
    } as const;
    const upstream = {
      ports: [],
      hosted: undefined,
      credential: { source: { kind: 'File', path: 'key' }, use },
    } as const;
    const snapshot = compileSnapshot([policy('p', { access: [allow('all', { subjects: [anyone] })], upstream })], {
      revision: 1,
    });
    const given = { token: 'access-token-1' as string | undefined };
    const clock = fakeClock();
    const holder = new RuntimeHolder({
      source: {
        current: () => snapshot,
        subscribe: () => () => undefined,
        problem: () => undefined,
        ageMs: () => 0,
        close: () => Promise.resolve(),
      },
      credentials: { read: () => 'the-client-secret', close: () => undefined },
      tokens: { read: () => given.token, refused: () => undefined, close: () => undefined },
      ...(proxyOf !== undefined && { proxyOf }),
      verifiers: () => ({
        verify: () => Promise.resolve({ kind: 'absent' }),
        clientAuthorities: () => undefined,
        close: () => undefined,
      }),
      hashKey: Buffer.alloc(32, 7),
      clock,
      logger: createLogger({ clock, level: 'info', write: (line) => void lines.push(line) }),
    });
    holders.push(holder);
    return { holder, given, clock, lines };
  };

  test('is the one that goes to the model and is looked for; another is another runtime of the same policy', () => {
    const { holder, given, clock } = oauth();
    const before = holder.current;
    expect(before?.credential).toBe('access-token-1');
    given.token = 'access-token-2';
    clock.advance(1_000);
    expect(holder.latest).not.toBe(before);
    expect(holder.latest).toMatchObject({ credential: 'access-token-2' });
    expect(holder.latest?.snapshot).toBe(before?.snapshot);
  });

  test('is none where the environment names a proxy that is not spoken to: said once, and nothing ends by it', () => {
    const { holder, clock, lines } = oauth(() => {
      throw new TypeError('a proxy must be http://HOST:PORT, without name and password');
    });
    expect(holder.current).toMatchObject({ credential: undefined });
    clock.advance(5_000);
    expect(lines.filter((line) => line.includes('a proxy must be'))).toHaveLength(1);
  });
});
