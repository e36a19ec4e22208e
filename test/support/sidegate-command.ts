import { readFileSync } from 'node:fs';
import { openCluster } from '../../cmd/kubectl-sidegate/open-cluster.ts';
import { run } from '../../pkg/cli/index.ts';
import type { CommandIo, ExitCode } from '../../pkg/cli/index.ts';
import { noFolder } from './no-folder.ts';
import { noLogin } from './no-login.ts';

/** What a command wrote, and how it ended. */
export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** `kubectl sidegate` as a person types it, on a real cluster: reads files and writes none, does not wait, and nobody answers a question. */
export async function sidegateCommand(args: readonly string[], more: Partial<CommandIo> = {}): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(args, {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile: (path) => readFileSync(path, 'utf8'),
    writeFile: () => undefined,
    checkPattern: () => undefined,
    login: noLogin,
    publicRoots: [],
    now: () => Date.now(),
    // Never long, and never without a turn of the event loop.
    sleep: (ms) => new Promise((resolve) => void setTimeout(resolve, Math.min(ms, 20))),
    folder: noFolder,
    openCluster,
    ask: () => Promise.reject(new Error('nobody is there')),
    ...more,
  });
  return { code, out: out.join(''), err: err.join('') };
}
