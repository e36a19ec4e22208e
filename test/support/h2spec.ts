// h2spec, which says to an HTTP/2 server what RFC 7540 and RFC 7541 forbid, case by case: built once from the Go module proxy by
// test/h2spec/build.sh, or H2SPEC=path of the program.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const noH2spec = 'h2spec against the listener of HTTP/2: make test-h2spec (Go, a minute, once)';

/** Where it is; undefined: it was not built. */
export function findH2spec(): string | undefined {
  const told = process.env['H2SPEC'];
  if (told !== undefined && told !== '') return told;
  const found = spawnSync('test/h2spec/build.sh', ['--path']).stdout.toString().trim();
  return found !== '' && existsSync(found) ? found : undefined;
}

export interface H2specReport {
  readonly passed: number;
  /** `section/number: what it wants: what came instead`. */
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

/** All cases, the strict ones too. */
export async function runH2spec(program: string, port: number, tls: boolean): Promise<H2specReport> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-h2spec-'));
  const file = join(folder, 'report.xml');
  try {
    const args = ['--host', '127.0.0.1', '--port', String(port), '--strict', '--timeout', '3', '--junit-report', file];
    const run = spawn(program, [...args, ...(tls ? ['--tls', '--insecure'] : [])], { stdio: 'ignore' });
    await once(run, 'exit');
    return readReport(readFileSync(file, 'utf8'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(xml: string): H2specReport {
  const [failed, skipped]: [string[], string[]] = [[], []];
  let passed = 0;
  for (const [, attributes = '', body = ''] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g)) {
    const of = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
    const name = `${of('package')}: ${of('classname')}`;
    if (body.includes('<skipped')) skipped.push(name);
    else if (/<(?:failure|error)/.test(body)) failed.push(name);
    else passed++;
  }
  return { passed, failed, skipped };
}
