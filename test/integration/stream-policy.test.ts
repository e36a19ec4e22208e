import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CodedError, Secret, silentLogger } from '../../pkg/base/index.ts';
import { allow, anyone, clusterPolicy, policy, provider } from '../../pkg/core/testing/policies.ts';
import { compileSnapshot } from '../../pkg/core/index.ts';
import type { Policy } from '../../pkg/core/index.ts';
import type { OpenedCertificate } from '../../pkg/control/stream/index.ts';
import { createKeyRequest } from '../../pkg/pki/index.ts';
import { RuntimeHolder } from '../../pkg/proxy/runtime.ts';
import { encodeFrame } from '../../pkg/wire/index.ts';
import type { AuditHead } from '../../pkg/wire/index.ts';
import { controllerName, rawPeer, secretValue, snapshotOf, streamWorld, until } from '../support/stream.ts';
import type { Sidecar, StreamWorld } from '../support/stream.ts';
import { pause } from '../support/wait.ts';

const hour = 3_600_000;
let world: StreamWorld;
beforeEach(async () => {
  world = await streamWorld();
});
afterEach(() => world.close());

type Pod = ReturnType<StreamWorld['pod']>;
const open = (name: string): Policy => policy(name, { access: [allow('all', { subjects: [anyone] })] });
const give = (pod: Pod, policies: readonly Policy[], seen = '1'): string => {
  const snapshot = snapshotOf(policies, { inferencepolicies: seen });
  world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot });
  world.directory.changed(pod);
  return snapshot.hash;
};
const chat = { caller: undefined, operation: 'Chat', model: 'm' } as const;
const decision = (sidecar: Sidecar): string | undefined => {
  const access = sidecar.policy.current()?.access(chat);
  return access?.kind === 'deny' ? access.refusal.reason : access?.kind;
};
async function running(pod: Pod, policies = [open('p')], more = {}): Promise<Sidecar> {
  give(pod, policies);
  const sidecar = world.sidecar(pod, more);
  await until(() => sidecar.answered().ready && sidecar.identity() !== undefined, 'ready');
  return sidecar;
}

describe('a sidecar and its controller', () => {
  test('a new pod gets its certificates and its policy; an edit is in force, acknowledged and reported', async () => {
    const pod = world.pod();
    world.directory.names.set(pod.uid, ['llama.ml.svc', 'llama.ml.svc.cluster.local']);
    const sidecar = await running(pod);
    const names = new X509Certificate(sidecar.serving.current()!.cert).subjectAltName;
    expect(names).toBe('DNS:llama.ml.svc, DNS:llama.ml.svc.cluster.local, DNS:127-0-1-1.ml.pod.cluster.local');
    const id = new X509Certificate(sidecar.identity()!.cert);
    expect(id.subjectAltName).toBe(`URI:spiffe://cluster.local/ns/ml/sa/llama/pod/${pod.uid}`);
    expect(decision(sidecar)).toBe('allow');
    const hash = give(pod, [policy('p')], '2');
    await until(() => decision(sidecar) === 'access_denied');
    await until(() => world.directory.reports.at(-1)?.hash === hash);
    expect(world.directory.reports.at(-1)).toMatchObject({
      pod: { namespace: 'ml', name: pod.name, uid: pod.uid },
      sources: [{ name: 'p' }],
      problem: undefined,
      portMap: { '8000': 17_400 },
      capture: 'Redirect',
    });
  });

  test('no policy is an answer: ready, and everything is denied', async () => {
    const sidecar = await running(world.pod(), []);
    expect(sidecar.policy.current()?.sources).toEqual([]);
    expect(decision(sidecar)).toBe('no_policy');
  });

  test('it waits, not ready, while the controller cannot say anything yet', async () => {
    const pod = world.pod();
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.serving.current() !== undefined);
    expect(sidecar.answered()).toEqual({ ready: false, reasons: ['no_policy_yet'] });
    give(pod, [open('p')]);
    await until(() => sidecar.answered().ready);
  });

  test('a policy that cannot be translated leaves the last good one; where none was, nothing is allowed', async () => {
    const [pod, fresh] = [world.pod(), world.pod()];
    const sidecar = await running(pod);
    const invalid = { kind: 'invalid', message: 'p: unknown field', seen: { inferencepolicies: '9' } } as const;
    for (const one of [pod, fresh]) world.directory.answers.set(one.uid, invalid);
    world.directory.changed(pod);
    await until(() => sidecar.policy.problem() === 'p: unknown field');
    expect(decision(sidecar)).toBe('allow');
    const other = world.sidecar(fresh);
    await until(() => other.answered().reasons.includes('policy_invalid'));
    expect(other.policy.current()).toBeUndefined();
  });

  test('one that does not compile here is refused with its hash, and the last good one stays', async () => {
    const pod = world.pod();
    const sidecar = await running(pod, [open('p')], {
      compile: (policies: readonly Policy[], revision: number) => {
        if (policies.some((one) => one.name === 'new')) throw new Error('unknown detector');
        return compileSnapshot(policies, { revision });
      },
    });
    const good = sidecar.policy.current()?.hash;
    const hash = give(pod, [open('p'), open('new')], '2');
    await until(() => world.directory.reports.at(-1)?.problem !== undefined);
    expect(world.directory.reports.at(-1)).toMatchObject({ hash: good, problem: { reason: 'invalid' } });
    expect(decision(sidecar)).toBe('allow');
    expect(sidecar.policy.problem()).toBe('unknown detector');
    expect(hash).not.toBe(good);
    give(pod, [policy('p')], '3');
    await until(() => decision(sidecar) === 'access_denied' && sidecar.policy.problem() === undefined);
  });

  test('a hash that is not that of the policies is refused', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    const lie = { ...snapshotOf([policy('q')], { inferencepolicies: '5' }), hash: 'a'.repeat(64) };
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: lie });
    world.directory.changed(pod);
    await until(() => world.directory.reports.at(-1)?.problem?.reason === 'invalid');
    expect(decision(sidecar)).toBe('allow');
  });

  test('one that could not be put into force is acknowledged as soon as it can, and no longer when it cannot', async () => {
    const pod = world.pod();
    const sidecar = await running(pod, [open('p')]);
    const { hash } = sidecar.policy.current() ?? {};
    const last = (): unknown[] => {
      const { hash: inForce, problem } = world.directory.reports.at(-1) ?? {};
      return [inForce, problem?.reason];
    };
    await until(() => last()[0] === hash);
    // As the runtime says it, when a Secret alone has changed.
    sidecar.policy.settled?.('invalid_credential');
    await until(() => last()[1] === 'unusable');
    expect(last()[0]).toBeUndefined();
    sidecar.policy.settled?.(undefined);
    await until(() => last()[0] === hash);
    expect(last()[1]).toBeUndefined();
  });

  test('one that cannot be put into force is not acknowledged: nothing is, also after a restart, until the next that can', async () => {
    const pod = world.pod();
    const folder = world.folder(pod.token);
    const holderOf = (sidecar: Sidecar): RuntimeHolder =>
      new RuntimeHolder({
        source: sidecar.policy,
        credentials: sidecar.credentials,
        verifiers(providers) {
          if (JSON.stringify(providers).includes('broken'))
            throw new CodedError('broken_provider', 'this one cannot be used');
          return {
            verify: () => Promise.resolve({ kind: 'absent' }),
            clientAuthorities: () => undefined,
            close: () => undefined,
          };
        },
        tokens: { read: () => undefined, refused: () => undefined, close: () => undefined },
        hashKey: Buffer.alloc(32, 7),
        clock: world.clock,
        logger: silentLogger,
      });
    const first = await running(pod, [open('p')], folder);
    const before = holderOf(first);
    expect(before.current?.snapshot.hash).toBe(first.policy.current()?.hash);
    const broken = policy('p', { access: [allow('all', { subjects: [anyone] })], providers: [provider('broken')] });
    const refused = give(pod, [broken], '2');
    await until(() => world.directory.reports.at(-1)?.problem?.reason === 'unusable');
    // Not what was acknowledged before, either.
    expect(world.directory.reports.at(-1)?.hash).toBeUndefined();
    expect(world.directory.reports.map((one) => one.hash)).not.toContain(refused);
    expect(before.current).toBeUndefined();
    expect(first.answered()).toEqual({ ready: false, reasons: ['policy_invalid'] });
    expect(first.policy.problem()).toBe('broken_provider');
    expect(first.events.filter((one) => one === 'policy_taken')).toHaveLength(1);
    before.close();
    await first.close();

    const reports = world.directory.reports.length;
    const second = world.sidecar(pod, folder);
    const after = holderOf(second);
    expect(after.current).toBeUndefined();
    await until(() => world.directory.reports.slice(reports).some((one) => one.problem !== undefined));
    expect(world.directory.reports.map((one) => one.hash)).not.toContain(refused);
    expect(second.answered().ready).toBe(false);
    const good = give(pod, [open('q')], '3');
    await until(() => world.directory.reports.at(-1)?.hash === good);
    expect(world.directory.reports.at(-1)?.problem).toBeUndefined();
    expect(after.current?.snapshot.hash).toBe(good);
    expect(second.answered().ready).toBe(true);
    after.close();
  });

  test('heartbeats carry the head of the record', async () => {
    const pod = world.pod();
    const sidecar = await running(pod, [open('p')], { auditHead: () => ({ sequence: 7, hash: 'ab'.repeat(32) }) });
    await world.clock.advanceAsync(15_000);
    await until(() => world.directory.heads.length >= 2);
    expect(world.directory.heads.at(-1)).toEqual({ sequence: 7, hash: 'ab'.repeat(32) });
    expect(sidecar.connected()).toBe(true);
  });

  test('the first number of a record that has just begun is told at once, and the last one before the goodbye', async () => {
    const pod = world.pod();
    let head: AuditHead = { sequence: 0, hash: 'aa'.repeat(32) };
    const sidecar = await running(pod, [open('p')], { auditHead: () => head });
    expect(world.directory.heads).toEqual([head]);
    head = { sequence: 1, hash: 'ab'.repeat(32) };
    await world.clock.advanceAsync(200);
    await until(() => world.directory.heads.length === 2);
    await world.clock.advanceAsync(2_000);
    head = { sequence: 9, hash: 'ac'.repeat(32), ended: true };
    await sidecar.close();
    await until(() => world.directory.gone.length > 0);
    expect(world.directory.heads).toEqual([
      { sequence: 0, hash: 'aa'.repeat(32) },
      { sequence: 1, hash: 'ab'.repeat(32) },
      { sequence: 9, hash: 'ac'.repeat(32), ended: true },
    ]);
  });
});

describe('a replica that lags behind', () => {
  test('cannot bring back what was taken away, also after a restart of the sidecar', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    give(pod, [policy('p')], '10');
    await until(() => decision(sidecar) === 'access_denied');
    await sidecar.close();
    const { stateFolder, tokenFile } = sidecar.options;
    // What another replica still believes.
    give(pod, [open('p')], '9');
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    await until(() => again.events.includes('policy_stale'));
    expect(decision(again)).toBe('access_denied');
    await until(() => again.events.includes('disconnected'));
    expect(world.directory.reports.at(-1)?.problem?.reason).toBe('stale');
    // It leaves and comes back; as soon as the replica has caught up, all is well.
    const hash = give(pod, [policy('p'), policy('q')], '11');
    await until(async () => {
      await world.clock.advanceAsync(1_000);
      return again.policy.current()?.hash === hash;
    });
  });

  test('nor one that has not seen a kind at all', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    const first = snapshotOf([policy('p')], { clusterinferencepolicies: '3' });
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: first });
    world.directory.changed(pod);
    await until(() => decision(sidecar) === 'access_denied');
    give(pod, [open('p')], '99');
    await until(() => sidecar.events.includes('policy_stale'));
    expect(decision(sidecar)).toBe('access_denied');
  });
});

describe('secrets', () => {
  const ref = { kind: 'Secret', namespace: undefined, name: 'vllm-key', key: 'api-key' } as const;

  test('come over the stream, change without a restart, and are in no file and no log line', async () => {
    const pod = world.pod();
    world.directory.secretsOf.set(pod.uid, {
      values: [secretValue('vllm-key', 'api-key', 'sk-first-value\n')],
      missing: [],
    });
    const sidecar = await running(pod);
    expect(sidecar.credentials.read(ref)).toBe('sk-first-value');
    let told = 0;
    sidecar.onSecrets(() => told++);
    world.directory.secretsOf.set(pod.uid, {
      values: [secretValue('vllm-key', 'api-key', 'sk-second-value')],
      missing: [],
    });
    world.directory.changed(pod);
    await until(() => told === 1);
    expect(sidecar.credentials.read(ref)).toBe('sk-second-value');
    world.directory.secretsOf.set(pod.uid, { values: [], missing: [{ name: 'vllm-key', key: 'api-key' }] });
    world.directory.changed(pod);
    await until(() => told === 2);
    expect(sidecar.credentials.read(ref)).toBeUndefined();
    const files = readdirSync(sidecar.options.stateFolder).map((name) => join(sidecar.options.stateFolder, name));
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      expect(readFileSync(file, 'utf8')).not.toMatch(/sk-(first|second)/);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    expect(world.log.join('\n')).not.toMatch(/sk-(first|second)/);
  });

  test('what could add a header is no credential, and still a text for those who want one', async () => {
    const pod = world.pod();
    world.directory.secretsOf.set(pod.uid, { values: [secretValue('vllm-key', 'api-key', 'a\r\nx: b')], missing: [] });
    const sidecar = await running(pod);
    expect(sidecar.credentials.read(ref)).toBeUndefined();
    expect(sidecar.secret(ref)?.reveal()).toBe('a\r\nx: b');
  });

  test.each([1, 7, 4_097, 8_000])('of %i characters are no credential, counted once for each value', async (length) => {
    const pod = world.pod();
    const value = 'k'.repeat(length);
    world.directory.secretsOf.set(pod.uid, { values: [secretValue('vllm-key', 'api-key', value)], missing: [] });
    let refused = 0;
    const sidecar = await running(pod, undefined, { onCredentialRefused: () => refused++ });
    for (let n = 0; n < 3; n++) expect(sidecar.credentials.read(ref)).toBeUndefined();
    expect(refused).toBe(1);
    expect(sidecar.secret(ref)?.reveal()).toBe(value);
  });

  test('of one name and key in two namespaces are two', async () => {
    const pod = world.pod();
    const [platform, own] = [secretValue('key', 'api', 'sk-platform'), secretValue('key', 'api', 'sk-own-key')];
    world.directory.secretsOf.set(pod.uid, { values: [platform, { ...own, namespace: 'ml' }], missing: [] });
    const sidecar = await running(pod);
    const named = (namespace: string | undefined) => ({ kind: 'Secret', namespace, name: 'key', key: 'api' }) as const;
    expect(sidecar.credentials.read(named(undefined))).toBe('sk-platform');
    expect(sidecar.credentials.read(named('ml'))).toBe('sk-own-key');
    expect(sidecar.credentials.read(named('other'))).toBeUndefined();
  });

  test('that are more than a sidecar takes are not sent: all else is, and the stream stands', async () => {
    const pod = world.pod();
    // In JSON, six bytes each.
    const large = secretValue('vllm-key', 'api-key', '\0'.repeat(1_000_000));
    world.directory.secretsOf.set(pod.uid, { values: [large], missing: [] });
    world.directory.importedOf.set(pod.uid, {
      secretName: 'cert',
      content: { kind: 'pem', certificate: '', key: new Secret('') },
    });
    // More than its list in Kubernetes can hold.
    const one = { issuer: 'a', subject: 'b', until: 1 };
    world.revocations = Array.from({ length: 40_000 }, () => one);
    give(pod, [open('p')]);
    const sidecar = world.sidecar(pod);
    await until(() => decision(sidecar) === 'allow');
    const hash = give(pod, [policy('p')], '2');
    await until(() => world.directory.reports.at(-1)?.hash === hash);
    expect(sidecar.secret(ref)).toBeUndefined();
    expect(sidecar.events.filter((event) => event === 'connected')).toHaveLength(1);
    expect(world.log.join('\n')).toContain('a message is more than a sidecar takes: not sent');
    expect(world.log.join('\n')).toContain('the revocations are more than a sidecar takes: not sent');
    // Each once, and each is counted: an alert is on it.
    expect(world.unsent.toSorted()).toEqual(['revocations', 'secrets']);
  });

  test('go only to the pod whose policies name them', async () => {
    const [pod, other] = [world.pod(), world.pod()];
    world.directory.secretsOf.set(pod.uid, { values: [secretValue('vllm-key', 'api-key', 'sk-mine')], missing: [] });
    await running(pod);
    const sidecar = await running(other);
    expect(sidecar.secret(ref)).toBeUndefined();
  });
});

/** Lets time pass, not all at once: three heartbeats without one would be a silent peer. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 15_000) {
    await world.clock.advanceAsync(Math.min(left, 15_000));
    await pause(100);
  }
}

describe('the serving certificate', () => {
  test('is issued again when the Services change, and swapped without dropping a connection', async () => {
    const pod = world.pod();
    world.directory.names.set(pod.uid, ['llama.ml.svc']);
    const sidecar = await running(pod);
    const server = createServer({ ...sidecar.serving.current()! }, (socket) => void socket.pipe(socket));
    sidecar.serving.subscribe((material) => material !== undefined && server.setSecureContext(material));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const to = (servername: string): Promise<ReturnType<typeof connect>> =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1', servername, ca: world.authority.bundle() }, () =>
          resolve(socket),
        );
        socket.on('error', reject);
      });
    const standing = await to('llama.ml.svc');
    await expect(to('other.ml.svc')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    world.directory.names.set(pod.uid, ['llama.ml.svc', 'other.ml.svc']);
    world.directory.changed(pod);
    await until(() => new X509Certificate(sidecar.serving.current()!.cert).subjectAltName?.includes('other') === true);
    const fresh = await to('other.ml.svc');
    const echoed = new Promise((resolve) => standing.once('data', (data) => resolve(String(data))));
    standing.write('still here');
    expect(await echoed).toBe('still here');
    for (const socket of [standing, fresh]) socket.destroy();
    server.close();
  });

  test('that changes while one is signed is asked for once more, and every question gets one answer', async () => {
    const pod = world.pod();
    const named = (count: number): void => {
      world.directory.names.set(
        pod.uid,
        Array.from({ length: count }, (_, at) => `s${at}.ml.svc`),
      );
      world.directory.changed(pod);
    };
    named(1);
    const sidecar = await running(pod);
    // Signing waits for this, so that the names change while a question is open.
    const { sign } = world.authority;
    const asked: string[][] = [];
    const held: (() => void)[] = [];
    world.authority.sign = async (request) => {
      asked.push('dnsNames' in request ? [...request.dnsNames] : []);
      await new Promise<void>((resolve) => held.push(resolve));
      return await sign(request);
    };
    const names = (): string => new X509Certificate(sidecar.serving.current()!.cert).subjectAltName ?? '';
    named(2);
    await until(() => held.length === 1);
    for (let count = 3; count <= 12; count++) named(count);
    // A minute passes as well, in which the sidecar would ask for what is due.
    await pass(60_000);
    held.shift()?.();
    await until(() => held.length === 1 && names().includes('s1.ml.svc'));
    held.shift()?.();
    await until(() => names().includes('s11.ml.svc'));
    expect(asked.map((one) => one.length)).toEqual([3, 13]);
    expect(world.log.filter((line) => line.includes('was not taken'))).toEqual([]);
    expect(sidecar.events).not.toContain('certificate_refused');
  });

  test.each(['sidegate-controller.sidegate-system.svc', 'llama.other.svc', 'llama', 'a.b.ml.svc', '*.ml.svc'])(
    'is never issued for %s to a pod of ml',
    async (name) => {
      const pod = world.pod();
      world.directory.names.set(pod.uid, ['llama.ml.svc', name]);
      give(pod, [open('p')]);
      const sidecar = world.sidecar(pod);
      await until(() => sidecar.identity() !== undefined && world.log.some((line) => line.includes('not issued')));
      expect(sidecar.answered().reasons).toEqual(['no_certificate']);
    },
  );

  test('is renewed at two thirds of its life, as the identity is; the connection stays', async () => {
    await world.close();
    world = await streamWorld({ agoMs: 20 * hour, limits: { maxAgeMs: 10 * hour } });
    const pod = world.pod();
    const sidecar = await running(pod);
    const serials = (): (string | undefined)[] =>
      [sidecar.serving.current(), sidecar.identity()].map((one) =>
        one === undefined ? undefined : new X509Certificate(one.cert).serialNumber,
      );
    const first = serials();
    // The wall clock decides: it steps, and the next minute sees it.
    world.clock.step(15.8 * hour);
    await pass(60_000);
    expect(serials()).toEqual(first);
    world.clock.step(0.2 * hour);
    await pass(60_000);
    await until(() => serials().every((one, at) => one !== undefined && one !== first[at]));
    expect(world.openedBy).toEqual(['token']);
  });

  test('ends at its time where nobody renews it, and listeners hear of it', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    const told: unknown[] = [];
    sidecar.serving.subscribe((material) => told.push(material));
    await world.server.close();
    world.clock.step(24 * hour);
    expect(sidecar.serving.current()).toBeUndefined();
    expect(sidecar.identity()).toBeUndefined();
    await world.clock.advanceAsync(60_000);
    expect(told).toEqual([undefined]);
  });

  test.each(['pem', 'pkcs12'])('may be imported from a Secret (%s), which is kept in memory alone', async (kind) => {
    const pod = world.pod();
    const { csr, key } = createKeyRequest();
    const certificate = await world.authority.sign({ purpose: 'server', csr, dnsNames: ['own.example.com'] });
    const folder = join(import.meta.dirname, '../../pkg/pki/testdata');
    const p12 = readdirSync(folder).find((name) => name.endsWith('.p12') || name.endsWith('.pfx'));
    const content =
      kind === 'pem'
        ? ({ kind: 'pem', certificate, key: new Secret(key) } as const)
        : ({
            kind: 'pkcs12',
            file: readFileSync(join(folder, p12 ?? '')),
            passphrase: new Secret('wrong'),
            namespace: 'ml',
          } as const);
    world.directory.importedOf.set(pod.uid, { secretName: 'my-cert', content });
    give(pod, [open('p')]);
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.policy.current() !== undefined && sidecar.identity() !== undefined);
    if (kind === 'pkcs12') {
      // A passphrase that does not open it: nothing is served, above all not another certificate in its place.
      await until(() => sidecar.events.includes('certificate_refused'));
      expect(sidecar.answered().reasons).toEqual(['no_certificate']);
      return;
    }
    await until(() => sidecar.serving.current()?.cert === certificate);
    for (const file of readdirSync(sidecar.options.stateFolder))
      expect(readFileSync(join(sidecar.options.stateFolder, file), 'utf8')).not.toContain(key.split('\n')[1]);
    await sidecar.close();
    await world.server.close();
    const { stateFolder, tokenFile } = sidecar.options;
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    // Until the controller brings it again nothing stands in its place.
    expect(again.answered().reasons).toEqual(['no_certificate']);
    expect(decision(again)).toBe('allow');
  });

  test('may be opened later, when at first it could not be found out what is in it', async () => {
    const opened: OpenedCertificate[] = [{ kind: 'unusable', why: 'short of threads', retryMs: 1_000 }];
    await world.close();
    world = await streamWorld({ opener: { open: () => Promise.resolve(opened.at(-1) as OpenedCertificate) } });
    const pod = world.pod();
    const { csr, key } = createKeyRequest();
    const certificate = await world.authority.sign({ purpose: 'server', csr, dnsNames: ['own.example.com'] });
    const content = {
      kind: 'pkcs12',
      file: new Uint8Array(1),
      passphrase: new Secret('pass'),
      namespace: 'ml',
    } as const;
    world.directory.importedOf.set(pod.uid, { secretName: 'my-cert', content });
    give(pod, [open('p')]);
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.events.includes('certificate_refused'));
    expect(sidecar.serving.current()).toBeUndefined();
    opened.push({ kind: 'usable', certificate, key: new Secret(key) });
    world.clock.advance(1_000);
    await until(() => sidecar.serving.current()?.cert === certificate);
  });

  test("goes back to Sidegate's when the policy does", async () => {
    const pod = world.pod();
    world.directory.importedOf.set(pod.uid, { secretName: 'gone', content: undefined });
    give(pod, [open('p')]);
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.events.includes('certificate_refused'));
    expect(sidecar.serving.current()).toBeUndefined();
    world.directory.importedOf.delete(pod.uid);
    world.directory.changed(pod);
    await until(() => sidecar.answered().ready);
  });
});

describe('while no controller answers', () => {
  test('a restarted sidecar goes on with what it had; a first one has nothing', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    await sidecar.close();
    await world.server.close();
    const { stateFolder, tokenFile } = sidecar.options;
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    expect(again.answered()).toEqual({ ready: true, reasons: [] });
    expect(decision(again)).toBe('allow');
    expect(again.connected()).toBe(false);
    const first = world.sidecar(pod);
    expect(first.answered()).toEqual({ ready: false, reasons: ['no_certificate', 'no_policy_yet'] });
    expect(first.policy.current()).toBeUndefined();
  });

  test.each([
    ['truncated', (text: string) => text.slice(0, text.length / 2)],
    ['changed by one character', (text: string) => text.replace('"Enforce"', '"Observe"').replace('BEGIN', 'BEGUN')],
    ['empty', () => ''],
    ['of another pod', (_text: string, other: string) => other],
    ['not a file of ours', () => '{"policies":[]}'],
  ])('what is %s is not used, and counted', async (_what, change) => {
    const [pod, stranger] = [world.pod(), world.pod()];
    const [sidecar, other] = [await running(pod), await running(stranger)];
    await sidecar.close();
    await world.server.close();
    const { stateFolder, tokenFile } = sidecar.options;
    const names = readdirSync(stateFolder).filter((name) => name !== 'confirmed.json');
    expect(names.sort()).toEqual(['certificates.json', 'policy.json']);
    for (const name of names) {
      const theirs = readFileSync(join(other.options.stateFolder, name), 'utf8');
      writeFileSync(join(stateFolder, name), change(readFileSync(join(stateFolder, name), 'utf8'), theirs));
    }
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    expect(again.events.filter((event) => event === 'state_refused')).toHaveLength(2);
    expect(again.answered()).toEqual({ ready: false, reasons: ['no_certificate', 'no_policy_yet'] });
    expect(again.policy.current()).toBeUndefined();
  });

  test('a folder that cannot be written changes nothing but is counted', async () => {
    const pod = world.pod();
    const { stateFolder, tokenFile } = world.folder(pod.token);
    writeFileSync(stateFolder, 'a file in its place');
    const sidecar = await running(pod, [open('p')], { stateFolder, tokenFile });
    expect(sidecar.events).toContain('state_unwritable');
    expect(decision(sidecar)).toBe('allow');
  });

  test('everything is denied when the policy was not confirmed for 24 h', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    const revisions: number[] = [];
    sidecar.policy.subscribe((snapshot) => revisions.push(snapshot.revision));
    await world.server.close();
    await until(() => !sidecar.connected());
    world.clock.stall(23.9 * hour);
    await world.clock.advanceAsync(1_000);
    expect(decision(sidecar)).toBe('allow');
    await world.clock.advanceAsync(0.2 * hour);
    expect(decision(sidecar)).toBe('policy_expired');
    expect(sidecar.answered().reasons).toContain('policy_expired');
    expect(revisions).toEqual([2]);
  });

  test('a replica that no longer hears of the API server confirms nothing newer, and sends its sidecars elsewhere', async () => {
    await world.close();
    // Beats are far apart: a step of the test's clock is longer than what is said takes to be read.
    world = await streamWorld({ limits: { maxAgeMs: 20 * hour, heartbeatMs: 600_000 } });
    const sidecar = await running(world.pod(), [open('p'), clusterPolicy('c', { maxPolicyAgeMs: 15 * 60_000 })]);
    const pass = async (minutes: number): Promise<void> => {
      for (let n = 0; n < 6 * minutes; n++) {
        world.clock.advance(10_000);
        world.copiesAgeMs += 10_000;
        await pause(1);
      }
    };
    await pass(4);
    expect(world.closed).toEqual([]);
    await pass(5.9);
    expect(world.closed).toEqual([]);
    // From five minutes on, and five more by the middle of what is drawn.
    await pass(0.5);
    await until(() => world.closed.length === 1);
    expect(world.closed).toEqual(['age']);
    await until(() => {
      world.clock.advance(50);
      return world.openedBy.length === 2;
    });
    // There is no other: what it says on the new stream is as old.
    await pass(2);
    expect(decision(sidecar)).toBe('allow');
    await pass(4);
    expect(decision(sidecar)).toBe('policy_expired');
    world.copiesAgeMs = 0;
    await until(() => {
      world.clock.advance(50);
      return decision(sidecar) === 'allow';
    });
  });

  test('the platform raises it, also for a sidecar that restarts', async () => {
    const pod = world.pod();
    const raised = [open('p'), clusterPolicy('c', { maxPolicyAgeMs: 72 * hour })];
    const sidecar = await running(pod, raised);
    await sidecar.close();
    world.clock.step(71 * hour);
    const { stateFolder, tokenFile } = sidecar.options;
    await world.server.close();
    const cut = world.sidecar(pod, { stateFolder, tokenFile });
    expect(decision(cut)).toBe('allow');
    world.clock.step(hour);
    await world.clock.advanceAsync(60_000);
    expect(decision(cut)).toBe('policy_expired');
  });

  test('a shorter one than what has passed already is counted from its arrival', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    await world.clock.advanceAsync(10_000);
    give(pod, [open('p'), clusterPolicy('c', { maxPolicyAgeMs: 5_000 })], '2');
    await until(() => sidecar.policy.current()?.maxPolicyAgeMs === 5_000);
    expect(decision(sidecar)).toBe('allow');
  });

  test.each([
    ['went forward', 25 * hour, 'policy_expired'],
    ['went back', -25 * hour, 'allow'],
  ])('a wall clock that %s does not prolong it', async (_what, step, expected) => {
    const pod = world.pod();
    const sidecar = await running(pod);
    await world.server.close();
    world.clock.step(step);
    await world.clock.advanceAsync(60_000);
    expect(decision(sidecar)).toBe(expected);
    await world.clock.advanceAsync(24 * hour);
    expect(decision(sidecar)).toBe('policy_expired');
  });

  test.each([
    ['a day later', 24 * hour],
    ['when the clock says that it has not been yet', -hour],
  ])('after a restart %s it is expired', async (_what, step) => {
    const pod = world.pod();
    const sidecar = await running(pod);
    await sidecar.close();
    await world.server.close();
    world.clock.step(step);
    const { stateFolder, tokenFile } = sidecar.options;
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    expect(decision(again)).toBe('policy_expired');
  });

  test('a confirmation after that puts it into force again', async () => {
    const pod = world.pod();
    const sidecar = await running(pod, [open('p'), clusterPolicy('c', { maxPolicyAgeMs: 1_000 })]);
    await sidecar.close();
    world.clock.step(2_000);
    const { stateFolder, tokenFile } = sidecar.options;
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    expect(decision(again)).toBe('policy_expired');
    await until(() => decision(again) === 'allow');
    expect(again.answered()).toEqual({ ready: true, reasons: [] });
    // It held what the controller has: nothing was sent twice.
    expect(again.events).not.toContain('policy_taken');
  });
});

describe('the life of a stream', () => {
  const hello = (pod: Pod): Parameters<ReturnType<typeof rawPeer>['send']>[0] => ({
    type: 'hello',
    version: 1,
    pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
    portMap: {},
    capture: 'Redirect',
    software: 'x',
    holds: null,
    seen: {},
    audit: null,
    serving: null,
  });
  const greet = async (pod: Pod): Promise<ReturnType<typeof rawPeer>> => {
    const peer = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
    await peer.status;
    peer.send(hello(pod));
    await until(() => peer.received.length > 0);
    return peer;
  };
  const goodbyeOf = (peer: ReturnType<typeof rawPeer>): unknown => peer.received.at(-1)?.['reason'];

  test('one pod has one: the new one takes the place of the old', async () => {
    const pod = world.pod();
    give(pod, [open('p')]);
    const [first, second] = [await greet(pod), await greet(pod)];
    await until(() => first.closed());
    expect(goodbyeOf(first)).toBe('replaced');
    expect(second.closed()).toBe(false);
    expect(world.server.streams()).toBe(1);
    expect(world.directory.gone).toEqual([]);
    second.socket.destroy();
    await until(() => world.directory.gone.length === 1);
  });

  test.each([
    ['an unknown message that need not be known', { type: 'grant', optional: true }, false],
    ['an unknown message', { type: 'grant' }, true],
    ['no object', [], true],
    ['a second hello', undefined, true],
    ['a certificate request that is none', { type: 'csr', purpose: 'identity', csr: 'x' }, false],
    ['a nack with a novel', { type: 'nack', hash: 'a'.repeat(64), reason: 'stale', message: 'x'.repeat(2_000) }, true],
  ])('%s', async (_what, message, ends) => {
    const pod = world.pod();
    give(pod, [open('p')]);
    const peer = await greet(pod);
    peer.send((message ?? hello(pod)) as never);
    peer.send({ type: 'csr', purpose: 'identity', csr: createKeyRequest().csr });
    await until(() => peer.closed() || peer.received.some((one) => one['type'] === 'certificate'));
    expect(peer.closed() || goodbyeOf(peer) === 'protocol').toBe(ends);
    peer.socket.destroy();
  });

  test('a frame that is too long, and a flood of messages, end it', async () => {
    const pod = world.pod();
    const long = await greet(pod);
    long.socket.write(Buffer.from([0, 1, 0, 1]));
    await until(() => long.closed());
    expect(goodbyeOf(long)).toBe('protocol');
    const flood = await greet(pod);
    flood.socket.write(Buffer.concat(Array.from({ length: 300 }, () => encodeFrame({ type: 'beat' }))));
    await until(() => flood.closed());
    expect(goodbyeOf(flood)).toBe('protocol');
  });

  test('more certificate requests than a pod needs are not signed', async () => {
    const pod = world.pod();
    const peer = await greet(pod);
    const { csr } = createKeyRequest();
    for (let n = 0; n < 12; n++) peer.send({ type: 'csr', purpose: 'identity', csr });
    const count = (type: string): number => peer.received.filter((one) => one['type'] === type).length;
    await until(() => count('certificate') + count('certificate-refused') === 12);
    expect(count('certificate')).toBe(8);
    peer.socket.destroy();
  });

  test('a pod that is ending gets no certificate any more', async () => {
    const pod = world.pod();
    const peer = await greet(pod);
    world.directory.put({ ...pod, terminating: true });
    peer.send({ type: 'csr', purpose: 'identity', csr: createKeyRequest().csr });
    await until(() => peer.received.some((one) => one['reason'] === 'ending'));
    peer.socket.destroy();
  });

  test('who does not read is closed, and costs one message', async () => {
    const pod = world.pod();
    const big = (n: number): Policy[] => [
      open(`p${n}`),
      policy('wide', {
        access: Array.from({ length: 6_000 }, (_, at) =>
          allow(`rule-${n}-${at}`, { models: [`m-${'x'.repeat(100)}`] }),
        ),
      }),
    ];
    const peer = await greet(pod);
    peer.socket.pause();
    for (let n = 0; n < 12; n++) {
      give(pod, big(n), `${10 + n}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await world.clock.advanceAsync(31_000);
    await until(() => world.closed.includes('slow'));
    // It reads nothing, so that it would never see that it was closed.
    peer.socket.destroy();
  });

  test('who falls silent is left, on either side', async () => {
    const pod = world.pod();
    const peer = await greet(pod);
    await world.clock.advanceAsync(46_000);
    await until(() => peer.closed());
    expect(goodbyeOf(peer)).toBe('silent');
    const sidecar = await running(world.pod());
    // As a controller whose process is stopped: the sockets stand, and nothing comes, not even what was on its way.
    world.clock.stall(200_000);
    world.clock.advance(1);
    await until(() => sidecar.events.includes('disconnected'));
  });

  test('an old one is renewed, and the sidecar comes back at once', async () => {
    await world.close();
    world = await streamWorld({ limits: { maxAgeMs: 20_000 } });
    const sidecar = await running(world.pod());
    for (let n = 0; n < 22; n++) await world.clock.advanceAsync(1_000);
    await until(() => sidecar.events.includes('disconnected'));
    expect(sidecar.answered().ready).toBe(true);
    await world.clock.advanceAsync(1_000);
    await until(() => sidecar.connected() && world.openedBy.length === 2);
    expect(world.openedBy).toEqual(['token', 'certificate']);
  });

  test('a draining replica sends its sidecars elsewhere, and policy flows until they go', async () => {
    const pod = world.pod();
    const sidecar = await running(pod);
    const drained = world.server.drain(10_000);
    give(pod, [policy('p')], '2');
    await until(() => decision(sidecar) === 'access_denied');
    expect(sidecar.events).not.toContain('disconnected');
    await world.clock.advanceAsync(5_000);
    await until(() => sidecar.events.includes('disconnected'));
    await drained;
    expect(sidecar.answered().ready).toBe(true);
  });

  test('a pod that is gone, or another one under its name, or without its label, loses it', async () => {
    for (const change of ['gone', 'replaced', 'label'] as const) {
      const pod = world.pod();
      const peer = await greet(pod);
      if (change !== 'label') world.directory.remove(pod);
      if (change === 'replaced') world.pod({ name: pod.name });
      if (change === 'label') world.directory.put({ ...pod, governed: false });
      world.directory.changed(pod);
      await until(() => peer.closed());
      expect(goodbyeOf(peer)).toBe('gone');
    }
  });
});

describe('a controller that lies', () => {
  test.each([
    ['a frame that is too long', Buffer.from([0x7f, 0, 0, 0])],
    ['no JSON', Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])],
    ['an unknown message', encodeFrame({ type: 'reboot' } as never)],
    [
      'a snapshot without policies',
      encodeFrame({ type: 'snapshot', hash: 'a'.repeat(64), sources: [], seen: {} } as never),
    ],
    ['half a frame and the end', Buffer.from([0, 0, 1, 0, 0x7b])],
  ])('%s ends the stream; what is in force stays', async (_what, bytes) => {
    const pod = world.pod();
    const sidecar = await running(pod);
    await sidecar.close();
    const { csr, key } = createKeyRequest();
    const cert = await world.authority.sign({ purpose: 'server', csr, dnsNames: [controllerName] });
    const server = createServer({ cert, key }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: sidegate-stream/1\r\nConnection: Upgrade\r\n\r\n');
        socket.end(bytes);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { stateFolder, tokenFile } = sidecar.options;
    mkdirSync(stateFolder, { recursive: true });
    const again = world.sidecar(pod, {
      stateFolder,
      tokenFile,
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    });
    await until(() => again.events.includes('disconnected'));
    expect(decision(again)).toBe('allow');
    expect(again.answered().ready).toBe(true);
    await again.close();
    server.close();
  });
});
