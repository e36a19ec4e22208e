/** Pods as they are created: the sidecar is written in, or the pod is refused. */
import { annotations, containers } from '../contract/index.ts';
import { inject } from '../inject/index.ts';
import type { ChartOptions, Drawn, InjectOptions, InjectResult, Reason } from '../inject/index.ts';
import type { AdmissionMetrics } from './metrics.ts';
import type { ClusterLookup, EventSink, TrustSource } from './ports.ts';
import { ownerOf } from './owner.ts';
import { isFields, refusal } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

export interface PodHookOptions {
  readonly options: () => ChartOptions;
  /** See {@link OptionsSource.accepted}. */
  readonly accepted: () => readonly ChartOptions[];
  /** Asked anew for each pod. */
  readonly drawn: () => Drawn;
  readonly trust: TrustSource;
  /** Bundles that a replica which heard of a change later may still give. */
  readonly earlierTrust?: () => readonly string[];
  readonly lookup: ClusterLookup;
  readonly events: EventSink;
  readonly metrics: AdmissionMetrics;
}

/** For people, on one line: the API server prints it after its own words. */
export const sentence = ({ message, fix }: Reason): string => `${message}; fix: ${fix}`;
export const sentences = (reasons: readonly Reason[]): string =>
  reasons.map((one) => `[${one.code}] ${sentence(one)}`).join(' | ');

export const noAuthority = refusal(
  '[no_authority] the controller has not yet published the authority that sidecars trust; fix: wait until kubectl -n NAMESPACE rollout status deployment/sidegate-controller is done (NAMESPACE: where Sidegate is installed), and try again',
  { status: 503 },
);

/** Pods are asked about at CREATE alone: whatever else comes is a configuration that somebody changed. */
export function isPodCreation({ group, resource, subResource, operation }: AdmissionRequest): boolean {
  return group === '' && resource === 'pods' && subResource === '' && operation === 'CREATE';
}

export const unexpected = ({ operation, resource, subResource }: AdmissionRequest): Verdict =>
  refusal(
    `[unexpected] this webhook does not decide ${operation} of ${resource}${subResource === '' ? '' : `/${subResource}`}; fix: restore its configuration with helm upgrade`,
  );

/** Only where the chart asks for it: the shape of a pod does not depend on the label. */
export async function namespaceFacts(
  request: AdmissionRequest,
  chart: ChartOptions,
  lookup: ClusterLookup,
): Promise<InjectOptions['namespace']> {
  const governed =
    chart.governNamespaces === 'Required' ? ((await lookup.namespaceGoverned(request.namespace)) ?? false) : true;
  return { name: request.namespace, governed };
}

/** With the namespace, which the pod itself need not name. */
function podName(request: AdmissionRequest): string {
  const metadata = isFields(request.object) ? request.object['metadata'] : undefined;
  const { name, generateName } = isFields(metadata) ? metadata : {};
  const own = typeof name === 'string' && name !== '' ? name : generateName;
  return typeof own === 'string' && own !== '' ? own : '(unnamed)';
}

export function createMutate(hook: PodHookOptions): (request: AdmissionRequest) => Promise<Verdict> {
  const { trust, lookup, metrics, events } = hook;

  const tell = (request: AdmissionRequest, reasons: readonly Reason[], event: string): void => {
    for (const { code } of reasons) metrics.reason(code);
    const about = ownerOf(request);
    // A dry run leaves no trace, and Events are one.
    if (about === undefined || request.dryRun || reasons.length === 0) return;
    events(about, { reason: event, action: 'Inject', note: `pod ${podName(request)}: ${sentences(reasons)}` });
  };

  return async (request) => {
    if (!isPodCreation(request)) {
      metrics.failed('unexpected');
      return unexpected(request);
    }
    const chart = hook.options();
    const ca = trust();
    const result: InjectResult = inject(
      request.object,
      chart.for(await namespaceFacts(request, chart, lookup), ca ?? '', hook.drawn()),
    );
    switch (result.kind) {
      case 'skip':
        tell(request, result.reasons, 'InjectionSkipped');
        return {
          allowed: true,
          warnings: result.reasons.map((one) => `sidegate: not injected: ${sentence(one)}`),
          audit: { skipped: result.reasons.map(({ code }) => code).join(',') },
        };
      case 'refuse':
        tell(request, result.reasons, 'InjectionRefused');
        return refusal(sentences(result.reasons), {
          audit: { refused: result.reasons.map(({ code }) => code).join(',') },
        });
      case 'inject': {
        if (ca === undefined) {
          metrics.failed('no_authority');
          return noAuthority;
        }
        tell(request, result.notes, 'InjectionNote');
        return {
          allowed: true,
          patch: result.patch,
          warnings: result.notes.map((one) => `sidegate: ${sentence(one)}`),
          audit: {
            injected: result.pod.metadata?.annotations?.[annotations.portMap] ?? containers.sidecar,
            ...(result.notes.length === 0 ? {} : { notes: result.notes.map(({ code }) => code).join(',') }),
          },
        };
      }
    }
  };
}
