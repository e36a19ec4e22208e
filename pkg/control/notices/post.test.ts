import { expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { systemClock } from '../../base/index.ts';
import { ensureSelfSigned } from '../../pki/index.ts';
import { postJson } from './post.ts';

test('a receiver that would speak another protocol has refused it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-post-'));
  const files = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key, ca] = [files.certFile, files.keyFile, files.caFile].map((file) => readFileSync(file, 'utf8'));
  const server = createServer({ cert, key }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/`);
    const { signal } = new AbortController();
    await expect(postJson(url, '{}', {}, { ca, signal })).rejects.toMatchObject({ code: 'refused' });
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
