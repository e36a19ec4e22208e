/** How the API server reaches the webhook: the authority that it knows it by and the paths that it asks, in the configurations that call it. */
import { controlPlane, webhookRoutes } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient, KubeObject, KubeResource } from '../kube/index.ts';
import type { PathKeys } from './path-keys.ts';

interface ClientConfig {
  readonly caBundle?: string;
  readonly service?: { readonly path?: string };
  /** In place of `service`: for an API server that does not reach Services. */
  readonly url?: string;
}

interface Configuration extends KubeObject {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: ClientConfig }[];
}

const configurations: readonly (readonly [KubeResource, string])[] = [
  [resources.mutatingWebhooks, controlPlane.admission],
  [resources.validatingWebhooks, controlPlane.admission],
  [resources.validatingWebhooks, controlPlane.connect],
];

export interface Reach {
  /** PEM; undefined: another writes it. */
  readonly bundle: string | undefined;
  readonly keys: Pick<PathKeys, 'due'>;
}

const pathOf = ({ service, url }: ClientConfig): string =>
  url === undefined ? (service?.path ?? '') : new URL(url).pathname;

/** What has to change for every webhook of a configuration to be reached so; each step fails where another webhook stands there meanwhile. */
export function reachPatch({ webhooks = [] }: Configuration, { bundle, keys }: Reach): readonly object[] {
  const value = bundle === undefined ? undefined : Buffer.from(bundle).toString('base64');
  const ours = webhooks.filter(({ name }) => Object.hasOwn(webhookRoutes, name));
  const key = keys.due(ours.map(({ clientConfig }) => pathOf(clientConfig)));
  return webhooks.flatMap(({ name, clientConfig }, at) => {
    const { caBundle, url } = clientConfig;
    const route = Object.hasOwn(webhookRoutes, name) ? webhookRoutes[name as keyof typeof webhookRoutes] : undefined;
    const path = key === undefined || route === undefined ? undefined : `/${key}${route}`;
    const changes = [
      ...(value === undefined || caBundle === value ? [] : [{ field: 'caBundle', value }]),
      ...(path === undefined || path === pathOf(clientConfig)
        ? []
        : [
            url === undefined
              ? { field: 'service/path', value: path }
              : { field: 'url', value: new URL(path, url).href },
          ]),
    ];
    return changes.length === 0
      ? []
      : [
          { op: 'test', path: `/webhooks/${at}/name`, value: name },
          ...changes.map((one) => ({ op: 'add', path: `/webhooks/${at}/clientConfig/${one.field}`, value: one.value })),
        ];
  });
}

/**
 * Writes what is not as it should be, and nothing otherwise: a write for each look would wake all who watch.
 *
 * @returns how many were changed, and what each webhook trusted before, as PEM; empty where that is nothing
 * @throws KubeError also where a configuration is missing
 */
export async function writeReach(
  client: KubeClient,
  reach: Reach,
): Promise<{ readonly changed: number; readonly trusted: readonly string[] }> {
  let changed = 0;
  const trusted: string[] = [];
  for (const [resource, name] of configurations) {
    const configuration = await client.get<Configuration>(resource, { name });
    for (const { clientConfig } of configuration.webhooks ?? [])
      trusted.push(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'));
    const body = reachPatch(configuration, reach);
    if (body.length === 0) continue;
    await client.patch(resource, { name }, { type: 'json', body });
    changed++;
  }
  return { changed, trusted };
}
