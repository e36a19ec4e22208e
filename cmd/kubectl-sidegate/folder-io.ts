import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { userInfo } from 'node:os';
import type { FolderIo, HttpAnswer } from '../../pkg/cli/index.ts';
import { readAnswer } from './ask.ts';

const limitMs = 30_000;

export const folderIo = (): FolderIo => ({
  get user() {
    return userInfo().username;
  },
  names: (folder) => readdirSync(folder),
  isWritableByOthers: (path) => (statSync(path).mode & 0o022) !== 0,
  write: (path, text) => writeFileSync(path, text, { flag: 'wx', mode: 0o600 }),
  remove: (path) => rmSync(path),
  ask: ({ socket, path, token, body }) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      const call = request(
        {
          socketPath: socket,
          path,
          method: 'POST',
          agent: false,
          timeout: limitMs,
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => readAnswer(response, resolve, reject),
      );
      call.on('timeout', () => call.destroy(new Error(`no answer within ${limitMs / 1_000} s`)));
      call.on('error', (error) => reject(new Error(`${socket}: the sidecar does not answer`, { cause: error })));
      call.end(body);
    }),
});
