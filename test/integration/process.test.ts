import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createSecureServer } from 'node:http2';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { get as httpGet, request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { Socket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../pkg/base/index.ts';
import { readAuditLog, verifyAuditLog } from '../../pkg/record/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { bundledProcesses } from '../support/bundles.ts';
import type { Issuer } from '../support/issuer.ts';
import { startIssuer } from '../support/issuer.ts';
import { keyStore } from '../support/key-store.ts';
import type { ScriptedModel } from '../support/scripted-model.ts';
import { answerChat, chunk, startScriptedModel } from '../support/scripted-model.ts';
import { basePolicy } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';

// The sidecar as its image runs it: bundled, a process of its own, told by flags and signals alone.

const root = resolve(import.meta.dirname, '../..');
const path = '/v1/chat/completions';
const ask = JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] });
const stream = ask.replace('{', '{"stream":true,');

let bundle: string;
let issuer: Issuer;
let model: ScriptedModel;
let token: string;
let folder: string;
const running: Sidecar[] = [];

beforeAll(async () => {
  bundle = bundledProcesses();
  issuer = await startIssuer();
  model = await startScriptedModel();
  token = await issuer.token({ sub: 'ana', groups: ['ml-eng'] });
});
afterAll(async () => {
  await issuer.close();
  await model.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-process-'));
  writeFileSync(join(folder, 'policy.yaml'), basePolicy(issuer.url));
});
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.child.kill('SIGKILL');
    await one.ended;
  }
  rmSync(folder, { recursive: true });
});

interface Sidecar {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  stdout(): string;
  stderr(): string;
}

/** @param stdout `unread`: a socket that nobody reads before the test does; or a descriptor. Default: read from the start. */
function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  stdout?: 'unread' | number,
): Sidecar {
  const child = spawn(process.execPath, [join(bundle, 'sidecar.js'), ...args], {
    cwd: folder,
    stdio: ['ignore', typeof stdout === 'number' ? stdout : 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', ...environment },
  });
  const collect = (from: Readable | null): (() => string) => {
    let text = '';
    from?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    return () => text;
  };
  const sidecar: Sidecar = {
    child,
    ended: new Promise((done) => child.on('close', (code, signal) => done({ code, signal }))),
    stdout: collect(stdout === undefined ? child.stdout : null),
    stderr: collect(child.stderr),
  };
  running.push(sidecar);
  return sidecar;
}

interface Up extends Sidecar {
  readonly port: number;
  readonly admin: number;
}

const startUp = (...more: string[]): Promise<Up> => startUpOn(undefined, ...more);

async function startUpOn(
  stdout: 'unread' | number | undefined,
  ...more: (string | Readonly<Record<string, string>>)[]
): Promise<Up> {
  const args = more.filter((one) => typeof one === 'string');
  const environment = more.find((one) => typeof one !== 'string') ?? {};
  const flags = {
    policy: 'policy.yaml',
    upstream: model.url,
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    data: 'data',
  };
  const sidecar = start(
    [...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), ...args],
    environment,
    stdout,
  );
  const ports = (): RegExpExecArray | null =>
    /"sidecar is up","listen":"127\.0\.0\.1:(\d+)","admin":"127\.0\.0\.1:(\d+)"/.exec(sidecar.stderr());
  const ended = sidecar.ended.then(() => true);
  await until(async () => ports() !== null || (await Promise.race([ended, pause(5)])), 'the sidecar');
  const found = ports();
  if (found === null) throw new Error(`the sidecar ended: ${sidecar.stderr()}`);
  return { ...sidecar, port: Number(found[1]), admin: Number(found[2]) };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly whole: boolean;
  readonly retryAfter: string | undefined;
}

function post(
  port: number,
  body: string,
  onChunk: (text: string) => void = () => undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((done, failed) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: 'upgrade' in headers ? 'GET' : 'POST',
        ca: readFileSync(join(folder, 'data/ca.pem')),
        agent: new Agent(),
        headers: {
          authorization: `Bearer ${token}`,
          ...('upgrade' in headers ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        const end = (): void =>
          done({
            status: response.statusCode ?? 0,
            text,
            whole: response.complete,
            retryAfter: response.headers['retry-after'],
          });
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          onChunk(text);
        });
        response.on('end', end).on('error', end);
      },
    );
    request.on('error', failed);
    request.end('upgrade' in headers ? undefined : body);
  });
}

const admin = (port: number, at: string): Promise<{ status: number; text: string }> =>
  new Promise((done, failed) => {
    httpGet({ host: '127.0.0.1', port, path: at, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => done({ status: response.statusCode ?? 0, text }));
    }).on('error', failed);
  });

const events = (file: string): Record<string, unknown>[] =>
  readFileSync(join(folder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The model writes words until `finish`. */
function endless(): { finish: () => void } {
  const control = { finish: (): void => undefined };
  model.script = (response) => {
    response.setHeader('content-type', 'text/event-stream');
    const timer = setInterval(() => response.write(chunk({ content: 'word ' })), 10);
    response.on('close', () => clearInterval(timer));
    control.finish = () => {
      clearInterval(timer);
      response.end(`${chunk({ content: 'last' })}${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
  };
  return control;
}

describe('SIGTERM', () => {
  test('lets a stream end whole, refuses new callers, writes the record’s ends and exits with 0', async () => {
    const sidecar = await startUp('--audit=audit.jsonl', '--grace=10');
    const control = endless();
    let got = '';
    const answer = post(sidecar.port, stream, (text) => (got = text));
    await until(() => got.includes('word'), 'the stream');
    sidecar.child.kill('SIGTERM');
    await until(() => sidecar.stderr().includes('stopping'), 'the signal');
    await expect(post(sidecar.port, ask)).rejects.toMatchObject({
      // Reset: the connection was made in the moment before the port closed.
      code: expect.stringMatching(/^ECONN(?:REFUSED|RESET)$/),
    });
    const before = got.length;
    await until(() => got.length > before, 'more of the stream');
    expect(sidecar.child.exitCode).toBeNull();
    control.finish();
    const { status, text, whole } = await answer;
    expect([status, whole]).toEqual([200, true]);
    expect(text).toContain('last');
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    expect(await sidecar.ended).toEqual({ code: 0, signal: null });
    expect(events('audit.jsonl').slice(-2)).toMatchObject([
      { type: 'end', outcome: 'completed' },
      { type: 'process', what: 'stop' },
    ]);
    expect(events('audit.jsonl')[0]).toMatchObject({ type: 'process', what: 'start' });
  });

  test('ends what outlives the grace, says so in the record, and exits with 0', async () => {
    const sidecar = await startUp('--audit=audit.jsonl', '--grace=3');
    endless();
    let got = '';
    const answer = post(sidecar.port, stream, (text) => (got = text));
    await until(() => got.includes('word'), 'the stream');
    const from = performance.now();
    sidecar.child.kill('SIGTERM');
    const { text } = await answer;
    expect(text).not.toContain('[DONE]');
    expect(text).toContain('"code":"shutting_down"');
    expect((await sidecar.ended).code).toBe(0);
    expect(performance.now() - from).toBeLessThan(20_000);
    const [end, stop] = events('audit.jsonl').slice(-2);
    expect(end).toMatchObject({ type: 'end' });
    expect(end?.['outcome']).not.toBe('completed');
    expect(stop).toMatchObject({ type: 'process', what: 'stop' });
  });
});

describe('a policy edit', () => {
  test('ends a stream that is no longer allowed in the moment in which it is taken', async () => {
    const sidecar = await startUp('--audit=audit.jsonl');
    endless();
    let got = '';
    const answer = post(sidecar.port, stream, (text) => (got = text));
    await until(() => got.includes('word'), 'the stream');
    writeFileSync(join(folder, 'next.yaml'), basePolicy(issuer.url).replace('ml-eng', 'others'));
    renameSync(join(folder, 'next.yaml'), join(folder, 'policy.yaml'));
    expect((await answer).text).toContain('"code":"policy_changed"');
    await until(() => events('audit.jsonl').some(({ type }) => type === 'end'), 'the end on record');
    // By the process's own clock: when it took the policy, and when the stream was over.
    const taken = events('audit.jsonl').filter(({ what }) => what === 'policy');
    const end = events('audit.jsonl').find(({ type }) => type === 'end');
    const at = (event: Record<string, unknown> | undefined): number => Date.parse(String(event?.['time']));
    expect(taken).toHaveLength(2);
    expect(at(end) - at(taken[1])).toBeLessThan(1_000);
    expect(end).toMatchObject({ outcome: 'ended', code: 'policy_changed' });
  });
});

describe('settings', () => {
  test('that are wrong are told all together, with exit code 2', async () => {
    const sidecar = start(['--upstream=ftp://x', '--listen=nowhere', '--log-level=loud', '--grace=-1', '--tls-cert=a']);
    expect((await sidecar.ended).code).toBe(2);
    for (const flag of ['policy', 'upstream', 'listen', 'log-level', 'grace', 'tls-key'])
      expect([flag, sidecar.stderr().includes(`--${flag}`)]).toEqual([flag, true]);
    expect(sidecar.stderr()).toContain('--help');
    expect(sidecar.stdout()).toBe('');
  });

  test('a flag that does not exist is told, with exit code 2', async () => {
    const sidecar = start(['--polcy=x', '--policy=policy.yaml', `--upstream=${model.url}`, '--client-ca=nowhere']);
    expect((await sidecar.ended).code).toBe(2);
    expect(sidecar.stderr()).toMatch(
      /^sidecar: --polcy: .*\nsidecar: --client-ca: nowhere cannot be read \(ENOENT\)\nsidecar: --help .*\n$/,
    );
  });

  test('are listed by --help, which succeeds', async () => {
    const sidecar = start(['--help']);
    expect((await sidecar.ended).code).toBe(0);
    for (const flag of ['policy', 'upstream', 'listen', 'admin', 'audit', 'grace'])
      expect(sidecar.stdout()).toMatch(new RegExp(`^  --${flag} `, 'm'));
    expect(sidecar.stderr()).toBe('');
  });

  test('may come by the environment, and flags win', async () => {
    const sidecar = start(['--log-level=info'], { SIDEGATE_LOG_LEVEL: 'loud', SIDEGATE_GRACE: 'x' });
    expect((await sidecar.ended).code).toBe(2);
    expect(sidecar.stderr()).toContain('--grace');
    expect(sidecar.stderr()).not.toContain('--log-level');
  });
});

test('an upstream that looks hosted is taken for it, which the log says: whom nobody allows is refused, in Observe mode too', async () => {
  const policy = basePolicy(issuer.url).replace('mode: Enforce', 'mode: Observe');
  writeFileSync(join(folder, 'policy.yaml'), policy);
  const sidecar = await startUp('--upstream=http://model.example');
  expect(sidecar.stderr()).toMatch(/"level":"warn".*taken for hosted.*"http:\/\/model\.example".*--hosted no/);
  const { status, text } = await post(sidecar.port, ask, undefined, { authorization: 'Bearer of-nobody' });
  expect([status, text]).toEqual([403, expect.stringContaining('access_denied')]);
});

test('a hosted upstream that speaks HTTP/2 gets requests over one connection of it', async () => {
  writeFileSync(join(folder, 'policy.yaml'), basePolicy(issuer.url));
  const own = await ensureSelfSigned(join(folder, 'model'), ['127.0.0.1'], systemClock);
  const sessions: Http2Session[] = [];
  const endpoint = createSecureServer({ cert: readFileSync(own.certFile), key: readFileSync(own.keyFile) });
  endpoint.on('session', (session) => sessions.push(session));
  endpoint.on('stream', (opened) => {
    const answering = opened as ServerHttp2Stream;
    answering.resume();
    answering.on('end', () => {
      answering.respond({ ':status': 200, 'content-type': 'application/json' });
      answering.end('{"choices":[]}');
    });
  });
  await new Promise<void>((done) => endpoint.listen(0, '127.0.0.1', done));
  try {
    const { port } = endpoint.address() as AddressInfo;
    const sidecar = await startUp(
      `--upstream=https://127.0.0.1:${port}`,
      '--hosted=yes',
      `--upstream-ca=${own.caFile}`,
    );
    for (let at = 0; at < 3; at++)
      expect(await post(sidecar.port, ask)).toMatchObject({ status: 200, text: '{"choices":[]}' });
    expect(sessions).toHaveLength(1);
  } finally {
    for (const session of sessions) session.destroy();
    endpoint.close();
  }
});

test('a hosted upstream is reached through the proxy of the environment, which the log says, and not beside it', async () => {
  writeFileSync(join(folder, 'policy.yaml'), basePolicy(issuer.url));
  const asked: string[] = [];
  const proxy = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (head: Buffer) => {
      asked.push(...head.toString('latin1').split('\r\n'));
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  try {
    const { port } = proxy.address() as AddressInfo;
    const environment = { HTTPS_PROXY: `http://me:p%40ss@127.0.0.1:${port}`, NO_PROXY: 'other.example' };
    const sidecar = await startUpOn(undefined, '--upstream=https://model.example', environment);
    expect(sidecar.stderr()).toContain('reached through the proxy of the environment');
    const { status, text } = await post(sidecar.port, ask);
    expect([status, text]).toEqual([502, expect.stringContaining('upstream_unreachable')]);
    const basic = Buffer.from('me:p@ss').toString('base64');
    expect(asked).toEqual([
      ...['CONNECT model.example:443 HTTP/1.1', 'Host: model.example:443'],
      ...[`Proxy-Authorization: Basic ${basic}`, '', ''],
    ]);
    expect(sidecar.stderr()).not.toMatch(new RegExp(`p@ss|p%40ss|${basic}`));
  } finally {
    proxy.close();
  }
});

describe('a policy that is not valid when the sidecar starts', () => {
  test('is told with its path; nothing is let through, the sidecar is not ready; the repaired one is taken', async () => {
    writeFileSync(join(folder, 'policy.yaml'), basePolicy(issuer.url).replace('effect: Allow', 'effect: Maybe'));
    const seen = model.seen.length;
    const sidecar = await startUp('--audit=audit.jsonl');
    expect(sidecar.stderr()).toContain('policy.yaml');
    expect(sidecar.stderr()).toContain('spec.access[0].effect');
    expect(sidecar.stderr()).toMatch(/Allow.*Deny|Deny.*Allow/);
    expect(await admin(sidecar.admin, '/readyz')).toMatchObject({ status: 503 });
    expect((await admin(sidecar.admin, '/healthz')).status).toBe(200);
    const refused = await post(sidecar.port, ask);
    expect(refused.status).toBe(503);
    expect(refused.text).toContain('"code":"policy_invalid"');
    expect(refused.retryAfter).toBe('1');
    expect((await admin(sidecar.admin, '/readyz')).text).toContain('"policy_invalid"');
    expect(sidecar.stderr()).toMatch(
      /policy not taken: nothing is allowed, and every request is answered policy_invalid/,
    );
    expect(model.seen).toHaveLength(seen);

    writeFileSync(join(folder, 'policy.new'), basePolicy(issuer.url));
    renameSync(join(folder, 'policy.new'), join(folder, 'policy.yaml'));
    await until(async () => (await admin(sidecar.admin, '/readyz')).status === 200, 'readiness');
    model.script = (response) => response.setHeader('content-type', 'application/json').end('{"choices":[]}');
    expect((await post(sidecar.port, ask)).status).toBe(200);
    expect((await admin(sidecar.admin, '/readyz')).text).toContain('"ready":true');
  });

  test('names what a sidecar on its own cannot use, by which it is refused or does without', async () => {
    const policy = basePolicy(issuer.url, '  upstream: { credential: { secretRef: { name: vllm, key: k } } }\n');
    writeFileSync(join(folder, 'policy.yaml'), policy);
    const sidecar = await startUp('--audit=audit.jsonl');
    expect(sidecar.stderr()).toMatch(
      /policy not taken: nothing .*spec\.upstream\.credential\.secretRef: .*reads no Secrets/,
    );
    expect((await post(sidecar.port, ask)).text).toContain('"code":"policy_invalid"');

    writeFileSync(
      join(folder, 'policy.new'),
      basePolicy(issuer.url, '  upstream: { ports: [{ containerPort: 8000 }] }\n'),
    );
    renameSync(join(folder, 'policy.new'), join(folder, 'policy.yaml'));
    await until(async () => (await admin(sidecar.admin, '/readyz')).status === 200, 'readiness');
    await until(() => sidecar.stderr().includes('policy notice'), 'the line of the log');
    expect(sidecar.stderr()).toMatch(/"level":"warn".*policy notice.*"field":"upstream\.ports"/);
  });

  test.each([
    ['that does not exist', () => rmSync(join(folder, 'policy.yaml')), 503, 'policy_invalid'],
    ['that is empty', () => writeFileSync(join(folder, 'policy.yaml'), ''), 503, 'policy_invalid'],
    ['that is no YAML', () => writeFileSync(join(folder, 'policy.yaml'), '{'), 503, 'policy_invalid'],
    [
      'whose provider is not there',
      () =>
        writeFileSync(
          join(folder, 'policy.yaml'),
          basePolicy(issuer.url).replace('{ group:', '{ provider: no, group:'),
        ),
      503,
      'policy_invalid',
    ],
    // A folder without policies is a valid set: nothing is broken, and nobody is selected.
    [
      'folder without a file',
      () => {
        rmSync(join(folder, 'policy.yaml'));
        mkdirSync(join(folder, 'policy.yaml'));
      },
      403,
      'no_policy',
    ],
  ])(
    '(%s) is told from one that selects nobody, on requests and on WebSocket handshakes',
    async (_name, spoil, status, code) => {
      spoil();
      const seen = model.seen.length;
      const sidecar = await startUp('--audit=audit.jsonl');
      const handshake = {
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      };
      for (const headers of [{}, handshake]) {
        const refused = await post(sidecar.port, ask, undefined, headers);
        expect([refused.status, JSON.parse(refused.text)]).toMatchObject([status, { error: { code } }]);
      }
      expect(model.seen).toHaveLength(seen);
    },
  );

  test.each([
    ['that is none', () => 'nonsense'],
    [
      'that no search could carry out',
      () =>
        `${basePolicy(issuer.url)}  guards: [{ name: g, direction: Request, match: { words: ["..."] }, action: Block }]\n`,
    ],
  ])('%s does not matter once a good one was in force: that one stays', async (_name, edit) => {
    const sidecar = await startUp('--audit=audit.jsonl');
    model.script = (response) => response.setHeader('content-type', 'application/json').end('{"choices":[]}');
    writeFileSync(join(folder, 'policy.yaml'), edit());
    await until(() => sidecar.stderr().includes('the last good policy stays in force'), 'the log');
    expect((await post(sidecar.port, ask)).status).toBe(200);
    expect((await admin(sidecar.admin, '/readyz')).status).toBe(200);
  });
});

describe('a policy that says what is not carried out yet', () => {
  test('is in force, and the log names each part that is not', async () => {
    writeFileSync(
      join(folder, 'policy.yaml'),
      `${basePolicy(issuer.url)}  analyzers: [{ name: ner, url: "https://presidio.example.com/analyze" }]\n`,
    );
    const sidecar = await startUp('--audit=audit.jsonl');
    expect(sidecar.stderr()).toMatch(
      /"level":"warn".*"policy notice".*analyzers\[ner\].*every inference request is refused/,
    );
    expect(await post(sidecar.port, ask)).toMatchObject({ status: 503 });
  });
});

describe('certificate files', () => {
  /** What a new connection is shown. */
  const serving = ({ port }: Up): Promise<string> =>
    new Promise((done, failed) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        done(socket.getPeerX509Certificate()?.toString() ?? '');
        socket.destroy();
      }).on('error', failed);
    });

  test('replaced while a stream runs: new connections get the new one, and the stream goes on', async () => {
    for (const name of ['data', 'other'])
      await ensureSelfSigned(join(folder, name), ['localhost', '127.0.0.1'], systemClock);
    mkdirSync(join(folder, 'tls'));
    for (const name of ['cert.pem', 'key.pem']) cpSync(join(folder, 'data', name), join(folder, 'tls', name));
    const sidecar = await startUp('--audit=audit.jsonl', '--tls-cert=tls/cert.pem', '--tls-key=tls/key.pem');
    expect(await serving(sidecar)).toBe(readFileSync(join(folder, 'data/cert.pem'), 'utf8').trim() + '\n');
    const control = endless();
    let got = '';
    const answer = post(sidecar.port, stream, (text) => (got = text));
    await until(() => got.includes('word'), 'the stream');
    for (const name of ['key.pem', 'cert.pem']) renameSync(join(folder, 'other', name), join(folder, 'tls', name));
    const next = readFileSync(join(folder, 'tls/cert.pem'), 'utf8').trim() + '\n';
    await until(async () => (await serving(sidecar)) === next, 'the new certificate');
    const before = got.length;
    await until(() => got.length > before, 'more of the stream');
    control.finish();
    const { text, whole } = await answer;
    expect(whole).toBe(true);
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('as one PKCS#12 file serve callers who trust its certificate, and are read again', async () => {
    const [first, second] = [keyStore('first', 'open sesame'), keyStore('second', 'open sesame')];
    writeFileSync(join(folder, 'store.p12'), first.store);
    writeFileSync(join(folder, 'pass'), 'open sesame\n');
    const sidecar = await startUp('--tls-pkcs12=store.p12', '--tls-passphrase-file=pass');
    for (const { store, cert } of [first, second]) {
      writeFileSync(join(folder, 'next.p12'), store);
      renameSync(join(folder, 'next.p12'), join(folder, 'store.p12'));
      await until(async () => (await serving(sidecar)) === cert, 'the certificate of the file');
      writeFileSync(join(folder, 'data/ca.pem'), cert);
      model.script = answerChat('hello');
      expect(await post(sidecar.port, ask)).toMatchObject({ status: 200 });
    }
  });

  test('as a PKCS#12 file that the passphrase does not open end the process, which does not print it', async () => {
    writeFileSync(join(folder, 'store.p12'), keyStore('store', 'open sesame').store);
    writeFileSync(join(folder, 'pass'), 'open barley');
    const sidecar = start([
      ...[
        '--policy=policy.yaml',
        `--upstream=${model.url}`,
        '--listen=127.0.0.1:0',
        '--admin=127.0.0.1:0',
        '--data=data',
      ],
      ...['--tls-pkcs12=store.p12', '--tls-passphrase-file=pass'],
    ]);
    expect((await sidecar.ended).code).toBe(1);
    expect(sidecar.stderr()).toContain('the passphrase does not open the PKCS#12 file');
    expect(sidecar.stderr() + sidecar.stdout()).not.toMatch(/sesame|barley/);
  });

  test('made by the sidecar itself are readable by their owner only', async () => {
    await startUp('--audit=audit.jsonl');
    for (const name of ['ca-key.pem', 'key.pem', 'record.key', 'hash.key'])
      expect([name, statSync(join(folder, 'data', name)).mode & 0o777]).toEqual([name, 0o600]);
  });
});

describe('a log that nobody reads any more', () => {
  test('stops nothing: requests are served, and SIGTERM ends the process with 0', async () => {
    const sidecar = await startUp('--audit=audit.jsonl', '--log-level=debug');
    model.script = (response) => response.setHeader('content-type', 'application/json').end('{"choices":[]}');
    sidecar.child.stderr?.destroy();
    await pause(100);
    // A policy that is not valid is one of the things that are logged.
    writeFileSync(join(folder, 'policy.yaml'), 'nonsense');
    const refused = /^sidegate_policy_reloads_total\{result="refused"\} [1-9]/m;
    await until(async () => refused.test((await admin(sidecar.admin, '/metrics')).text), 'the broken policy');
    expect((await post(sidecar.port, ask)).status).toBe(200);
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.ended).toEqual({ code: 0, signal: null });
  });
});

describe('a record that cannot be written', () => {
  test.each([
    ['standard output that its reader closed', '-'],
    ['a disk that is full', '/dev/full'],
  ])('%s refuses requests, and the process lives', async (_name, audit) => {
    const sidecar = await startUp(`--audit=${audit}`);
    model.script = (response) => response.setHeader('content-type', 'application/json').end('{"choices":[]}');
    if (audit === '-') {
      expect((await post(sidecar.port, ask)).status).toBe(200);
      await until(() => sidecar.stdout().includes('"type":"end"'), 'the record');
      sidecar.child.stdout?.destroy();
      await pause(100);
    }
    const seen = model.seen.length;
    for (let n = 0; n < 3; n++) {
      const answer = await post(sidecar.port, ask);
      expect(answer.status).toBe(503);
      expect(answer.text).toContain('"code":"audit_unavailable"');
    }
    expect(model.seen).toHaveLength(seen);
    expect(sidecar.child.exitCode).toBeNull();
    expect((await admin(sidecar.admin, '/healthz')).status).toBe(200);
    const ready = await admin(sidecar.admin, '/readyz');
    expect([ready.status, ready.text]).toEqual([503, expect.stringContaining('record_unwritable')]);
    expect((await admin(sidecar.admin, '/metrics')).text).toMatch(/^sidegate_audit_failures_total [1-9]/m);
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.ended).toEqual({ code: 0, signal: null });
  });
});

describe('a record whose reader stalls', () => {
  /** Standard output as a shell and container runtimes have it, and as Node and systemd do. */
  const outputs = {
    'a pipe': (): { stdout: number; read: () => Readable } => {
      const fifo = join(folder, 'stdout');
      execFileSync('mkfifo', [fifo]);
      const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      return { stdout: openSync(fifo, constants.O_WRONLY), read: () => new Socket({ fd: reader, writable: false }) };
    },
    'a socket': () => ({ stdout: 'unread' as const, read: (child: ChildProcess) => child.stdout! }),
  };

  test.each(Object.keys(outputs) as (keyof typeof outputs)[])(
    'on %s: requests are refused or counted, nothing else waits, and it goes on when it is read again',
    async (kind) => {
      const { stdout, read } = outputs[kind]();
      const sidecar = await startUpOn(stdout);
      if (typeof stdout === 'number') closeSync(stdout);
      model.script = (response) => response.setHeader('content-type', 'application/json').end('{"choices":[]}');
      const long = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello you '.repeat(1_000) }] });
      let last: Answer | undefined;
      await until(async () => (last = await post(sidecar.port, long)).status !== 200, 'the record is full', 60_000);
      expect([last?.status, last?.text]).toEqual([503, expect.stringContaining('"code":"audit_unavailable"')]);
      expect((await admin(sidecar.admin, '/healthz')).status).toBe(200);

      const before = readFileSync(join(folder, 'policy.yaml'), 'utf8');
      writeFileSync(join(folder, 'policy.yaml'), `${before}  audit: { onFailure: Allow }\n`);
      await until(async () => (await post(sidecar.port, long)).status === 200, 'Allow is in force');
      expect((await admin(sidecar.admin, '/metrics')).text).toMatch(/^sidegate_audit_failures_total [1-9]/m);

      let text = '';
      read(sidecar.child)
        .setEncoding('utf8')
        .on('data', (piece: string) => (text += piece));
      const gap = /"type":"process","what":"gap","amount":[1-9]/;
      await until(async () => (await post(sidecar.port, ask)).status === 200 && gap.test(text), 'the gap');
      sidecar.child.kill('SIGTERM');
      expect(await sidecar.ended).toEqual({ code: 0, signal: null });
    },
  );

  test('does not keep SIGTERM from ending the process', async () => {
    const sidecar = await startUpOn('unread');
    const long = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello you '.repeat(1_000) }] });
    await until(async () => (await post(sidecar.port, long)).status === 503, 'the record is full', 60_000);
    sidecar.child.kill('SIGTERM');
    await until(() => sidecar.child.exitCode !== null, 'the process has ended');
    expect(sidecar.child.exitCode).toBe(0);
  });
});

describe('SIGKILL while a caller is held', () => {
  const held = JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'tell me of falcon' }] });
  /** Without those that are being written. */
  const approvals = (): string[] =>
    readdirSync(join(folder, 'approvals')).filter((name) => /^[^.].*\.yaml$/.test(name));
  const waiting = async (): Promise<string> => {
    await until(() => approvals().length === 1, 'it waits');
    return (approvals()[0] ?? '').replace(/\.yaml$/, '');
  };
  const decide = (name: string, bearer: string): Promise<number> =>
    new Promise((done, failed) => {
      const request = httpRequest(
        {
          socketPath: join(folder, 'approvals/decide.sock'),
          path: `/v1/namespaces/default/approvals/${name}/decision`,
          method: 'POST',
          headers: { authorization: `Bearer ${bearer}` },
        },
        (response) => response.resume().on('end', () => done(response.statusCode ?? 0)),
      );
      request.on('error', failed);
      request.end('{"decision":"Approve"}');
    });

  test('nothing that is decided later lets it through, the same request asks anew, and the record is whole', async () => {
    writeFileSync(
      join(folder, 'policy.yaml'),
      `${basePolicy(issuer.url)}
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ group: leads }], timeout: 60s }
`,
    );
    const flags = ['--audit=audit.jsonl', '--approvals=approvals'];
    const lea = await issuer.token({ sub: 'lea', groups: ['leads'] });
    model.script = answerChat('let through');
    model.seen.length = 0;

    const first = await startUp(...flags);
    // As it waits for people, the caller has had no byte: the connection breaks.
    const cut = post(first.port, held).then(
      ({ status }) => status,
      () => 'broken',
    );
    const asked = await waiting();
    first.child.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    expect(await cut).toBe('broken');
    await expect(decide(asked, lea)).rejects.toThrow('ECONNREFUSED');

    const second = await startUp(...flags);
    // What the first one showed is over: nobody can decide on it, and no file shows it.
    expect(approvals()).toEqual([]);
    expect(await decide(asked, lea)).toBe(403);
    const again = post(second.port, held);
    const anew = await waiting();
    expect(model.seen).toHaveLength(0);
    // A decision that is on its way while the process is killed lets nothing through either.
    second.child.kill('SIGSTOP');
    const late = decide(anew, lea).catch(() => 0);
    second.child.kill('SIGKILL');
    await second.ended;
    await again.catch(() => undefined);
    await late;
    expect(model.seen).toHaveLength(0);

    const third = await startUp(...flags);
    const last = post(third.port, held);
    expect(await decide(await waiting(), lea)).toBe(200);
    expect(await last).toMatchObject({ status: 200, text: expect.stringContaining('let through') });
    expect(model.seen).toHaveLength(1);
    third.child.kill('SIGTERM');
    expect(await third.ended).toEqual({ code: 0, signal: null });

    // One chain over all three, of which nothing is missing; that two ended without a word is in it, and who let it through.
    const file = join(folder, 'audit.jsonl');
    const key = readFileSync(join(folder, 'data/record.key'));
    expect(verifyAuditLog(readAuditLog(file), { key })).toMatchObject({ ok: true, lost: 0 });
    const told = events('audit.jsonl');
    const processes = told.flatMap(({ type, what }) => (type === 'process' && what !== 'policy' ? [what] : []));
    expect(processes).toEqual(['start', 'start', 'start', 'stop']);
    expect(told.filter(({ type }) => type === 'end')).toHaveLength(1);
    expect(JSON.stringify(told)).toContain(`${issuer.url} lea`);
  });
});

describe('make', () => {
  test('lists every target, also where nothing is installed', () => {
    cpSync(join(root, 'Makefile'), join(folder, 'Makefile'));
    const listed = execFileSync('make', [], { cwd: folder, encoding: 'utf8' });
    const targets = [...readFileSync(join(root, 'Makefile'), 'utf8').matchAll(/^([a-z-]+)(?: [a-z -]+)?:.*## /gm)];
    expect(targets.length).toBeGreaterThan(10);
    for (const [, name = ''] of targets) expect(listed).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(() => statSync(join(folder, 'node_modules'))).toThrow('ENOENT');
  });

  test('run serves a policy file in front of a model, with approvals and grants in folders, until SIGTERM', async () => {
    symlinkSync(bundle, join(folder, 'dist'));
    mkdirSync(join(folder, 'grants'), { mode: 0o700 });
    writeFileSync(join(folder, 'revoked.jsonl'), '# nobody yet\n');
    // `-o build`: the bundle of this file's tests is the one that is run.
    const fixed = ['-f', join(root, 'Makefile'), '-o', 'build', 'run', `NODE=${process.execPath}`];
    const asked = ['POLICY=policy.yaml', `UPSTREAM=${model.url}`, 'LISTEN=127.0.0.1:0', 'ADMIN=127.0.0.1:0'];
    const kept = [
      'DATA=data',
      'AUDIT=audit.jsonl',
      'APPROVALS=approvals',
      'GRANTS=grants',
      'REVOCATIONS=revoked.jsonl',
    ];
    const child = spawn('make', [...fixed, ...asked, ...kept], {
      cwd: folder,
      detached: true, // a group of its own, as a terminal makes one
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const group = -(child.pid ?? Number.NaN);
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (told += piece));
    const ended = new Promise((done) => child.on('close', done));
    try {
      const up = /"listen":"127\.0\.0\.1:(\d+)","admin":"127\.0\.0\.1:(\d+)"/;
      await until(
        () => up.test(told),
        () => told,
      );
      const [, port, adminPort] = up.exec(told) ?? [];
      await until(async () => (await admin(Number(adminPort), '/readyz')).status === 200);
      expect(statSync(join(folder, 'approvals/decide.sock')).isSocket()).toBe(true);
      model.script = answerChat('hello');
      expect(await post(Number(port), ask)).toMatchObject({ status: 200, whole: true });
      const line = { issuer: issuer.url, subject: 'ana', until: new Date(Date.now() + 600_000).toISOString() };
      appendFileSync(join(folder, 'revoked.jsonl'), `${JSON.stringify(line)}\n`);
      await until(async () => (await post(Number(port), ask)).status === 401, 'the revocation');
      process.kill(group, 'SIGTERM');
      await ended;
      expect(readFileSync(join(folder, 'audit.jsonl'), 'utf8')).toMatch(/"type":"end"[^]*"what":"stop"/);
    } finally {
      if (child.exitCode === null && child.signalCode === null) process.kill(group, 'SIGKILL');
    }
  });
});
