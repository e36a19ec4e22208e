import { describe, expect, test } from '@jest/globals';
import { parseSettings, usage } from './settings.ts';

const pod = {
  POD_NAME: 'sidegate-controller-abc',
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
};

describe('settings of the controller', () => {
  test('what the chart gives is enough', () => {
    const read = parseSettings(
      [
        '--namespace=sidegate-system',
        '--trust-domain=example.org',
        '--cluster-domain=cluster.local',
        '--govern-namespaces=Required',
        '--evict',
        '--sidecar-image=sidegate:2',
        '--namespace-images=ml-canary=sidegate:3,behind=r.example:5000/sidegate@sha256:1',
        '--upgrade-sidecars',
        '--trusted-proxies=192.0.2.7,2001:db8::/32',
        '--log-level=debug',
      ],
      pod,
    );
    expect(read).toEqual({
      settings: {
        namespace: 'sidegate-system',
        replica: 'sidegate-controller-abc',
        trustDomain: 'example.org',
        clusterDomain: 'cluster.local',
        governNamespaces: 'Required',
        networkPolicies: true,
        evict: true,
        sidecarImage: 'sidegate:2',
        namespaceImages: { 'ml-canary': 'sidegate:3', behind: 'r.example:5000/sidegate@sha256:1' },
        upgradeSidecars: true,
        kubeconfig: undefined,
        apiServer: { host: '10.96.0.1', port: '443', folder: '/var/run/secrets/kubernetes.io/serviceaccount' },
        listen: { host: '', port: 8443 },
        admin: { host: '', port: 8080 },
        decisions: { host: '', port: 8_444 },
        trustedProxies: ['192.0.2.7', '2001:db8::/32'],
        keepApprovalsMs: 86_400_000,
        spool: undefined,
        notices: undefined,
        tokensFile: undefined,
        logLevel: 'debug',
        drainMs: 15_000,
      },
    });
  });

  test('everything that is wrong is said at once', () => {
    const read = parseSettings(
      [
        '--trust-domain=Not A Name',
        '--govern-namespaces=Maybe',
        '--network-policies=1',
        '--listen=8443',
        '--drain=-1',
        '--log-level=loud',
        '--upgrade-sidecars',
        '--namespace-images=Not A Namespace',
        '--tokens=/etc/tokens.json',
        '--decisions=off',
        '--trusted-proxies=10.0.0.0/8,0.0.0.0/0',
        '--limit-store=redis://valkey:6379',
        '--spool=/spool',
        '--spool-limit=0',
      ],
      {},
    );
    expect(read).toEqual({
      faults: [
        expect.stringContaining('--namespace'),
        expect.stringContaining('--replica'),
        expect.stringContaining('--trust-domain'),
        expect.stringContaining('--govern-namespaces must be Auto or Required'),
        expect.stringContaining('--network-policies'),
        expect.stringContaining('--upgrade-sidecars needs --sidecar-image'),
        expect.stringContaining('--namespace-images needs --sidecar-image'),
        expect.stringContaining('--namespace-images must be NAMESPACE=IMAGE'),
        expect.stringContaining('give --kubeconfig'),
        expect.stringContaining('--limit-store must be a rediss:// address'),
        expect.stringContaining('--spool needs --recorder'),
        expect.stringContaining('--spool-limit must be at least 1'),
        expect.stringContaining('--listen'),
        expect.stringContaining('--trusted-proxies must be addresses or CIDRs'),
        expect.stringContaining('--trusted-proxies needs --decisions'),
        expect.stringContaining('--tokens needs --decisions'),
        expect.stringContaining('--log-level'),
        expect.stringContaining('--drain'),
      ],
    });
    expect(parseSettings(['--unknown'], pod)).toMatchObject({
      faults: expect.arrayContaining([expect.stringContaining('unknown')]),
    });
  });

  test('the environment, under its flag', () => {
    const environment = { ...pod, SIDEGATE_NAMESPACE: 'a', SIDEGATE_REPLICA: 'r', SIDEGATE_EVICT: 'true' };
    expect(parseSettings(['--namespace=b'], environment)).toMatchObject({
      settings: { namespace: 'b', replica: 'r', evict: true },
    });
    expect(parseSettings(['--namespace=b', '--recorder=https://r:8444', '--spool=/s'], environment)).toMatchObject({
      settings: { spool: { folder: '/s', limit: 64 * 1_048_576 } },
    });
    expect(parseSettings(['--help'], {})).toEqual({ help: true });
    expect(usage).toContain('--govern-namespaces');
  });
});
