// The sidecar of a pod as a process, with files in place of the controller's stream: `pod-main.ts FOLDER FLAGS…`.
import { flushCompileCache } from 'node:module';
import { parsePodSettings } from '../../cmd/sidecar/pod-settings.ts';
import { runPod } from '../../cmd/sidecar/pod.ts';
import { fileController } from './file-controller.ts';

// Now: who is killed leaves nothing of it to the next one.
flushCompileCache();
const [folder = '', ...flags] = process.argv.slice(2);
const parsed = parsePodSettings(flags, process.env);
if (!('settings' in parsed)) {
  process.stderr.write('faults' in parsed ? parsed.faults.join('\n') : 'this has no help\n');
  process.exit(2);
}
await runPod(parsed.settings, (options) => fileController(folder, options));
