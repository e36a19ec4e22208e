// Reads what the sidecar is told and runs it: in a pod, as injection starts it, or on its own, with files.
import { describeError } from '../../pkg/base/index.ts';
import { outliveLog, refuseSettings } from '../../pkg/process/index.ts';
import { isInPod, parsePodSettings } from './pod-settings.ts';
import { parseSettings, usage } from './settings.ts';

outliveLog();
const args = process.argv.slice(2);

async function run(): Promise<void> {
  // Each loads only what it needs: the schema of policies is not in a pod's memory, the stream not in the demo's.
  if (isInPod(args)) {
    const parsed = parsePodSettings(args, process.env);
    if ('help' in parsed) return void process.stdout.write(usage);
    if ('faults' in parsed) return refuseSettings('sidecar', parsed.faults);
    const [{ runPod }, { connectController }] = await Promise.all([
      import('./pod.ts'),
      import('../../pkg/remote/index.ts'),
    ]);
    return runPod(parsed.settings, connectController);
  }
  const parsed = parseSettings(args, process.env);
  if ('help' in parsed) return void process.stdout.write(usage);
  if ('faults' in parsed) return refuseSettings('sidecar', parsed.faults);
  const { runFiles } = await import('./files.ts');
  return runFiles(parsed.settings);
}

run().catch((error: unknown) => {
  process.stderr.write(`sidecar: cannot start: ${describeError(error)}\n`);
  process.exit(1);
});
