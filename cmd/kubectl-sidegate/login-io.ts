import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import { errorCode, systemClock } from '../../pkg/base/index.ts';
import type { LoginIo, WebAnswer } from '../../pkg/cli/index.ts';

/** The machine of the person who logs in. */

const exchangeMs = 30_000;
const mostBytes = 1 << 20;
const mostBodyBytes = 64 << 10;
const loopback = /^(?:127\.0\.0\.1|\[::1\]|localhost)$/;

async function readAll(stream: IncomingMessage, most: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > most) throw new Error('more was sent than is read');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

const exchange: LoginIo['exchange'] = ({ url: address, form, ca }) =>
  new Promise<WebAnswer>((resolve, reject) => {
    const url = new URL(address);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback.test(url.hostname)))
      return reject(new Error(`${url.origin} is not asked without TLS`));
    const body = form === undefined ? undefined : new URLSearchParams(form).toString();
    const options = {
      method: body === undefined ? 'GET' : 'POST',
      agent: false,
      timeout: exchangeMs,
      headers: {
        accept: 'application/json',
        'user-agent': 'kubectl-sidegate',
        ...(body !== undefined && {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        }),
      },
    };
    const read = (response: IncomingMessage): void => {
      readAll(response, mostBytes).then((text) => resolve({ status: response.statusCode ?? 0, body: text }), reject);
    };
    const call =
      url.protocol === 'https:'
        ? tlsRequest(
            url,
            {
              ...options,
              minVersion: 'TLSv1.2',
              ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }),
            },
            read,
          )
        : plainRequest(url, options, read);
    call.on('timeout', () => call.destroy(new Error(`${url.origin} does not answer`)));
    call.on('error', reject);
    call.end(body);
  });

const writePrivate: LoginIo['writePrivate'] = (path, text) => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  chmodSync(temporary, 0o600); // whatever the umask
  renameSync(temporary, path);
};

const readPrivate: LoginIo['readPrivate'] = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
};

const lockMs = 30_000;

/** A lock that is older belongs to a process that is gone. */
async function takeLock(path: string): Promise<void> {
  for (const since = systemClock.monotonic(); systemClock.monotonic() - since < lockMs; await sleep(50)) {
    try {
      closeSync(openSync(path, 'wx', 0o600));
      return;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && systemClock.now() - made > lockMs) rmSync(path, { force: true });
  }
  throw new Error(`another process has ${path}: remove it if there is none`);
}

const alone: LoginIo['alone'] = async (path, act) => {
  const lock = `${path}.lock`;
  await takeLock(lock);
  try {
    return await act();
  } finally {
    rmSync(lock, { force: true });
  }
};

/** Only what is a web address, as one argument and by no shell. */
const browse: LoginIo['browse'] = (url) => {
  if (!/^https?:\/\//.test(url)) return false;
  const program = process.platform === 'darwin' ? 'open' : process.platform === 'win32' ? 'explorer' : 'xdg-open';
  if (process.platform === 'linux' && !process.env['DISPLAY'] && !process.env['WAYLAND_DISPLAY']) return false;
  const child = spawn(program, [url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
  return true;
};

const listen: LoginIo['listen'] = async ({ answer, ms, late }) => {
  let [answering, closing] = [0, false];
  // The person's last page is on its way when the login is done: it is not cut off.
  const end = (): void => {
    if (closing && answering === 0) server.close();
  };
  const server = createServer((request, response) => {
    answering++;
    response.on('close', () => {
      answering--;
      end();
    });
    readAll(request, mostBodyBytes)
      .then((body) => answer({ method: request.method ?? '', target: request.url ?? '/', body }))
      .catch(() => ({ status: 400, text: 'this cannot be read' }))
      .then(({ status, text }) => {
        const headers = {
          'content-type': 'text/plain; charset=utf-8',
          'cache-control': 'no-store',
          connection: 'close',
        };
        response.writeHead(status, headers).end(`${text}\n`);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const timer = setTimeout(late, ms);
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      clearTimeout(timer);
      closing = true;
      end();
    },
  };
};

/** @param folder default `$XDG_CONFIG_HOME/sidegate`, else `~/.config/sidegate` */
export const loginIo = (
  folder = join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'sidegate'),
): LoginIo => ({
  folder,
  exchange,
  readPrivate,
  writePrivate,
  alone,
  browse,
  listen,
});
