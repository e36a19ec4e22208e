/** The authority by which the API server knows the webhook, in the configurations that call it. */
import { controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient, KubeObject, KubeResource } from '../kube/index.ts';

interface Configuration extends KubeObject {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

const configurations: readonly (readonly [KubeResource, string])[] = [
  [resources.mutatingWebhooks, controlPlane.admission],
  [resources.validatingWebhooks, controlPlane.admission],
  [resources.validatingWebhooks, controlPlane.connect],
];

/** What has to change for every webhook of a configuration to have that authority; each step fails where another webhook stands there meanwhile. */
export function bundlePatch(configuration: Configuration, bundle: string): readonly object[] {
  const value = Buffer.from(bundle).toString('base64');
  return (configuration.webhooks ?? []).flatMap(({ name, clientConfig }, at) =>
    clientConfig.caBundle === value
      ? []
      : [
          { op: 'test', path: `/webhooks/${at}/name`, value: name },
          { op: 'add', path: `/webhooks/${at}/clientConfig/caBundle`, value },
        ],
  );
}

/** What each webhook of each configuration trusts, as PEM; empty where it is nothing. @throws KubeError also where a configuration is missing */
export async function writtenBundles(client: KubeClient): Promise<readonly string[]> {
  const all = await Promise.all(
    configurations.map(([resource, name]) => client.get<Configuration>(resource, { name })),
  );
  return all
    .flatMap(({ webhooks = [] }) => webhooks)
    .map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'));
}

/**
 * Writes the bundle where it is not what it should be, and nothing otherwise: a write for each look would wake all who watch.
 *
 * @returns how many were changed
 * @throws KubeError also where a configuration is missing
 */
export async function writeBundle(client: KubeClient, bundle: string): Promise<number> {
  let changed = 0;
  for (const [resource, name] of configurations) {
    const body = bundlePatch(await client.get<Configuration>(resource, { name }), bundle);
    if (body.length === 0) continue;
    await client.patch(resource, { name }, { type: 'json', body });
    changed++;
  }
  return changed;
}
