import { createHash, createHmac } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import type { CredentialUse } from '../core/index.ts';
import { secretsOf, showCredential, signature, targetWithCredential, useFault } from './model-credential.ts';

const header: CredentialUse = { kind: 'Header', header: 'x-api-key', prefix: 'Key ' };
const query: CredentialUse = { kind: 'Query', parameter: 'key' };
const sigV4 = { kind: 'SigV4', region: 'us-east-1', service: 'bedrock' } as const;
const accessKey = 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

const shown = (use: CredentialUse, headers: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => {
  showCredential(use, 'secret-1', headers);
  return headers;
};

test('in a header, and a token in the same; elsewhere no header has it', () => {
  expect(shown(header)).toEqual({ 'x-api-key': 'Key secret-1' });
  const oauth = { tokenUrl: '', clientId: '', scopes: [], audience: undefined, shown: header };
  expect(shown({ kind: 'OAuth', ...oauth })).toEqual({ 'x-api-key': 'Key secret-1' });
  expect(shown(query)).toEqual({});
  expect(shown(sigV4, { 'X-Amz-Date': 'x', accept: 'a' })).toEqual({ accept: 'a' });
});

describe('in the query', () => {
  const inQuery = { use: query, value: 'secret-1' };
  test.each([
    ['/a', '/a?key=s%2F%3D%261'],
    ['/a?', '/a?key=s%2F%3D%261'],
    ['/a?b=1&c', '/a?b=1&c&key=s%2F%3D%261'],
    ['/a?b=1?2', '/a?b=1?2&key=s%2F%3D%261'],
  ])('behind %s', (target, expected) =>
    expect(targetWithCredential({ use: query, value: 's/=&1' }, target)).toBe(expected),
  );

  test.each(['key=x', 'key', 'k%65y=x', 'KEY=x', 'key%5B%5D=x', 'key[0]=x', '+key=x', 'key%20=x', 'b=1;key=x'])(
    'a caller’s own %s does not go on',
    (own) => {
      expect(targetWithCredential(inQuery, `/a?${own}`)).toMatch(/^\/a\?(b=1&)?key=secret-1$/);
      expect(targetWithCredential(inQuery, `/a?x=1&${own}&y=2`)).toMatch(/^\/a\?x=1&(b=1&)?y=2&key=secret-1$/);
    },
  );

  test('and nothing of the target changes where it goes elsewhere', () =>
    expect(targetWithCredential({ use: header, value: 'secret-1' }, '/a?key=1')).toBe('/a?key=1'));
});

test('what is looked for in answers: the text, or each part of an access key that is a secret', () => {
  expect(secretsOf(header, accessKey)).toEqual([accessKey]);
  const [, secret] = accessKey.split(':');
  expect(secretsOf(sigV4, accessKey)).toEqual([secret]);
  expect(secretsOf(sigV4, `${accessKey}:session+token==`)).toEqual([secret, 'session+token==']);
});

test('an access key has two or three parts', () => {
  expect(useFault(sigV4, accessKey)).toBeUndefined();
  expect(useFault(header, 'anything')).toBeUndefined();
  for (const bad of ['', 'AKID', 'AKID:', 'AKID:short', `${accessKey}:`, `${accessKey}:tooshort:x`, `${accessKey} `])
    expect(useFault(sigV4, bad)).toContain('ACCESS-KEY-ID:SECRET-ACCESS-KEY');
});

/** The other side's computation, written down from AWS's description of Signature Version 4. */
function expected(sent: OutgoingHttpHeaders, method: string, path: string, query: string, body: string): string {
  const { authorization, ...rest } = sent;
  const [, names = ''] = /SignedHeaders=([^,]+)/.exec(String(authorization)) ?? [];
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const all: OutgoingHttpHeaders = { host: 'models.example:8443', 'content-type': 'application/json', ...rest };
  const canonical = [
    method,
    path.split('/').map(encodeURIComponent).join('/'),
    query,
    ...names.split(';').map((name) => `${name}:${String(all[name])}`),
    '',
    names,
    hash(body),
  ].join('\n');
  const date = String(rest['x-amz-date']);
  const scope = `${date.slice(0, 8)}/us-east-1/bedrock/aws4_request`;
  const key = ['us-east-1', 'bedrock', 'aws4_request'].reduce<Buffer>(
    hmac,
    hmac(`AWS4${accessKey.split(':')[1] ?? ''}`, date.slice(0, 8)),
  );
  const signed = hmac(key, ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n')).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${signed}`;
}

describe('a signature', () => {
  const now = Date.UTC(2026, 10, 27, 4, 5, 6);
  const sign = (target: string, body: string | undefined, key = accessKey): Promise<OutgoingHttpHeaders> =>
    signature(
      sigV4,
      key,
      {
        method: 'POST',
        base: 'https://models.example:8443/base/',
        target,
        headers: { 'content-type': 'application/json', accept: 'x' },
        body: body === undefined ? undefined : Buffer.from(body),
      },
      now,
    );

  test.each([
    ['/model/a/invoke', '/base/model/a/invoke', '', '{"prompt":"é"}'],
    ['/model/a%3A0/invoke', '/base/model/a%3A0/invoke', '', ''],
    ['/m?b=2&a=1%2F2&c', '/base/m', 'a=1%2F2&b=2&c=', '{}'],
  ])('of %s is the one that the other side computes', async (target, path, query, body) => {
    const sent = await sign(target, body === '' ? undefined : body);
    expect(sent['x-amz-date']).toBe('20261127T040506Z');
    expect(sent['authorization']).toBe(expected(sent, 'POST', path, query, body));
    expect(String(sent['authorization'])).toContain('SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,');
    expect(Object.keys(sent).sort()).toEqual(['authorization', 'x-amz-content-sha256', 'x-amz-date']);
  });

  test('covers the session token, which is sent beside it', async () => {
    const sent = await sign('/m', '{}', `${accessKey}:session+token==`);
    expect(sent['x-amz-security-token']).toBe('session+token==');
    expect(String(sent['authorization'])).toContain(';x-amz-security-token,');
    expect(JSON.stringify(sent)).not.toContain(accessKey.split(':')[1]);
  });

  test('changes with each byte of the body', async () => {
    const [one, two] = [await sign('/m', '{}'), await sign('/m', '{ }')];
    expect(one['authorization']).not.toBe(two['authorization']);
  });
});
