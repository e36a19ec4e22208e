import { expect, test } from '@jest/globals';
import { silentLogger } from '../../base/index.ts';
import { createAckBook } from './ack-book.ts';

const uid = (name: string): string => name.padStart(36, '0');

test('a namespace with very many policies costs no other its counts, and the whole fits into a ConfigMap', () => {
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (_text: string, fields: unknown) => warned.push(fields) };
  const book = createAckBook(logger as never);
  const report = (namespace: string, name: string, policies: number): void => {
    const own = Array.from({ length: policies }, (_, at) => ({
      ...{
        kind: 'InferencePolicy' as const,
        namespace,
        name: `p${at}`,
        uid: uid(`${namespace}${name}${at}`),
        generation: 7,
      },
    }));
    const platform = {
      kind: 'ClusterInferencePolicy' as const,
      namespace: undefined,
      name: 'all',
      uid: uid('all'),
      generation: 3,
    };
    book.report({ pod: { namespace, name, uid: uid(name) }, sources: [platform, ...own], problem: undefined } as never);
  };
  for (let at = 0; at < 23; at++) report('big', `a${at}`, 999);
  report('ml', 'b', 2);
  const { policies } = book.summary();
  expect(Object.keys(policies).sort()).toEqual([uid('all'), uid('mlb0'), uid('mlb1')].sort());
  expect(policies[uid('all')]).toEqual({ 3: 24 });
  book.summary();
  expect(warned).toEqual([{ namespaces: 'big' }]);

  // As many as there may be.
  for (let at = 0; at < 9; at++) book.disconnected({ namespace: 'big', name: `a${at}`, uid: uid(`a${at}`) });
  const most = book.summary();
  expect(Object.keys(most.policies)).toHaveLength(14 * 999 + 3);
  expect(JSON.stringify(most).length).toBeLessThan(900_000);
});
