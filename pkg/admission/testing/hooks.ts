// What a test gives the hooks: options as the chart renders them, a cluster of a few objects, and what was said.
import { stringify } from 'yaml';
import { createMeters } from '../../telemetry/index.ts';
import { defaultOptions, draw, istio, knativeQueueProxy, parseChartOptions } from '../../inject/index.ts';
import type { ChartOptions, InjectOptions } from '../../inject/index.ts';
import { admissionMetrics } from '../index.ts';
import type { AdmissionMetrics, ClusterLookup, PodHookOptions } from '../index.ts';
import type { AdmissionRequest } from '../review.ts';

export const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

export const testOptions: InjectOptions = {
  ...defaultOptions,
  version: '0.1.0',
  image: 'sidegate/sidegate:0.1.0',
  controller: {
    url: 'https://sidegate-controller.sidegate-system.svc:8443',
    name: 'sidegate-controller.sidegate-system.svc',
    ca,
  },
  meshes: [istio(['istio/proxyv2'])],
  wrappers: [knativeQueueProxy(['knative/queue'])],
  helpers: [{ name: 'lora-loader', images: ['ml/lora-loader'], runAsUser: 2_000 }],
  namespace: { name: 'ml', governed: true },
  drawn: draw(Buffer.from('twenty bytes by hand')),
};

export function optionsYaml(more: Readonly<Record<string, unknown>> = {}): string {
  const { namespace: _namespace, drawn: _drawn, controller, ...rest } = testOptions;
  return stringify(
    { ...rest, controller: { url: controller.url, name: controller.name }, ...more },
    { aliasDuplicateObjects: false },
  );
}

export const chart = (more: Readonly<Record<string, unknown>> = {}): ChartOptions =>
  parseChartOptions(optionsYaml(more));

export const request = (more: Partial<AdmissionRequest> = {}): AdmissionRequest => ({
  uid: 'u-1',
  operation: 'CREATE',
  group: '',
  resource: 'pods',
  subResource: '',
  name: '',
  namespace: 'ml',
  user: 'ana',
  groups: ['system:authenticated'],
  dryRun: false,
  object: undefined,
  oldObject: undefined,
  ...more,
});

export interface Said {
  readonly reason: string;
  readonly note: string;
  readonly kind: string;
  readonly name: string;
}

export interface TestHooks {
  readonly hook: PodHookOptions;
  readonly metrics: AdmissionMetrics;
  readonly events: readonly Said[];
  render(): Promise<string>;
}

export const emptyLookup: ClusterLookup = {
  namespaceGoverned: () => Promise.resolve(undefined),
  pod: () => Promise.resolve(undefined),
  service: () => Promise.resolve(undefined),
  governedPods: () => Promise.resolve([]),
};

export function testHooks(more: Partial<PodHookOptions> = {}): TestHooks {
  const meters = createMeters({ process: false });
  const metrics = admissionMetrics(meters);
  const events: Said[] = [];
  const options = chart();
  return {
    metrics,
    events,
    render: () => meters.render(),
    hook: {
      options: () => options,
      accepted: () => [options],
      drawn: () => draw(Buffer.from('twenty bytes by hand')),
      trust: () => ca,
      lookup: emptyLookup,
      metrics,
      events: (about, { reason, note }) => events.push({ reason, note, kind: about.kind, name: about.name }),
      ...more,
    },
  };
}
