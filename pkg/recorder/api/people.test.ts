import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Secret, silentLogger, systemClock } from '../../base/index.ts';
import { compileRevocations } from '../../core/index.ts';
import type { Revocation } from '../../core/index.ts';
import { signedToken, signingKey, startKeyServer } from '../../../test/support/issuer-keys.ts';
import type { KeyServer, SigningKey } from '../../../test/support/issuer-keys.ts';
import { createAuditAuthorizer } from './authorize.ts';
import { createPeople } from './people.ts';
import type { People } from './people.ts';
import { parsePeople } from './people-settings.ts';
import type { Revoked } from './revoked.ts';

let server: KeyServer;
let key: SigningKey;
let people: People;
/** Undefined: the list was not read yet. */
let list: readonly Revocation[] | undefined = [];
const revoked: Revoked = {
  revokes(who) {
    if (list === undefined) throw new Error('the list of revoked tokens was not read yet');
    return compileRevocations(list).revokes(who, Date.now());
  },
};
beforeEach(() => {
  list = [];
});
beforeAll(async () => {
  server = await startKeyServer();
});
afterAll(() => server.close());
beforeEach(() => {
  key = signingKey('ES256', 'one');
  server.publish(key);
  people = createPeople(
    parsePeople(
      JSON.stringify({
        issuer: server.issuer,
        audiences: ['recorder'],
        roles: [
          { value: 'soc', role: 'Investigator', namespaces: ['*'] },
          { value: 'ml-audit', role: 'Auditor', namespaces: ['ml', 'chat'] },
          { value: 'rag-cases', role: 'Investigator', namespaces: ['rag'] },
        ],
      }),
    ),
    { revoked, clock: systemClock, logger: silentLogger },
  );
});
afterEach(() => people.close());

const token = (claims: object = {}, by = key): Secret =>
  new Secret(
    signedToken(by, {
      iss: server.issuer,
      aud: 'recorder',
      sub: 'ana',
      groups: ['soc'],
      exp: Math.floor(Date.now() / 1_000) + 600,
      ...claims,
    }),
  );
const rights = async (groups: unknown) => {
  const person = await people.prove(token({ groups }));
  const { role, namespaces } = person ?? {};
  return {
    role,
    namespaces,
    reads: ['ml', 'rag', undefined].map((namespace) => person?.mayRead(namespace)),
    holds: person?.mayChange(),
  };
};

describe('what a claim gives', () => {
  test.each([
    [['soc'], { role: 'Investigator', namespaces: ['*'], reads: [true, true, true], holds: true }],
    [['ml-audit'], { role: 'Auditor', namespaces: ['chat', 'ml'], reads: [true, false, false], holds: false }],
    ['ml-audit', { role: 'Auditor', namespaces: ['chat', 'ml'], reads: [true, false, false], holds: false }],
    [['rag-cases'], { role: 'Investigator', namespaces: ['rag'], reads: [false, true, false], holds: false }],
    [
      ['rag-cases', 'ml-audit', 'x'],
      { role: 'Investigator', namespaces: ['chat', 'ml', 'rag'], reads: [true, true, false], holds: false },
    ],
    [['SOC', 'so', 'soc '], { role: undefined, namespaces: [], reads: [false, false, false], holds: false }],
    [undefined, { role: undefined, namespaces: [], reads: [false, false, false], holds: false }],
  ])('%j', async (groups, expected) => {
    expect(await rights(groups)).toEqual(expected);
  });
});

describe('a token', () => {
  test('proves somebody by issuer and subject', async () => {
    expect(await people.prove(token())).toMatchObject({ issuer: server.issuer, subject: 'ana' });
  });

  test.each([
    ['for somebody else', { aud: 'another' }],
    ['that has ended', { exp: 1_000 }],
    ['of another issuer', { iss: 'https://other.example' }],
  ])('%s proves nobody', async (_, claims) => {
    expect(await people.prove(token(claims))).toBeUndefined();
  });

  test('of a key that the issuer does not have proves nobody, until it has', async () => {
    expect(await people.prove(token())).toBeDefined();
    const next = signingKey('ES256', 'two');
    const [forged, rotated] = [token({}, signingKey('ES256', 'one')), token({}, next)];
    expect(await people.prove(forged)).toBeUndefined();
    server.publish(key, next);
    expect(await people.prove(rotated)).toMatchObject({ subject: 'ana' });
  });

  test('is not judged while the issuer was never reached: that is no refusal', async () => {
    server.stop();
    const other = createPeople(
      { issuer: server.issuer, audiences: ['recorder'], claim: 'groups', subjectClaim: 'sub', roles: [] },
      { revoked, clock: systemClock, logger: silentLogger },
    );
    await expect(other.prove(token())).rejects.toThrow('cannot be had');
    other.close();
    server.resume();
  });
});

describe('the authorizer', () => {
  const asked: object[] = [];
  const client = {
    create: (_: unknown, object: object): Promise<never> => {
      asked.push(object);
      const status = { authenticated: true, user: { username: 'system:admin' }, audiences: ['sidegate.dev/recorder'] };
      return Promise.resolve({ status: { ...status, allowed: true } } as never);
    },
  };

  test('asks Kubernetes about its own tokens, and about nothing of the provider’s', async () => {
    const authorizer = createAuditAuthorizer(client, systemClock, revoked, people);
    const ana = await authorizer.authenticate(token({ groups: ['ml-audit'] }));
    if (ana === undefined) throw new Error('ana is proven');
    expect(ana).toMatchObject({ username: `${server.issuer}#ana` });
    const may = [authorizer.mayRead(ana, 'ml'), authorizer.mayRead(ana, undefined), authorizer.mayChange(ana)];
    expect(await Promise.all(may)).toEqual([true, false, false]);
    // Forged in the provider's name: Kubernetes is not there to be tried next.
    expect(await authorizer.authenticate(token({}, signingKey('ES256', 'one')))).toBeUndefined();
    expect(asked).toEqual([]);
    const account = await authorizer.authenticate(new Secret('a.kubernetes.token'));
    expect(account).toMatchObject({ username: 'system:admin' });
    expect(account && (await authorizer.mayChange(account))).toBe(true);
    expect(asked).toHaveLength(2);
  });
});

describe('who was revoked', () => {
  const until = Date.now() + 600_000;

  test('proves nobody, by subject or by the token’s id; nobody else is touched', async () => {
    list = [{ issuer: server.issuer, subject: 'ana', until }];
    expect(await people.prove(token())).toBeUndefined();
    expect(await people.prove(token({ sub: 'bob' }))).toMatchObject({ subject: 'bob' });
    list = [{ issuer: server.issuer, tokenId: 'stolen', until }];
    expect(await people.prove(token({ jti: 'stolen' }))).toBeUndefined();
    expect(await people.prove(token({ jti: 'another' }))).toMatchObject({ subject: 'ana' });
    list = [{ issuer: 'https://other', subject: 'ana', until }];
    expect(await people.prove(token())).toMatchObject({ subject: 'ana' });
    list = [{ issuer: server.issuer, subject: 'ana', until: Date.now() - 1 }];
    expect(await people.prove(token())).toMatchObject({ subject: 'ana' });
  });

  test('is not known until the list was read: that is no, for now', async () => {
    list = undefined;
    await expect(people.prove(token())).rejects.toThrow('not read yet');
  });

  test('counts for Kubernetes’ own tokens, too', async () => {
    const issuer = 'https://kubernetes.default.svc';
    const subject = 'system:serviceaccount:sidegate-system:sidegate-auditor';
    const user = { authenticated: true, user: { username: subject }, audiences: ['sidegate.dev/recorder'] };
    const client = { create: (): Promise<never> => Promise.resolve({ status: user } as never) };
    const authorizer = createAuditAuthorizer(client, systemClock, revoked, people);
    const account = token({ iss: issuer, sub: subject, jti: 'one' });
    expect(await authorizer.authenticate(account)).toMatchObject({ username: subject });
    list = [{ issuer, tokenId: 'one', until }];
    expect(await authorizer.authenticate(account)).toBeUndefined();
    list = [{ issuer, subject, until }];
    expect(await authorizer.authenticate(account)).toBeUndefined();
    list = undefined;
    await expect(authorizer.authenticate(account)).rejects.toThrow('not read yet');
  });
});

describe('settings', () => {
  const good = { issuer: 'https://idp.example.com/realm', audiences: ['recorder'] };
  test('give nobody anything where no role is named', () => {
    expect(parsePeople(JSON.stringify(good))).toEqual({ ...good, claim: 'groups', subjectClaim: 'sub', roles: [] });
  });

  test.each<[unknown, string]>([
    [[], 'oidc: it must be an object'],
    [{ ...good, issuer: 'http://idp.example.com' }, 'issuer must be an https:// address'],
    [{ ...good, issuer: 'https://idp.example.com/#a' }, 'issuer must be an https:// address'],
    [{ ...good, audiences: [] }, 'audiences must be a list'],
    [{ ...good, audience: 'recorder' }, 'there is no audience'],
    [{ ...good, claim: '' }, 'claim must name a claim'],
    [{ ...good, claim: 'email' }, 'claim email needs subjectClaim email'],
    [{ ...good, roles: {} }, 'roles must be a list'],
    [{ ...good, roles: ['soc'] }, 'roles[0] must be an object'],
    [{ ...good, roles: [{ value: 'soc', role: 'Admin', namespaces: ['*'] }] }, 'role must be Auditor or Investigator'],
    [{ ...good, roles: [{ value: 'soc', role: 'Auditor', namespaces: [] }] }, 'namespaces must be a list of 1'],
    [{ ...good, roles: [{ value: 'soc', role: 'Auditor', namespaces: ['ml*'] }] }, 'namespaces must be a list of 1'],
    [{ ...good, roles: [{ value: 'soc', role: 'Auditor' }] }, 'namespaces must be a list of 1'],
    [{ ...good, roles: [{ value: '', role: 'Auditor', namespaces: ['ml'], to: 1 }] }, 'roles[0] has no to'],
  ])('%j are refused', (value, fault) => {
    expect(() => parsePeople(JSON.stringify(value))).toThrow(fault);
  });

  test('that are no JSON are refused', () => {
    expect(() => parsePeople('{')).toThrow('oidc: this is no JSON');
  });
});
