// Options as a cluster's chart values would give them, for tests.
import { defaultOptions, istio, knativeQueueProxy, kserveAgent, linkerd } from '../options.ts';
import type { InjectOptions } from '../options.ts';
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
};

export const paramsOf = (options: InjectOptions): FinalStateParams => ({
  options,
  images: [options.image],
  authorities: [options.controller.ca],
  injected: [injectedAnnotation(options)],
});
