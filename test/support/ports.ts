import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const claims = join(tmpdir(), 'sidegate-test-ports');
const first = 18_000;
const span = 12_000;
let next = process.pid * 97;

/**
 * Ports for processes that must be told them before they listen, or that listen on them again after a restart. They lie below the range from
 * which the kernel hands out ports (32768 and up), so that no connection and no listener on port 0 takes one in between; and a file holds
 * each for this process as long as it lives, so that no other test takes it.
 */
export async function fixedPorts(count: number): Promise<number[]> {
  mkdirSync(claims, { recursive: true });
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > span) throw new Error('no port is free');
    const port = first + (next++ % span);
    if (claim(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function claim(port: number): boolean {
  const file = join(claims, String(port));
  if (!isAlive(holderOf(file))) rmSync(file, { force: true });
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

function holderOf(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** On every address: who listens on one of them alone would be missed elsewhere. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}
