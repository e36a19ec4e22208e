// The data plane. Some of what memory.ts sets must be there before the process is: it puts itself in its own place with that
// (execve: same process, same files, 25 ms), so that it holds however the sidecar is started.
import { wantedLaunch } from './memory.ts';

const launch = wantedLaunch(process);
if (launch !== undefined && process.execve !== undefined) {
  const program = [process.execPath, ...launch.execArgv, import.meta.filename, ...process.argv.slice(2)];
  process.execve(process.execPath, program, { ...launch.env });
}
await import('./run.ts');
