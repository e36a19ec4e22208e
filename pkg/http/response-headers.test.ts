import { expect, test } from '@jest/globals';
import { isHopByHop, requestHeadersToModel, responseHeadersToCaller } from './response-headers.ts';

test('the caller’s credentials, cookies, addresses and connection headers never reach the model', () => {
  const never = {
    authorization: 'Bearer a',
    cookie: 'a',
    'x-api-key': 'a',
    'api-key': 'a',
    'x-goog-api-key': 'a',
    'proxy-authorization': 'a',
    'x-forwarded-for': 'a',
    'x-forwarded-host': 'a',
    'x-real-ip': 'a',
    forwarded: 'a',
    host: 'a',
    connection: 'a',
    te: 'a',
    upgrade: 'a',
    'transfer-encoding': 'a',
    'content-length': '1',
    'content-encoding': 'gzip',
    expect: 'a',
    'x-anything': 'a',
  };
  const passed = {
    'content-type': 'a',
    accept: 'b',
    'user-agent': 'c',
    traceparent: 'd',
    'x-request-id': 'e',
    'openai-beta': 'f',
    'anthropic-version': 'g',
  };
  expect(requestHeadersToModel({ ...never, ...passed })).toEqual(passed);
});

test('the model’s cookies, names, links and connection headers never reach the caller', () => {
  const never = {
    'set-cookie': ['a'],
    server: 'uvicorn',
    'x-powered-by': 'a',
    link: 'a',
    location: 'a',
    connection: 'close',
    'transfer-encoding': 'chunked',
    'content-length': '1',
    'content-encoding': 'gzip',
    'access-control-allow-origin': '*',
    'www-authenticate': 'Bearer',
    authorization: 'a',
    date: 'a',
  };
  const passed = {
    'content-type': 'a',
    'retry-after': '1',
    'x-request-id': 'b',
    'openai-processing-ms': '2',
    'cache-control': 'no-cache',
  };
  expect(responseHeadersToCaller({ ...never, ...passed })).toEqual(passed);
});

test('what the Connection header names does not pass', () => {
  expect(
    requestHeadersToModel({
      connection: 'close, X-Request-Id , accept',
      'x-request-id': 'a',
      accept: 'b',
      'user-agent': 'c',
    }),
  ).toEqual({ 'user-agent': 'c' });
  expect(requestHeadersToModel({ connection: 'keep-alive', accept: 'b' })).toEqual({ accept: 'b' });
});

test('hop-by-hop headers are known by name', () => {
  expect(['connection', 'te', 'upgrade', 'transfer-encoding', 'http2-settings'].every(isHopByHop)).toBe(true);
  expect(isHopByHop('content-type')).toBe(false);
});
