// A real OpenTelemetry collector: built once from the Go module proxy by test/collector/build.sh, or COLLECTOR=path of the program.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedPorts } from './ports.ts';
import { until } from './wait.ts';

export const noCollector =
  'the tests of shipping on the OpenTelemetry collector: make test-collector (Go, some minutes, once)';

/** Where it is; undefined: it was not built. */
export function findCollector(): string | undefined {
  const told = process.env['COLLECTOR'];
  if (told !== undefined && told !== '') return told;
  const found = spawnSync('test/collector/build.sh', ['--path']).stdout.toString().trim();
  return found !== '' && existsSync(found) ? found : undefined;
}

type Json = { readonly [key: string]: unknown };

export interface Collector {
  /** `http://127.0.0.1:PORT`, without a path. */
  readonly address: string;
  /** What it has written of one kind, request by request: `ExportLogsServiceRequest` or `ExportTraceServiceRequest` as the collector spells it. */
  written(kind: 'logs' | 'traces'): readonly Json[];
  kill(): Promise<void>;
  /** Again, on the same port. */
  start(): Promise<void>;
  /** And removes what it wrote. */
  close(): Promise<void>;
}

export async function startCollector(program: string): Promise<Collector> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-collector-'));
  const [port = 0] = await fixedPorts(1);
  const address = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  let runs = 0;
  const start = async (): Promise<void> => {
    // Files for each run: a kill may leave the last line cut short.
    const run = String(runs++).padStart(3, '0');
    const config = join(folder, 'config.yaml');
    const file = (kind: string): string => JSON.stringify(join(folder, `${kind}.${run}`));
    // No queue and no batches: what is answered with 200 was given to the exporter.
    writeFileSync(
      config,
      `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters:
  lines/logs: { path: ${file('logs')} }
  lines/traces: { path: ${file('traces')} }
service:
  telemetry: { metrics: { level: none }, logs: { level: error } }
  pipelines:
    logs: { receivers: [otlp], exporters: [lines/logs] }
    traces: { receivers: [otlp], exporters: [lines/traces] }
`,
    );
    const started = spawn(program, ['--config', `file:${config}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    started.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-4_000)));
    child = started;
    await until(
      async () => started.exitCode !== null || (await fetch(`${address}/v1/logs`).then(() => true)),
      'the collector listens',
    );
    if (started.exitCode !== null) throw new Error(`the collector does not start: ${said}`);
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    address,
    start,
    kill,
    written: (kind) =>
      readdirSync(folder)
        .filter((name) => name.startsWith(`${kind}.`))
        .sort()
        .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
        .map((line) => JSON.parse(line) as Json),
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
