import { expect, test } from '@jest/globals';
import { looksHosted } from './hosted.ts';

test.each([
  ['http://127.0.0.1:8000', false],
  ['http://[::1]:8000', false],
  ['http://localhost:11434', false],
  ['http://10.1.2.3', false],
  ['http://172.31.0.1', false],
  ['http://192.168.1.1', false],
  ['http://[fd00::1]', false],
  ['http://gpu-box:8000', false],
  ['http://gpu-box.local:8000', false],
  ['http://vllm.ml.svc:8000', false],
  ['http://vllm.ml.svc.cluster.local', false],
  ['http://model.localhost.', false],
  ['http://2130706433', false],
  ['http://0.0.0.0:8000', false],
  ['http://[::]:8000', false],
  ['http://vllm.ml.svc.corp.example', false],
  ['http://pod-0.vllm.ml.svc.corp.example.', false],
  ['https://svc.example.com', true],
  ['https://api.svc.example.com', true],
  ['https://my-svc.example.com', true],
  ['https://api.example.com', true],
  ['https://api.example.com.', true],
  ['http://172.32.0.1', true],
  ['http://8.8.8.8', true],
  ['http://[2001:db8::1]', true],
  ['http://[::ffff:8.8.8.8]', true],
  ['https://local.example.com', true],
  ['https://evillocal.com', true],
])('%s: %s', (url, hosted) => {
  expect(looksHosted(new URL(url))).toBe(hosted);
});
