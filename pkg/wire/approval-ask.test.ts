import { expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { readUpMessage } from './index.ts';

const ask = (rules: number): object => ({
  ...{ type: 'approval-ask', id: 'a', direction: 'Request', operation: 'Chat', model: null, session: 's', excerpt: '' },
  rules: Array.from({ length: rules }, (_, at) => `p/rule-${at}`),
  requester: { provider: 'ml/p/corp', issuer: 'https://idp', subject: 'ana', kubernetesUser: null },
  digest: `sha256:${'a'.repeat(64)}`,
  snapshot: 'b'.repeat(64),
});
const read = (message: object): unknown => readUpMessage(parseJson(JSON.stringify(message)));

test('as many rules as policies have may hold a request together', () => {
  expect(read(ask(256))).toEqual(ask(256));
  expect(() => read(ask(257))).toThrow('rules');
});
