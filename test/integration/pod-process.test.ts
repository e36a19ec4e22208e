import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { Server } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import { namedStart, readAuditLog, spooledChains, verifyAuditLog } from '../../pkg/record/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import { compileCache } from '../support/compile-cache.ts';
import type { Issuer } from '../support/issuer.ts';
import { startIssuer } from '../support/issuer.ts';
import { createAuthority } from '../support/issuer-certificates.ts';
import type { ClientCertificate } from '../support/issuer-certificates.ts';
import type { ScriptedModel } from '../support/scripted-model.ts';
import { answerChat, chunk, startScriptedModel } from '../support/scripted-model.ts';
import { basePolicy } from '../support/world.ts';
import { pause, until } from '../support/wait.ts';
import { fixedPorts } from '../support/ports.ts';

// The sidecar of a pod as a process, told by the arguments and the environment that injection writes, on this machine's loopback:
// 127.0.0.1 is the pod's loopback, 127.0.0.9 its address. Files stand in for the controller's stream.

const podIp = '127.0.0.9';
const main = resolve(import.meta.dirname, '../support/pod-main.ts');

let issuer: Issuer;
let model: ScriptedModel;
let token: string;
let ca: string;
let material: { cert: string; key: string };
let folder: string;
const children: Pod[] = [];
const servers: Server[] = [];

beforeAll(async () => {
  issuer = await startIssuer();
  model = await startScriptedModel();
  token = await issuer.token({ sub: 'ana', groups: ['ml-eng'] });
  const keys = mkdtempSync(join(tmpdir(), 'sidegate-pod-keys-'));
  const files = await ensureSelfSigned(keys, [podIp, '127.0.0.1'], systemClock);
  material = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  ca = readFileSync(files.caFile, 'utf8');
  rmSync(keys, { recursive: true });
});
afterAll(async () => {
  await issuer.close();
  await model.close();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  for (const name of ['controller', 'state', 'spool']) mkdirSync(join(folder, name));
  model.script = answerChat('hello');
  model.seen.length = 0;
});
afterEach(async () => {
  for (const { child, ended } of children.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
  rmSync(folder, { recursive: true });
});

interface Pod {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly tls: number;
  readonly loopback: number;
  readonly probe: number;
  readonly admin: number;
  /** Listeners of the second port, where there is one. */
  readonly second: { readonly tls: number; readonly loopback: number };
  log(): string;
}

interface PodOptions {
  readonly capture?: string;
  readonly probes?: Readonly<Record<string, unknown>>;
  readonly grace?: number;
  readonly model?: number;
  readonly second?: number;
  readonly more?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const controller = (name: string, text: string): void => writeFileSync(join(folder, 'controller', name), text);
const give = (policy: string): void => {
  controller('key.pem', material.key);
  controller('cert.pem', material.cert);
  controller('policy.yaml', policy);
};

async function startPod(options: PodOptions = {}): Promise<Pod> {
  const [tls = 0, loopback = 0, tls2 = 0, loopback2 = 0, probe = 0, admin = 0] = await fixedPorts(6);
  const own = options.model ?? Number(new URL(model.url).port);
  const second = options.second === undefined ? '' : `,${options.second}=${tls2}:${loopback2}`;
  const flags = [
    ...['--ports', `${own}=${tls}:${loopback}${second}`],
    ...['--capture', options.capture ?? 'Redirect'],
    ...['--probes', JSON.stringify(options.probes ?? {})],
    ...['--controller', 'https://controller.test:8443', '--controller-name', 'controller.test'],
    ...['--token-file', join(folder, 'token')],
    ...['--state', join(folder, 'state'), '--spool', join(folder, 'spool')],
    ...['--grace', String(options.grace ?? 30)],
    ...['--probe-port', String(probe), '--admin-port', String(admin)],
    ...(options.more ?? []),
  ];
  const child = spawn(process.execPath, [main, join(folder, 'controller'), ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      ...compileCache,
      SIDEGATE_CONTROLLER_CA: ca,
      POD_NAME: 'llama-0',
      POD_NAMESPACE: 'ml',
      POD_UID: '7b1c',
      POD_IP: podIp,
      ...options.env,
    },
  });
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const pod: Pod = {
    child,
    ended: new Promise((done) => child.on('close', (code) => done(code))),
    ...{ tls, loopback, probe, admin, second: { tls: tls2, loopback: loopback2 } },
    log: () => text,
  };
  children.push(pod);
  return pod;
}

const started = (pod: Pod): Promise<void> =>
  until(async () => {
    if (pod.child.exitCode !== null) throw new Error(`the sidecar ended: ${pod.log()}`);
    return (await get(pod.admin, '/startupz').catch(() => ({ status: 0 }))).status === 200;
  }, 'startup');

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly whole: boolean;
}

interface Call {
  readonly host?: string;
  readonly path?: string;
  readonly body?: string;
  readonly tls?: boolean;
  readonly bearer?: string | undefined;
  readonly onChunk?: (text: string) => void;
  readonly certificate?: ClientCertificate;
}

function call(port: number, options: Call = {}): Promise<Answer> {
  const { host = podIp, path = '/v1/chat/completions', tls = true, bearer = token, onChunk } = options;
  const body = options.body ?? (path.endsWith('/completions') ? ask : undefined);
  return new Promise((done, failed) => {
    const request = (tls ? httpsRequest : httpRequest)(
      {
        ...{ host, port, path, ca, agent: false },
        ...(options.certificate !== undefined && { cert: options.certificate.pem, key: options.certificate.keyPem }),
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...(bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        const end = (): void => done({ status: response.statusCode ?? 0, text, whole: response.complete });
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          onChunk?.(text);
        });
        response.on('end', end).on('error', end);
      },
    );
    request.on('error', failed);
    request.end(body);
  });
}
const get = (port: number, path: string): Promise<Answer> =>
  call(port, { host: '127.0.0.1', path, tls: false, bearer: '' });
const ask = JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'hello' }] });
const reasonsOf = async (pod: Pod): Promise<unknown> =>
  (JSON.parse((await get(pod.admin, '/readyz')).text) as { reasons: unknown }).reasons;
const ready = (pod: Pod): Promise<void> =>
  until(async () => (await get(pod.admin, '/readyz')).status === 200, 'readiness');

describe('a sidecar that begins', () => {
  test('is up before the controller says anything, serves nobody outside, and is ready with a certificate and an answer', async () => {
    model.script = (response) => void response.end('{"status":"ok"}');
    const pod = await startPod();
    await started(pod);
    expect((await get(pod.admin, '/healthz')).status).toBe(200);
    expect(await reasonsOf(pod)).toEqual(['no_certificate', 'no_policy_yet']);
    await expect(call(pod.tls)).rejects.toThrow();
    expect((await call(pod.tls, { tls: false })).status).toBe(426);
    expect((await get(pod.loopback, '/health')).status).toBe(200);
    // Nobody outside reaches what is for the inside, nor does the inside listen there.
    await expect(call(pod.loopback, { tls: false })).rejects.toThrow(/ECONNREFUSED/);

    controller('policy.yaml', '#');
    await until(async () => JSON.stringify(await reasonsOf(pod)) === '["no_certificate"]', 'the policy');
    controller('key.pem', material.key);
    controller('cert.pem', material.cert);
    await ready(pod);
    expect(await call(pod.tls)).toMatchObject({ status: 403, text: expect.stringContaining('no_policy') });

    controller('policy.yaml', basePolicy(issuer.url));
    model.script = answerChat('hello');
    await until(async () => (await call(pod.tls)).status === 200, 'the policy');
    expect((await call(pod.tls, { bearer: '' })).status).toBe(401);
    expect((await call(pod.loopback, { host: '127.0.0.1', tls: false, bearer: '' })).status).toBe(401);
    expect((await call(pod.loopback, { host: '127.0.0.1', tls: true })).status).toBe(200);
    expect((await get(pod.admin, '/metrics')).text).toContain('sidegate_spool_bytes');
  });

  test('names everything that is wrong with what it was told, and does not start', async () => {
    const pod = await startPod({
      capture: 'Both',
      probes: { '/drain': {} },
      more: ['--grace', 'long', '--helpers', '2000@9=17460'],
      env: { POD_UID: '', SIDEGATE_CONTROLLER_CA: '' },
    });
    expect(await pod.ended).toBe(2);
    for (const what of ['--capture', '--probes', '--grace', 'POD_UID', 'SIDEGATE_CONTROLLER_CA'])
      expect(pod.log()).toContain(what);
  });

  test('does not start where a port is taken', async () => {
    const [taken = 0] = await fixedPorts(1);
    const server = createServer();
    servers.push(server);
    await new Promise<void>((done) => server.listen(taken, '0.0.0.0', done));
    const pod = await startPod({ more: ['--probe-port', String(taken)] });
    expect(await pod.ended).not.toBe(0);
  });
});

describe('callers by certificate', () => {
  const mutual = `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: test, namespace: ml }
spec:
  tls: { inbound: Mutual }
  identity:
    providers:
    - { name: mesh, clientCertificate: { caSecretRef: { name: callers, key: ca.crt }, subjectFrom: CommonName } }
  access:
  - { name: batch, effect: Allow, subjects: [{ subject: batch }], operations: [Chat] }
`;

  test('are proven by authorities from a Secret, from when it comes until it is gone', async () => {
    const callers = createAuthority('callers', Date.now());
    const batch = callers.issue({ subject: [['CN', 'batch']] });
    const stranger = createAuthority('callers', Date.now()).issue({ subject: [['CN', 'batch']] });
    const by = async (certificate?: ClientCertificate): Promise<string> => {
      const { status, text } = await call(pod.tls, { bearer: '', ...(certificate !== undefined && { certificate }) });
      return status === 200 ? 'served' : (JSON.parse(text) as { error: { code: string } }).error.code;
    };
    give(mutual);
    const pod = await startPod();
    await started(pod);
    await ready(pod);
    expect(await by(batch)).toBe('certificate_required');
    controller('secret-callers-ca.crt', callers.pem);
    await until(async () => (await by(batch)) === 'served', 'the authorities');
    expect([await by(), await by(stranger)]).toEqual(['certificate_required', 'certificate_required']);
    expect(model.seen.at(-1)?.headers).not.toHaveProperty('authorization');
    const served = model.seen.length;
    rmSync(join(folder, 'controller', 'secret-callers-ca.crt'));
    await until(async () => (await by(batch)) !== 'served', 'the end of the authorities');
    expect(['identity_unavailable', 'certificate_required']).toContain(await by(batch));
    expect(model.seen).toHaveLength(served);
  });
});

describe('several ports', () => {
  test('each leads to its own model under one policy; one that the policy does not name is closed', async () => {
    const other = await startScriptedModel();
    try {
      other.script = answerChat('from the second');
      const port = Number(new URL(other.url).port);
      give(basePolicy(issuer.url));
      const pod = await startPod({ second: port });
      await started(pod);
      await ready(pod);
      expect((await call(pod.tls)).text).toContain('hello');
      expect((await call(pod.second.tls)).text).toContain('from the second');
      controller('policy.yaml', basePolicy(issuer.url, `  upstream: { ports: [{ containerPort: ${port} }] }`));
      await until(async () => (await call(pod.tls)).text.includes('port_not_named'), 'the policy');
      expect((await call(pod.second.tls)).status).toBe(200);
      expect(other.seen).toHaveLength(2);
    } finally {
      await other.close();
    }
  });

  test('one caller has one budget over all of them', async () => {
    const other = await startScriptedModel();
    try {
      give(
        basePolicy(issuer.url).replace('operations: [Chat', 'limits: { requestsPerMinute: 2 }\n    operations: [Chat'),
      );
      const pod = await startPod({ second: Number(new URL(other.url).port) });
      await started(pod);
      await ready(pod);
      expect((await call(pod.tls)).status).toBe(200);
      expect((await call(pod.second.tls)).status).toBe(200);
      expect((await call(pod.tls)).status).toBe(429);
    } finally {
      await other.close();
    }
  });
});

describe('probes and draining', () => {
  test('the probe port answers for the container, which only the sidecar may reach', async () => {
    const own = Number(new URL(model.url).port);
    model.script = (response) => void response.writeHead(model.seen.length > 1 ? 500 : 200).end('inside');
    const pod = await startPod({
      probes: {
        '/probe/model/readiness': { timeoutSeconds: 20, httpGet: { port: own, path: '/ready', scheme: 'HTTP' } },
      },
    });
    await started(pod);
    expect(await get(pod.probe, '/probe/model/readiness')).toMatchObject({ status: 200, text: 'healthy: 200\n' });
    await pause(300);
    expect((await get(pod.probe, '/probe/model/readiness')).status).toBe(503);
    expect((await get(pod.probe, '/probe/model/liveness')).status).toBe(404);
    expect(model.seen.map((one) => one.path)).toEqual(['/ready', '/ready']);
    expect((await get(pod.admin, '/metrics')).text).toContain('sidegate_probes_total{result="unhealthy"} 1');
  });

  test('/drain waits for the stream under way, and takes nothing from anybody meanwhile', async () => {
    give(basePolicy(issuer.url));
    const pod = await startPod({ grace: 40 });
    await started(pod);
    await ready(pod);
    let finish = (): void => undefined;
    model.script = (response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write(chunk({ content: 'first' }));
      finish = () => response.end(`${chunk({ content: 'last' })}${chunk({}, 'stop')}data: [DONE]\n\n`);
    };
    let got = '';
    const stream = call(pod.tls, { body: ask.replace('{', '{"stream":true,'), onChunk: (text) => (got = text) });
    await until(() => got.includes('first'), 'the first event');
    const began = performance.now();
    let drained = 0;
    const draining = get(pod.probe, '/drain').then((answer) => {
      drained = performance.now() - began;
      return answer;
    });
    // Past the 5 s after which an idle pod would have answered, far from the 35 s after which it gives up.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(drained).toBe(0);
    model.script = answerChat('still here');
    expect((await call(pod.tls)).text).toContain('still here');
    expect((await get(pod.admin, '/readyz')).status).toBe(200);
    finish();
    // The script that the stream runs on is the first one.
    expect(await stream).toMatchObject({ status: 200, whole: true, text: expect.stringContaining('[DONE]') });
    expect(await draining).toMatchObject({ status: 200, text: 'idle\n' });
    expect(drained).toBeLessThan(30_000);
  });
});

describe('a sidecar that ends', () => {
  test('SIGTERM writes the record whole and exits with 0; after a kill the next one goes on where it stopped', async () => {
    give(basePolicy(issuer.url));
    const first = await startPod();
    await started(first);
    await ready(first);
    expect((await call(first.tls)).status).toBe(200);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await startPod();
    await started(second);
    await ready(second);
    expect((await call(second.tls)).status).toBe(200);
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    const [chain = ''] = spooledChains(join(folder, 'spool'));
    const record = join(folder, `spool/record-${chain}.jsonl`);
    const lines = readFileSync(record, 'utf8').trim().split('\n');
    expect(lines.filter((line) => line.includes('"what":"start"'))).toHaveLength(2);
    expect(lines.filter((line) => line.includes('"what":"stop"'))).toHaveLength(1);
    expect(verifyAuditLog(readAuditLog(record), { after: namedStart(chain) })).toMatchObject({ ok: true, lost: 0 });
  });
});

describe('the spool', () => {
  test('that is full leaves it to the policy whether requests go on', async () => {
    give(basePolicy(issuer.url));
    const pod = await startPod({ more: ['--spool-limit', '10'] });
    await started(pod);
    await until(async () => (await call(pod.tls)).text.includes('audit_unavailable'), 'the end of the record');
    // Others of the Deployment may have room.
    expect(await reasonsOf(pod)).toEqual(['record_unwritable']);
    controller('policy.yaml', basePolicy(issuer.url, '  audit: { onFailure: Allow }'));
    await until(async () => (await call(pod.tls)).status === 200, 'the policy');
    expect((await get(pod.admin, '/readyz')).status).toBe(200);
    expect(pod.log()).toContain('the spool is full');
  });
});

describe('capture mode NamedPort', () => {
  const serve = async (host: string, port: number): Promise<Server> => {
    const server = createServer((_request, response) => response.end('open'));
    servers.push(server);
    await new Promise<void>((done) => server.listen(port, host, done));
    return server;
  };

  test('is not ready while a model port answers on the address of the pod, and says so', async () => {
    const [port = 0] = await fixedPorts(1);
    await serve('127.0.0.1', port);
    give(basePolicy(issuer.url));
    const pod = await startPod({ capture: 'NamedPort', model: port });
    await started(pod);
    await ready(pod);
    const open = await serve(podIp, port);
    await until(async () => JSON.stringify(await reasonsOf(pod)) === '["model_port_exposed"]', 'the reason');
    expect(pod.log()).toContain('listen on 127.0.0.1');
    open.closeAllConnections();
    await new Promise((done) => open.close(done));
    servers.pop();
    await ready(pod);
  });
});
