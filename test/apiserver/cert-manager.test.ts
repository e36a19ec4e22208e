import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../pkg/base/index.ts';
import { pod } from '../../pkg/inject/testing/pods.ts';
import { afterStep, bundleOf, createAuthority, createAuthorityPair, createKeyRequest } from '../../pkg/pki/index.ts';
import type { AuthorityState } from '../../pkg/pki/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { apply, eventually, release, renderChart } from './admission-chart.ts';
import { prepareWebhook } from './admission-process.ts';
import type { WebhookProcess } from './admission-process.ts';
import { installDefinitions } from './custom-resources.ts';

// The webhook with a certificate that another issues: this test plays cert-manager and its injector, and the chart's roles for that
// case are all that the webhook has.

let server: ApiServer;
let webhook: WebhookProcess;
let authority: AuthorityState;

const secret = 'sidegate-webhook-tls';
const configurations = [
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidegate',
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sidegate',
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/sidegate-connect',
];

const newAuthority = async (): Promise<AuthorityState> =>
  afterStep(undefined, 'create', systemClock.now(), await createAuthorityPair(systemClock));

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** As cert-manager writes it, and as it writes it anew. */
async function issue(state: AuthorityState): Promise<string> {
  const { key, csr } = createKeyRequest();
  const dnsNames = [`sidegate-webhook.${release}.svc`, 'localhost'];
  const cert = await createAuthority({ state, clock: systemClock }).sign({ purpose: 'server', csr, dnsNames });
  const data = { 'tls.crt': base64(cert), 'tls.key': base64(key), 'ca.crt': base64(bundleOf(state)) };
  const at = `/api/v1/namespaces/${release}/secrets`;
  const made = await server.client.request('POST', at, { metadata: { name: secret }, type: 'kubernetes.io/tls', data });
  if (made.status === 409)
    await server.client.must('PATCH', `${at}/${secret}`, { data }, 'application/merge-patch+json');
  else expect([made.status, made.message]).toEqual([201, '']);
  return cert;
}

/** As cert-manager's injector does. */
async function injectAuthority(bundle: string): Promise<void> {
  for (const at of configurations) {
    const { webhooks, metadata } = (await server.client.must('GET', at)) as {
      webhooks: readonly object[];
      metadata: { annotations?: Readonly<Record<string, string>> };
    };
    expect(metadata.annotations?.['cert-manager.io/inject-ca-from']).toBe(`${release}/sidegate-webhook`);
    const body = webhooks.map((_, index) => ({
      op: 'add',
      path: `/webhooks/${index}/clientConfig/caBundle`,
      value: base64(bundle),
    }));
    await server.client.must('PATCH', at, body, 'application/json-patch+json');
  }
}

const create = (name: string): Promise<{ readonly status: number; readonly message: string }> =>
  server.client.request('POST', '/api/v1/namespaces/ml/pods?dryRun=All', pod({}, { name }));
const reasons = async (): Promise<readonly string[]> => (await webhook.ready()).reasons;

beforeAll(async () => {
  server = await startApiServer();
  await Promise.all([server.namespace('ml'), server.namespace(release), installDefinitions(server)]);
  authority = await newAuthority();
  const chart = await renderChart(['webhook.certManager.enabled=true', 'webhook.timeoutSeconds=5']);
  webhook = await prepareWebhook(server, chart, ['--certificate-secret', secret]);
  await apply(server, [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'sidegate-trust', namespace: release },
      data: { 'ca.crt': (await createAuthorityPair(systemClock)).cert },
    },
  ]);
  await webhook.start();
}, 200_000);
afterAll(async () => {
  await webhook.kill();
  await server.stop();
});

describe('a webhook with a certificate of cert-manager', () => {
  test('is not ready until there is one and the API server knows its authority; then it governs', async () => {
    await eventually('it waits for its certificate', async () => (await reasons()).includes('no_certificate'));
    expect((await create('early')).status).toBeGreaterThanOrEqual(400);
    await issue(authority);
    await eventually('it has one', async () => !(await reasons()).includes('no_certificate'));
    expect(await reasons()).toContain('ca_bundle_not_written');
    await injectAuthority(bundleOf(authority));
    await eventually('it is ready', async () => (await webhook.ready()).ready, 60_000);
    await eventually('labelled pods are made', async () => (await create('governed')).status === 201);
    // Nobody made an authority of its own.
    const own = `/api/v1/namespaces/${release}/secrets/sidegate-webhook-ca`;
    expect((await server.client.request('GET', own)).status).toBe(404);
  }, 120_000);

  test('takes the next one at once, under load', async () => {
    const before = /reloads_total\{what="certificate",result="accepted"\} (\d+)/;
    const taken = async (): Promise<number> => Number(before.exec(await webhook.metrics())?.[1] ?? 0);
    const first = await taken();
    let asking = true;
    const refused: string[] = [];
    const load = (async (): Promise<void> => {
      while (asking) {
        const { status, message } = await create('again');
        if (status !== 201) refused.push(message);
      }
    })();
    await issue(authority);
    await eventually('it was taken', async () => (await taken()) === first + 1);
    // Another authority: published with the old one, then used, as an injector does it.
    const next = await newAuthority();
    await injectAuthority(`${bundleOf(authority)}${bundleOf(next)}`);
    await issue(next);
    await eventually('that was taken too', async () => (await taken()) === first + 2);
    await eventually('it is ready', async () => (await webhook.ready()).ready, 60_000);
    asking = false;
    await load;
    expect(refused).toEqual([]);
  }, 120_000);
});
