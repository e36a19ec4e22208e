// The load process: does one job at a time and says what it saw. Its processor time is not part of any figure.
import { beside, connects, paced } from './paced.ts';
import { calls } from './calls.ts';
import { closed } from './closed.ts';
import { messages } from './messages.ts';
import { firsts, streams } from './streams.ts';
import type { Job } from './jobs.ts';

function run(job: Job): Promise<unknown> {
  switch (job.kind) {
    case 'closed':
      return closed(job);
    case 'calls':
      return calls(job);
    case 'messages':
      return messages(job);
    case 'paced':
      return paced(job);
    case 'firsts':
      return firsts(job);
    case 'streams':
      return streams(job);
    case 'connects':
      return connects(job);
    case 'beside':
      return beside(job);
    default:
      return Promise.reject(new Error('unknown job'));
  }
}

process.on('message', (job: Job) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: 0 });
