// The init container: sets the pod's traffic rules, checks that they hold, and exits. Not zero: the pod does not start.
import { describeError } from '../../pkg/base/index.ts';
import { capture } from './capture.ts';
import { parseSettings, usage } from './settings.ts';

async function main(): Promise<number> {
  const read = parseSettings(process.argv.slice(2));
  if ('help' in read) {
    process.stdout.write(usage);
    return 0;
  }
  if ('faults' in read) {
    process.stderr.write(`${read.faults.join('\n')}\n\n${usage}`);
    return 2;
  }
  try {
    await capture(read.spec, process.getuid?.() ?? 0);
    process.stdout.write(
      `the rules hold: ports ${read.spec.ports.map(({ model }) => model).join(', ')} are governed\n`,
    );
    return 0;
  } catch (error) {
    process.stderr.write(`sidegate-init: ${describeErrorWhole(error)}\n`);
    return 1;
  }
}

/** This process has no callers: its whole message is for whoever reads the pod's status. */
const describeErrorWhole = (error: unknown): string => (error instanceof Error ? error.message : describeError(error));

process.exitCode = await main();
