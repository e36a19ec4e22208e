import { expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

test('whoever reads no more of what is printed is told of no fault', async () => {
  const command = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--help'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Long before it has begun.
  command.stdout.destroy();
  let said = '';
  command.stderr.setEncoding('utf8').on('data', (piece: string) => (said += piece));
  const [code] = (await once(command, 'close')) as [number | null];
  expect([code, said]).toEqual([1, '']);
});
