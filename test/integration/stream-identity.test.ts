import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { policy } from '../../pkg/core/testing/policies.ts';
import { createAuthority, createAuthorityPair, createKeyRequest } from '../../pkg/pki/index.ts';
import type { PodName } from '../../pkg/wire/index.ts';
import { controllerName, rawPeer, snapshotOf, streamWorld, until } from '../support/stream.ts';
import type { StreamWorld } from '../support/stream.ts';
import { pause } from '../support/wait.ts';

/**
 * Who is let in, and whom a sidecar believes: each attack that docs/security.md names ("How a sidecar and the controller know
 * each other"), over real TLS. Addresses of pods are addresses of the loopback network.
 */
let world: StreamWorld;
beforeEach(async () => {
  world = await streamWorld();
});
afterEach(() => world.close());

const answer = snapshotOf([policy('p')]);

/** Sends a token from an address, and tells how it was answered. */
async function call(from: string, token: string): Promise<{ status: number; cause: string | undefined }> {
  const peer = rawPeer(world, { from, authorization: `Bearer ${token}` });
  const status = await peer.status;
  if (status === 0) await until(() => world.refusals.length > 0);
  peer.socket.destroy();
  return { status, cause: world.refusals.at(-1) };
}

/** An identity certificate of a pod, as its sidecar has it. */
async function identityOf(pod: { readonly uid: string }): Promise<{ cert: string; key: string }> {
  const { csr, key } = createKeyRequest();
  const uri = `spiffe://cluster.local/ns/ml/sa/llama/pod/${pod.uid}`;
  return { key, cert: await world.authority.sign({ purpose: 'client', csr, uri }) };
}

const helloOf = ({ namespace, name, uid }: PodName): Parameters<ReturnType<typeof rawPeer>['send']>[0] => ({
  type: 'hello',
  version: 1,
  pod: { namespace, name, uid },
  portMap: {},
  capture: 'Redirect',
  software: 'x',
  holds: null,
  seen: {},
  audit: null,
  serving: null,
});

describe('a first contact by token', () => {
  test("is let in from the pod's own address, with exactly our audience asked for", async () => {
    const pod = world.pod();
    expect(await call(pod.addresses[0]!, pod.token)).toEqual({ status: 101, cause: undefined });
    expect(world.reviews).toEqual(['sidegate.dev/controller']);
    expect(world.openedBy).toEqual(['token']);
  });

  test("an editor's token, minted for somebody else's pod, is refused from the editor's own pod", async () => {
    const victim = world.pod();
    const editor = world.pod();
    expect(await call(editor.addresses[0]!, victim.token)).toEqual({ status: 403, cause: 'address_other' });
  });

  test('and from anywhere that is no governed pod it does not come as far as TLS', async () => {
    const victim = world.pod();
    expect(await call('127.0.9.9', victim.token)).toEqual({ status: 0, cause: 'address_unknown' });
    expect(world.reviews).toEqual([]);
  });

  test('a token for a pod that had this name before is refused', async () => {
    const old = world.pod({ name: 'llama-0' });
    world.directory.remove(old);
    const now = world.pod({ name: 'llama-0', addresses: old.addresses });
    expect(await call(now.addresses[0]!, old.token)).toEqual({ status: 403, cause: 'pod_unknown' });
  });

  test.each([
    ['another audience', { audiences: ['https://kubernetes.default.svc'] }, 401, 'token_audience'],
    ['no audience at all', { audiences: [] }, 401, 'token_audience'],
    ['no pod', { podName: undefined, podUid: undefined }, 401, 'token_unbound'],
    ['a pod without uid', { podUid: undefined }, 401, 'token_unbound'],
    ['a person, not a service account', { username: 'ana' }, 401, 'token_unbound'],
    ['another service account', { username: 'system:serviceaccount:ml:default' }, 403, 'service_account'],
    ['another namespace', { username: 'system:serviceaccount:other:llama' }, 403, 'pod_unknown'],
  ])('a token with %s is refused', async (_what, change, status, cause) => {
    const pod = world.pod();
    world.tokens.set(pod.token, { ...(world.tokens.get(pod.token) as object), ...change } as never);
    expect(await call(pod.addresses[0]!, pod.token)).toEqual({ status, cause });
  });

  test.each([
    ['without the label', { governed: false }, 'not_governed'],
    ['without our sidecar', { sidecar: false }, 'no_sidecar'],
    ['that is ending', { terminating: true }, 'terminating'],
    ['of which nothing runs any more', { finished: true }, 'finished'],
  ])('a pod %s is refused', async (_what, change, cause) => {
    const pod = world.pod(change);
    expect(await call(pod.addresses[0]!, pod.token)).toEqual({ status: 403, cause });
  });

  test('a token that nobody knows, no token, and no bearer token are refused', async () => {
    const pod = world.pod();
    const [from = ''] = pod.addresses;
    expect(await call(from, 'unknown')).toEqual({ status: 401, cause: 'token' });
    for (const authorization of [undefined, 'Basic YTpi', 'Bearer ', `Bearer ${'x'.repeat(9_000)}`, 'Bearer a b']) {
      const peer = rawPeer(world, { from, ...(authorization === undefined ? {} : { authorization }) });
      expect(await peer.status).toBe(401);
      expect(world.refusals.at(-1)).toBe('no_credential');
    }
  });

  test('an API server that cannot be asked lets nobody in, and says to try again', async () => {
    const pod = world.pod();
    world.tokens.set(pod.token, () => {
      throw new Error('connect ECONNREFUSED');
    });
    expect(await call(pod.addresses[0]!, pod.token)).toEqual({ status: 503, cause: 'review_failed' });
  });

  test('nobody is let in before the caches are filled', async () => {
    const pod = world.pod();
    world.directory.filled = false;
    expect(await call(pod.addresses[0]!, pod.token)).toEqual({ status: 0, cause: 'not_synced' });
  });

  test('no token is in the log', async () => {
    const pod = world.pod();
    await call(pod.addresses[0]!, pod.token);
    await call(pod.addresses[0]!, 'another-secret-token');
    expect(world.log.join('\n')).not.toMatch(/token\.of|another-secret/);
  });
});

describe('a later contact by certificate', () => {
  const show = async (
    from: string,
    pair: { cert: string; key: string },
  ): Promise<{ status: number; cause?: string }> => {
    const peer = rawPeer(world, { from, ...pair });
    const status = await peer.status;
    peer.socket.destroy();
    return { status, ...(status === 101 ? {} : { cause: world.refusals.at(-1)! }) };
  };

  test('is let in without asking the API server', async () => {
    const pod = world.pod();
    expect(await show(pod.addresses[0]!, await identityOf(pod))).toEqual({ status: 101 });
    expect(world.reviews).toEqual([]);
  });

  test('is let in while the pod is ending, which serves to its end, and gets new certificates; not when nothing of it runs', async () => {
    const pod = world.pod();
    const pair = await identityOf(pod);
    world.directory.put({ ...pod, terminating: true });
    const peer = rawPeer(world, { from: pod.addresses[0]!, ...pair });
    expect(await peer.status).toBe(101);
    peer.send(helloOf(pod));
    peer.send({ type: 'csr', purpose: 'identity', csr: createKeyRequest().csr });
    await until(() => peer.received.some((one) => one['type'] === 'certificate'));
    peer.socket.destroy();
    world.directory.put({ ...pod, terminating: true, finished: true });
    expect(await show(pod.addresses[0]!, pair)).toEqual({ status: 403, cause: 'finished' });
  });

  test('a stolen one is refused from another address', async () => {
    const [victim, thief] = [world.pod(), world.pod()];
    expect(await show(thief.addresses[0]!, await identityOf(victim))).toEqual({ status: 403, cause: 'address_other' });
  });

  test("a deleted pod's is refused, also from a new pod with the old address", async () => {
    const old = world.pod();
    const pair = await identityOf(old);
    world.directory.remove(old);
    world.pod({ name: old.name, addresses: old.addresses });
    expect(await show(old.addresses[0]!, pair)).toEqual({ status: 403, cause: 'pod_unknown' });
  });

  test('a serving certificate is not an identity', async () => {
    const pod = world.pod();
    const { csr, key } = createKeyRequest();
    const cert = await world.authority.sign({ purpose: 'server', csr, dnsNames: ['llama.ml.svc'] });
    expect(await show(pod.addresses[0]!, { cert, key })).toEqual({ status: 401, cause: 'certificate' });
  });

  test("a forged root's is refused, with every name right", async () => {
    const pod = world.pod();
    const current = await createAuthorityPair(world.clock);
    const forged = createAuthority({ state: { current, since: 0 }, clock: world.clock });
    const { csr, key } = createKeyRequest();
    const cert = await forged.sign({
      purpose: 'client',
      csr,
      uri: `spiffe://cluster.local/ns/ml/sa/llama/pod/${pod.uid}`,
    });
    expect(await show(pod.addresses[0]!, { cert, key })).toEqual({ status: 401, cause: 'certificate' });
  });

  test('a good token beside a bad certificate does not help', async () => {
    const pod = world.pod();
    const { csr, key } = createKeyRequest();
    const cert = await world.authority.sign({ purpose: 'server', csr, dnsNames: ['llama.ml.svc'] });
    const peer = rawPeer(world, { from: pod.addresses[0]!, cert, key, authorization: `Bearer ${pod.token}` });
    expect(await peer.status).toBe(401);
  });

  test.each([
    ['another trust domain', (uid: string) => `spiffe://elsewhere/ns/ml/sa/llama/pod/${uid}`, 401],
    ['another namespace', (uid: string) => `spiffe://cluster.local/ns/other/sa/llama/pod/${uid}`, 403],
    ['another service account', (uid: string) => `spiffe://cluster.local/ns/ml/sa/default/pod/${uid}`, 403],
    ['something that is no sidecar', () => 'spiffe://cluster.local/ns/ml/sa/llama', 401],
  ])('one of %s is refused', async (_what, uri, status) => {
    const pod = world.pod();
    const { csr, key } = createKeyRequest();
    const cert = await world.authority.sign({ purpose: 'client', csr, uri: uri(pod.uid) });
    expect((await show(pod.addresses[0]!, { cert, key })).status).toBe(status);
  });

  test('a sidecar whose certificate is not taken any more shows its token, and gets another at once: the trust domain has changed', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: answer });
    const first = world.sidecar(pod);
    await until(() => first.identity() !== undefined && first.answered().ready);
    await first.close();
    const renamed = await world.replica(undefined, undefined, undefined, 'new.example');
    const { stateFolder, tokenFile } = first.options;
    const url = `https://127.0.0.1:${renamed.port}`;
    const second = world.sidecar(pod, { url, stateFolder, tokenFile });
    const nameOf = (): string | undefined => new X509Certificate(second.identity()!.cert).subjectAltName;
    expect(nameOf()).toBe(`URI:spiffe://cluster.local/ns/ml/sa/llama/pod/${pod.uid}`);
    await until(() => second.events.includes('connect_failed'));
    await world.clock.advanceAsync(1_000);
    await until(() => nameOf() === `URI:spiffe://new.example/ns/ml/sa/llama/pod/${pod.uid}`, 'the new name');
    expect(world.refusals).toEqual(['certificate']);
  });

  test('one whose authority was dropped is refused at once', async () => {
    const pod = world.pod();
    const pair = await identityOf(pod);
    world.authority.replace({ current: await createAuthorityPair(world.clock), since: world.clock.now() });
    expect((await show(pod.addresses[0]!, pair)).cause).toBe('certificate');
  });
});

describe('after the door', () => {
  test('a hello of another pod ends the stream, and tells nothing', async () => {
    const [pod, other] = [world.pod(), world.pod()];
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: answer });
    for (const wrong of [{ uid: other.uid }, { name: other.name }, { namespace: 'kube-system' }]) {
      const peer = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
      expect(await peer.status).toBe(101);
      peer.send(helloOf({ ...pod, ...wrong }));
      await until(() => peer.closed());
      expect(peer.received).toEqual([{ type: 'goodbye', reason: 'identity' }]);
    }
    expect(world.directory.reports).toEqual([]);
  });

  test('nothing is said before hello, and nothing but hello is taken', async () => {
    const pod = world.pod();
    const peer = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
    await peer.status;
    peer.send({ type: 'csr', purpose: 'identity', csr: createKeyRequest().csr });
    await until(() => peer.closed());
    expect(peer.received).toEqual([{ type: 'goodbye', reason: 'protocol' }]);
  });

  test('who says nothing is left after ten seconds', async () => {
    const pod = world.pod();
    const peer = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
    await peer.status;
    await world.clock.advanceAsync(13_000);
    await until(() => peer.closed());
    expect(peer.received).toEqual([{ type: 'goodbye', reason: 'silent' }]);
  });

  test.each([
    [
      'another path',
      'GET /v1/other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: sidegate-stream/1\r\n\r\n',
      404,
    ],
    [
      'another method',
      'POST /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: sidegate-stream/1\r\n\r\n',
      404,
    ],
    [
      'another version',
      'GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: sidegate-stream/2\r\n\r\n',
      426,
    ],
    ['no upgrade', 'GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n', 426],
    ['no HTTP', 'hello\r\n\r\n', 0],
    ['an endless head', `GET /v1/stream HTTP/1.1\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 0],
  ])('%s is turned away', async (_what, request, status) => {
    const pod = world.pod();
    const peer = rawPeer(world, { from: pod.addresses[0]!, request });
    expect(await peer.status).toBe(status);
    await until(() => peer.closed());
    expect(world.openedBy).toEqual([]);
  });

  test('TLS 1.2 is refused', async () => {
    const pod = world.pod();
    const peer = rawPeer(world, { from: pod.addresses[0]!, maxVersion: 'TLSv1.2' });
    expect(await peer.status).toBe(0);
    await until(() => world.refusals.includes('tls'));
  });

  test('who never ends a handshake, or a head, is closed', async () => {
    const pod = world.pod();
    const slow = rawPeer(world, { from: pod.addresses[0]!, request: 'GET /v1/stream HTTP/1.1\r\nHost: x\r\n' });
    await until(() => slow.socket.authorized);
    await world.clock.advanceAsync(11_000);
    await until(() => slow.closed());
    expect(world.refusals).toContain('tls');
  });

  test('one address holds only a few places at the gate', async () => {
    const pod = world.pod();
    const peers = Array.from({ length: 6 }, () => rawPeer(world, { from: pod.addresses[0]!, request: 'GET /v1' }));
    await until(() => peers.filter((peer) => peer.closed()).length === 2);
    expect(world.refusals).toEqual(['overloaded', 'overloaded']);
    for (const peer of peers) peer.socket.destroy();
    // And gives them back.
    await until(() => !peers.some((peer) => !peer.closed()));
    const again = rawPeer(world, { from: pod.addresses[0]!, authorization: `Bearer ${pod.token}` });
    expect(await again.status).toBe(101);
    again.socket.destroy();
  });
});

describe('whom a sidecar believes', () => {
  /** Something in the controller's place that tells what it was sent. */
  async function impostor(cert: string, key: string): Promise<{ port: number; heard: string[]; close: () => void }> {
    const heard: string[] = [];
    const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data: Buffer) => heard.push(data.toString('latin1')));
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: (server.address() as AddressInfo).port, heard, close: () => void server.close() };
  }

  test.each(['a forged root', "another sidecar's serving certificate", 'an identity certificate'])(
    'not %s: it is told nothing, not a byte of the token',
    async (what) => {
      const pod = world.pod();
      const { csr, key } = createKeyRequest();
      const current = await createAuthorityPair(world.clock);
      const forged = createAuthority({ state: { current, since: 0 }, clock: world.clock });
      const cert =
        what === 'a forged root'
          ? await forged.sign({ purpose: 'server', csr, dnsNames: [controllerName] })
          : what === 'an identity certificate'
            ? await world.authority.sign({
                purpose: 'client',
                csr,
                uri: `spiffe://cluster.local/ns/ml/sa/llama/pod/${pod.uid}`,
              })
            : await world.authority.sign({ purpose: 'server', csr, dnsNames: ['evil.ml.svc'] });
      const { port, heard, close } = await impostor(cert, key);
      const sidecar = world.sidecar(pod, { url: `https://127.0.0.1:${port}` });
      await until(() => sidecar.events.includes('connect_failed'));
      await pause(50);
      expect(heard).toEqual([]);
      expect(world.log.join('\n')).toContain('"code":"untrusted"');
      expect(sidecar.answered()).toEqual({ ready: false, reasons: ['no_certificate', 'no_policy_yet'] });
      await sidecar.close();
      close();
    },
  );

  test('without an authority it does not start, rather than trust those of the system', () => {
    const pod = world.pod();
    expect(() => world.sidecar(pod, { ca: '' })).toThrow(/a bundle has/);
  });

  test('authorities that do not know the controller that sent them are not taken', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: answer });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.answered().ready);
    const before = sidecar.trust();
    // As if the authority had been replaced in one step, which rotation never does.
    world.authority.replace({ current: await createAuthorityPair(world.clock), since: world.clock.now() });
    await until(() => sidecar.events.includes('trust_refused'));
    expect(sidecar.trust()).toBe(before);
  });
});

describe('a sidecar whose certificate is no longer taken', () => {
  test('comes back by its token, which it reads anew, and gets another certificate', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: answer });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.identity() !== undefined && sidecar.answered().ready);
    const first = new X509Certificate(sidecar.identity()!.cert).serialNumber;
    await sidecar.close();
    // Both authorities are trusted by the sidecar, and one of them no longer by the controller: the certificate is worthless.
    const next = await createAuthorityPair(world.clock);
    const { current } = world.authority.state();
    const bundle = `${current.cert}${next.cert}`;
    world.authority.replace({ current: next, since: world.clock.now() });
    writeFileSync(sidecar.options.tokenFile, 'renewed-token');
    world.tokens.set('renewed-token', world.tokens.get(pod.token)!);
    const again = world.sidecar(pod, {
      tokenFile: sidecar.options.tokenFile,
      stateFolder: `${sidecar.options.stateFolder}-lost`,
      ca: bundle,
    });
    await until(() => again.identity() !== undefined);
    expect(world.openedBy).toEqual(['token', 'token']);
    expect(new X509Certificate(again.identity()!.cert).serialNumber).not.toBe(first);
  });

  test('uses its certificate after a restart', async () => {
    const pod = world.pod();
    world.directory.answers.set(pod.uid, { kind: 'snapshot', snapshot: answer });
    const sidecar = world.sidecar(pod);
    await until(() => sidecar.identity() !== undefined && sidecar.answered().ready);
    await sidecar.close();
    const { stateFolder, tokenFile } = sidecar.options;
    const again = world.sidecar(pod, { stateFolder, tokenFile });
    await until(() => again.connected());
    expect(world.openedBy).toEqual(['token', 'certificate']);
    // The pod was deleted and the certificate with it: the token is tried, and is refused as well.
    world.directory.remove(pod);
    world.directory.changed(pod);
    await until(() => again.events.includes('disconnected'));
    await until(() => world.closed.includes('gone'));
    expect(again.policy.current()?.hash).toBe(answer.hash);
  });
});
