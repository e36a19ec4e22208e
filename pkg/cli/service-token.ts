import { KubeError, resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { systemNamespace } from './cluster-command.ts';
import type { Flags } from './flags.ts';

/** A token lives so long, which is the shortest that the API server makes. */
export const tokenSeconds = 600;

/**
 * A token for one endpoint of Sidegate and nothing else, of the service account that `--service-account NS/NAME` names: who may make it
 * is for RBAC, and the API server's own audit log has who did.
 *
 * @param about `account`: in the namespace of `--system`, where the flag is not given.
 * @throws KubeError
 */
export async function serviceToken(
  client: Pick<KubeClient, 'create'>,
  flags: Flags,
  about: { readonly audience: string; readonly account: string },
): Promise<string> {
  const system = flags.text('system') ?? systemNamespace;
  const [namespace = system, name = about.account] = flags.text('service-account')?.split('/') ?? [];
  const made = await client.create<{ readonly status?: { readonly token?: string } }>(
    resources.serviceAccounts,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [about.audience], expirationSeconds: tokenSeconds },
    },
    { namespace, name, subresource: 'token' },
  );
  const token = made.status?.token;
  if (token === undefined) throw new KubeError('bad_answer', 'the API server made no token');
  return token;
}
