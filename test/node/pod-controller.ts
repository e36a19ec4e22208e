import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { InjectOptions } from '../../pkg/inject/index.ts';
import type { ClusterNode } from '../cluster/node.ts';
import { compileCache } from '../support/compile-cache.ts';

/** The stream of a controller, from a process on the node that pods reach by the node's address. */
export interface TestController {
  /** What injection writes into pods. */
  readonly reach: InjectOptions['controller'];
  setPolicy(yaml: string): void;
  /** It says nothing any more, until {@link resume}. */
  pause(): void;
  resume(): void;
  /** Its log so far. */
  log(): string;
  close(): Promise<void>;
}

export async function startTestController(
  node: ClusterNode,
  namespace: string,
  policy: string,
): Promise<TestController> {
  const address = await node.must([
    'get',
    'nodes',
    '-o',
    'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}',
  ]);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-controller-'));
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, policy);
  const child = spawn(
    resolve(import.meta.dirname, '../cluster/netns.sh'),
    [process.execPath, resolve(import.meta.dirname, '../support/stream-controller.ts'), namespace, file],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...compileCache } },
  );
  const ended = new Promise<void>((done) => child.on('close', () => done()));
  let [out, log] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (log += piece));
  const line = await new Promise<string>((done, failed) => {
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      out += piece;
      if (out.includes('\n')) done(out);
    });
    void ended.then(() => failed(new Error(`the controller ended: ${log}`)));
  });
  const { port, name, ca } = JSON.parse(line) as { port: number; name: string; ca: string };
  return {
    reach: { url: `https://${address.trim()}:${port}`, name, ca },
    setPolicy: (yaml) => writeFileSync(file, yaml),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    log: () => log,
    async close() {
      child.kill('SIGCONT');
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
