import { stringify } from 'yaml';
import { controlPlane, inferenceLabel, inferenceLabelValue } from '../contract/index.ts';
import { parseChartOptions } from '../inject/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags } from './asked-flags.ts';
import type { Flags } from './flags.ts';

const port = 8_443;

const usage = `sidegate gateway create NAME --url URL [flags]

Prints what governs a hosted model that no pod of the cluster runs: a Deployment whose pods are a sidecar and nothing that serves, a
Service on 443, and a policy that sends what it allows to the URL. The policy allows nothing: write its rules, then apply.

  kubectl sidegate gateway create claude -n ml --url https://api.example.com --secret claude-key/api-key > gateway.yaml
  kubectl apply -f gateway.yaml

  --url URL              https address of the endpoint
  --secret NAME/KEY      its key, in a Secret of the namespace
  --header NAME          header that carries the key; default Authorization, with "Bearer " before it
  --replicas N           1 to 100; default 2
  --image IMAGE          image of Sidegate; default the cluster's, as it was installed
  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${clusterUsage}`;

interface Gateway {
  readonly name: string;
  readonly namespace: string;
  readonly url: string;
  readonly secret: { readonly name: string; readonly key: string } | undefined;
  readonly header: string | undefined;
  readonly replicas: number;
  readonly image: string;
}

/** Deployment, PodDisruptionBudget, Service and policy; equal input gives equal objects. */
export function gatewayObjects(gateway: Gateway): readonly object[] {
  const { name, namespace, url, secret, header, replicas, image } = gateway;
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': 'gateway' };
  const metadata = { name, namespace, labels };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: labels },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        template: {
          metadata: { labels: { ...labels, [inferenceLabel]: inferenceLabelValue } },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            containers: [
              {
                name: 'gateway',
                image,
                args: ['pause'],
                // Nothing listens here: the port is what the sidecar governs.
                ports: [{ name: 'https', containerPort: port, protocol: 'TCP' }],
                resources: { requests: { cpu: '10m', memory: '48Mi' }, limits: { memory: '128Mi' } },
                securityContext: {
                  runAsNonRoot: true,
                  runAsUser: 65_534,
                  readOnlyRootFilesystem: true,
                  allowPrivilegeEscalation: false,
                  capabilities: { drop: ['ALL'] },
                  seccompProfile: { type: 'RuntimeDefault' },
                },
              },
            ],
          },
        },
      },
    },
    ...(replicas < 2
      ? []
      : [
          {
            apiVersion: 'policy/v1',
            kind: 'PodDisruptionBudget',
            metadata,
            spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
          },
        ]),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'https', port: 443, targetPort: 'https' }] },
    },
    {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferencePolicy',
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        upstream: {
          hosted: { url },
          ...(secret !== undefined && {
            credential: { secretRef: secret, ...(header !== undefined && { header }) },
          }),
        },
        access: [],
      },
    },
  ];
}

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function secretOf(text: string | undefined): Gateway['secret'] | 'wrong' {
  if (text === undefined) return undefined;
  const [name = '', key = '', ...more] = text.split('/');
  return name === '' || key === '' || more.length > 0 ? 'wrong' : { name, key };
}

/** Everything that is wrong with what was asked for. */
function faultsOf(flags: Flags): readonly string[] {
  const replicas = Number(flags.text('replicas') ?? 2);
  const url = flags.text('url') ?? '';
  return [
    ...(dnsLabel.test(flags.positionals[0] ?? '')
      ? []
      : ['NAME must be lower-case letters, digits and -, at most 63: it is the name of a Service']),
    ...(URL.canParse(url) && new URL(url).protocol === 'https:'
      ? []
      : ['--url is needed: the https address of the endpoint']),
    ...(secretOf(flags.text('secret')) === 'wrong' ? ['--secret must be NAME/KEY'] : []),
    ...(flags.text('header') !== undefined && flags.text('secret') === undefined
      ? ['--header needs --secret: there would be nothing in it']
      : []),
    ...(Number.isInteger(replicas) && replicas >= 1 && replicas <= 100 ? [] : ['--replicas must be 1 to 100']),
  ];
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

function print(flags: Flags, namespace: string, image: string, io: CommandIo): ExitCode {
  const secret = secretOf(flags.text('secret'));
  const objects = gatewayObjects({
    name: flags.positionals[0] ?? '',
    namespace,
    url: flags.text('url') ?? '',
    secret: secret === 'wrong' ? undefined : secret,
    header: flags.text('header'),
    replicas: Number(flags.text('replicas') ?? 2),
    image,
  });
  io.stdout(
    objects.map((one) => stringify(one, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })).join('---\n'),
  );
  io.stderr('the policy allows nothing yet: write spec.identity and spec.access, then kubectl apply -f\n');
  return 0;
}

function run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode> {
  const text = { kind: 'text' } as const;
  const own = { url: text, secret: text, header: text, replicas: text, image: text, system: text };
  const flags = askedFlags(args, io, {
    usage,
    flags: { ...own, ...clusterFlags },
    positionals: { name: 'NAME', least: 1, most: 1 },
    faults: faultsOf,
  });
  if (typeof flags === 'number') return flags;
  const [image, namespace] = [flags.text('image'), flags.text('namespace')];
  // Nothing is asked of a cluster that has nothing to say.
  if (image !== undefined && namespace !== undefined) return print(flags, namespace, image, io);
  return withCluster(flags, io, async (cluster) => {
    if (image !== undefined) return print(flags, cluster.namespace, image, io);
    const at = { namespace: flags.text('system') ?? systemNamespace, name: controlPlane.options };
    const map = await cluster.client.find<ConfigMap>(resources.configMaps, at);
    const yaml = map?.data?.[controlPlane.optionsKey];
    if (yaml === undefined) {
      io.stderr(`there is no ConfigMap ${at.name} in ${at.namespace}: name the image with --image\n`);
      return 1;
    }
    return print(flags, cluster.namespace, parseChartOptions(yaml).images[0] ?? '', io);
  });
}

export const gatewayCreateCommand: Command = {
  name: 'gateway create',
  summary: 'print the Deployment, Service and policy that govern a hosted model',
  usage,
  run,
};
