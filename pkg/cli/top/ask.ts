import { auditTokenHeader, controlPlane, controlPorts, topAudience, topPath } from '../../contract/index.ts';
import { isKubeError, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { systemNamespace } from '../cluster-command.ts';
import type { Flags } from '../flags.ts';
import { serviceToken, tokenSeconds } from '../service-token.ts';
import { rowsOf } from './figures.ts';
import type { PodRow } from './figures.ts';

/**
 * Asks each controller, through the API server's pod proxy: each knows the sidecars that are connected to it, and no other.
 */
export interface TopClient {
  /** @param namespace undefined: all. @throws KubeError where none answers, with the last one's words. */
  ask(namespace: string | undefined): Promise<TopAnswer>;
}

export interface TopAnswer {
  readonly answers: readonly (readonly PodRow[])[];
  /** Controllers that did not answer: sidecars that are connected to them stand without figures. */
  readonly silent: readonly string[];
}

interface ControllerPod extends KubeObject {
  readonly spec: {
    readonly containers: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: { readonly phase?: string };
}

/** Labels of the chart. */
const labelSelector = 'app.kubernetes.io/name=sidegate,app.kubernetes.io/component=controller';
const timeoutMs = 10_000;
/** A token is made again, this long before its end. */
const spareMs = 120_000;

export class NoControllerError extends Error {}

export function openTop(client: KubeClient, flags: Flags, now: () => number): TopClient {
  const system = flags.text('system') ?? systemNamespace;
  let known: { readonly token: string; readonly until: number } | undefined;
  const token = async (): Promise<string> => {
    if (known === undefined || now() >= known.until) {
      const made = await serviceToken(client, flags, { audience: topAudience, account: controlPlane.viewer });
      known = { token: made, until: now() + tokenSeconds * 1_000 - spareMs };
    }
    return known.token;
  };
  const askOne = async ({ metadata, spec }: ControllerPod, query: string): Promise<readonly PodRow[]> => {
    const ports = spec.containers.flatMap(({ ports: of = [] }) => of);
    const port = ports.find(({ name }) => name === 'decisions')?.containerPort ?? controlPorts.decisions;
    const path = `/api/v1/namespaces/${system}/pods/https:${metadata.name}:${port}/proxy${topPath}${query}`;
    return rowsOf(
      await client.request({ method: 'GET', path, headers: { [auditTokenHeader]: await token() }, timeoutMs }),
    );
  };
  return {
    async ask(namespace) {
      const pods = (await client.list<ControllerPod>(resources.pods, { namespace: system, labelSelector })).filter(
        ({ status }) => status?.phase === 'Running',
      );
      if (pods.length === 0)
        throw new NoControllerError(`no controller runs in namespace ${system}; name another with --system`);
      await token();
      const query = namespace === undefined ? '' : `?namespace=${namespace}`;
      const asked = await Promise.allSettled(pods.map((pod) => askOne(pod, query)));
      const answers = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const failed = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
      // Who may not look is told so, by whichever controller said it.
      const refusal = failed.find((error) => isKubeError(error) && [401, 403].includes(error.status));
      if (refusal !== undefined || answers.length === 0) throw refusal ?? failed.at(-1);
      return {
        answers,
        silent: pods.flatMap(({ metadata }, at) => (asked[at]?.status === 'rejected' ? [metadata.name] : [])),
      };
    },
  };
}
