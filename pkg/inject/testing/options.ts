// Options as a cluster's chart values would give them, for tests.
import { defaultOptions, istio, knativeQueueProxy, kserveAgent, linkerd } from '../options.ts';
import { drawnGids } from '../../contract/index.ts';
import { draw } from '../drawn.ts';
import type { Pod } from '../pod.ts';
import { argumentAfter } from '../previous.ts';
import type { Drawn, InjectOptions } from '../options.ts';
import { injectedAnnotation } from '../inject.ts';
import type { FinalStateParams } from '../final-state.ts';

export const testOptions: InjectOptions = {
  ...defaultOptions,
  version: '0.1.0',
  image: 'sidegate/sidegate:0.1.0',
  controller: {
    url: 'https://sidegate-controller.sidegate-system.svc:8443',
    name: 'sidegate-controller.sidegate-system.svc',
    ca: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  },
  meshes: [istio(['istio/proxyv2']), linkerd({ init: ['linkerd/proxy-init'], proxy: ['linkerd/proxy'] })],
  wrappers: [knativeQueueProxy(['knative/queue']), kserveAgent(['kserve/agent'])],
  helpers: [{ name: 'lora-loader', images: ['ml/lora-loader'], runAsUser: 2_000 }],
  namespace: { name: 'ml', governed: true },
  drawn: draw(Buffer.from('twenty bytes by hand')),
};

/** What was drawn for an injected pod; `number` as small as it can have been. */
export function drawnOf(value: unknown): Drawn {
  const { spec } = value as Pod;
  const sidecar = [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === 'sidegate');
  const text = argumentAfter(sidecar?.args, '--probes') ?? '';
  const range = spec.hostUsers === false ? drawnGids.inUserNamespace : drawnGids.inCluster;
  return {
    hookKey: /\/(?:post-start|pre-stop)\/([^"]*)"/.exec(text)?.[1] ?? '',
    number: (sidecar?.securityContext?.runAsGroup ?? 0) - range.first,
  };
}

export const paramsOf = (options: InjectOptions): FinalStateParams => ({
  options,
  images: [options.image],
  authorities: [options.controller.ca],
  injected: [injectedAnnotation(options)],
});
