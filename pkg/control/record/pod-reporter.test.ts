import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import type { PodReport } from '../../wire/index.ts';
import { startPodReporter } from './pod-reporter.ts';

test('the leader misses pods of which the recorder knows, also by the trust domain that was before', async () => {
  const clock = fakeClock();
  const reports: PodReport[] = [];
  const of = (uid: string, domain: string): string => `spiffe://${domain}/ns/ml/sa/llama/pod/${uid}`;
  const reporter = startPodReporter({
    client: () => ({
      report: async (report) => void reports.push(report),
      present: async () => [
        of('gone', 'cluster.local'),
        of('gone', 'old.example'),
        of('there', 'old.example'),
        'spiffe://old.example/something',
      ],
    }),
    trustDomain: 'cluster.local',
    clock,
    logger: silentLogger,
    leading: () => true,
    exists: ({ uid }) => uid === 'there',
  });
  await clock.advanceAsync(125_000);
  expect(reports.flatMap(({ gone }) => gone.map(({ source }) => source)).sort()).toEqual([
    of('gone', 'cluster.local'),
    of('gone', 'old.example'),
  ]);
  await reporter.close();
});
