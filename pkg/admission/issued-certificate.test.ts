import { afterEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../base/index.ts';
import type { Clock } from '../base/index.ts';
import { KubeError } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { afterStep, bundleOf, createAuthority, createAuthorityPair, createKeyRequest } from '../pki/index.ts';
import type { AuthorityState } from '../pki/index.ts';
import { createIssuedCertificate, createPathKeys } from './index.ts';
import type { ServingCertificate } from './index.ts';
import { until } from '../../test/support/wait.ts';

const dnsName = 'sidegate-webhook.sidegate-system.svc';
const open: ServingCertificate[] = [];
afterEach(() => open.splice(0).forEach((one) => one.close()));

const newAuthority = async (): Promise<AuthorityState> =>
  afterStep(undefined, 'create', systemClock.now(), await createAuthorityPair(systemClock));

/** What cert-manager would put into the Secret. */
async function issue(state: AuthorityState, names: readonly string[] = [dnsName]) {
  const { key, csr } = createKeyRequest();
  const cert = await createAuthority({ state, clock: systemClock }).sign({ purpose: 'server', csr, dnsNames: names });
  return { 'tls.crt': cert, 'tls.key': key, 'ca.crt': bundleOf(state) };
}

type Data = Readonly<Record<string, string>>;

/** One Secret and three configurations; each question is answered from what stands here then. */
function start(first: Data | undefined, bundle = '') {
  const state = { secret: first, bundle, path: '', broken: false, now: systemClock.now() };
  const timers: (() => void)[] = [];
  const clock: Clock = {
    now: () => state.now,
    monotonic: () => systemClock.monotonic(),
    after: (_, run) => {
      timers.push(run);
      return { cancel: () => undefined };
    },
    every: () => ({ cancel: () => undefined }),
  };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const client = {
    find: () =>
      Promise.resolve(
        state.secret && {
          metadata: { name: 'sidegate-webhook-tls' },
          data: Object.fromEntries(Object.entries(state.secret).map(([key, value]) => [key, base64(value)])),
        },
      ),
    get: (_: unknown, { name }: { name: string }) =>
      state.broken
        ? Promise.reject(new KubeError('refused', 'no such configuration', { status: 404, reason: 'NotFound' }))
        : Promise.resolve({
            metadata: { name },
            webhooks: [
              {
                name: 'pods.sidegate.dev',
                clientConfig: {
                  service: { path: state.path },
                  ...(state.bundle !== '' && { caBundle: base64(state.bundle) }),
                },
              },
            ],
          }),
    patch(_: unknown, __: unknown, { body }: { body: { path: string; value: string }[] }) {
      expect(body.map(({ path }) => path.split('/').at(-1))).toEqual(['name', 'path']);
      state.path = body[1]?.value ?? '';
      return Promise.resolve({});
    },
  } as unknown as KubeClient;
  const keys = createPathKeys({ monotonic: () => state.now, now: () => state.now });
  const results: string[] = [];
  const lines: string[] = [];
  const certificate = createIssuedCertificate({
    client,
    namespace: 'sidegate-system',
    secretName: 'sidegate-webhook-tls',
    dnsName,
    keys,
    clock,
    logger: { ...silentLogger, error: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`) },
    onIssued: (result) => results.push(result),
  });
  open.push(certificate);
  /** The next look, whenever it would have come. */
  const again = async (): Promise<void> => {
    const before = timers.length;
    certificate.look();
    await until(() => timers.length > before);
  };
  return { state, keys, certificate, results, lines, again, firstLook: () => until(() => timers.length > 0) };
}

describe('a certificate that another issues', () => {
  test('is served when its authority is in every configuration, and renewed when the Secret is', async () => {
    const authority = await newAuthority();
    const one = await issue(authority);
    const { certificate, state, results, again, firstLook } = start(undefined);
    const served: string[] = [];
    certificate.subscribe(({ cert }) => served.push(cert));
    await firstLook();
    expect(certificate.problems()).toEqual(['no_certificate', 'ca_bundle_not_written']);
    state.secret = one;
    await again();
    expect(certificate.problems()).toEqual(['ca_bundle_not_written']);
    state.bundle = bundleOf(authority);
    await again();
    expect(certificate.problems()).toEqual([]);
    await again();
    expect(served).toEqual([one['tls.crt']]);
    const next = await issue(authority);
    state.secret = next;
    await again();
    expect(served).toEqual([one['tls.crt'], next['tls.crt']]);
    expect(certificate.current()).toMatchObject({ cert: next['tls.crt'], key: next['tls.key'] });
    expect(results.filter((result) => result === 'accepted')).toHaveLength(2);
  });

  test('is asked by a path of the webhook’s own, which another key replaces when all replicas have it', async () => {
    const authority = await newAuthority();
    const { keys, state, again, firstLook } = start(await issue(authority), bundleOf(authority));
    await firstLook();
    const before = state.path;
    expect([keys.open(before), before.includes('/validate/pods')]).toEqual(['/validate/pods', true]);
    state.secret = await issue(authority);
    await again();
    expect(state.path).toBe(before);
    state.now += 30_000;
    await again();
    expect(state.path).not.toBe(before);
    expect([keys.open(before), keys.open(state.path)]).toEqual(['/validate/pods', '/validate/pods']);
    // What nobody opens is replaced at once.
    state.path = '/validate/pods';
    await again();
    expect(keys.open(state.path)).toBe('/validate/pods');
  });

  test('stays as it was while its Secret is of no use, and its key is in no line of the log', async () => {
    const authority = await newAuthority();
    const good = await issue(authority);
    const other = await issue(authority);
    const { certificate, state, lines, again, firstLook } = start(good, bundleOf(authority));
    await firstLook();
    const bad: readonly (readonly [Data | undefined, string])[] = [
      [undefined, 'is not there'],
      [{ ...other, 'tls.crt': '' }, 'certificate'],
      [{ ...other, 'tls.crt': 'no certificate' }, 'certificate'],
      [{ ...other, 'tls.key': good['tls.key'] }, 'do not belong together'],
      [{ ...other, 'tls.key': 'no key' }, 'do not belong together'],
      [await issue(authority, ['elsewhere.svc']), 'is not for'],
      [{ ...other, 'ca.crt': '' }, 'bundle'],
    ];
    for (const [data, said] of bad) {
      state.secret = data;
      lines.length = 0;
      await again();
      expect(lines.join()).toContain(said);
      expect(lines.join()).not.toContain('PRIVATE KEY');
      expect(certificate.current()?.cert).toBe(good['tls.crt']);
    }
    state.secret = other;
    await again();
    expect([certificate.current()?.cert, certificate.problems()]).toEqual([other['tls.crt'], []]);
  });

  test('is not in order while a configuration trusts another, nobody, or is missing', async () => {
    const authority = await newAuthority();
    const { certificate, state, again, firstLook } = start(await issue(authority), bundleOf(await newAuthority()));
    await firstLook();
    for (const bundle of [bundleOf(await newAuthority()), '', 'no bundle']) {
      state.bundle = bundle;
      await again();
      expect(certificate.problems()).toEqual(['ca_bundle_not_written']);
    }
    state.bundle = `${bundleOf(await newAuthority())}${bundleOf(authority)}`;
    await again();
    expect(certificate.problems()).toEqual([]);
    state.now = certificate.current()?.notAfter ?? 0;
    expect(certificate.problems()).toEqual(['no_certificate']);
  });
});
