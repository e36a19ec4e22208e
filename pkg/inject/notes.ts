/** What the author of a pod that is injected should know: none of it keeps the pod from running. */
import { annotations } from '../contract/index.ts';
import { confined, mayChangeUser } from './confinement.ts';
import type { Shape } from './our-containers.ts';
import { dialerUid, likeDialer, trustedHelpers } from './ports.ts';
import { isDrainHook } from './probes.ts';
import { reason } from './reasons.ts';
import type { Reason } from './reasons.ts';
import { hasKnownName, runsBeside, uidOf } from './roles.ts';
import type { Entry } from './roles.ts';

/** Istio's, of pods: `ambient` has ztunnel capture the pod's traffic inside the pod, without a container there. */
const ambientLabel = 'istio.io/dataplane-mode';

/** @param all with our own containers @param models what answers callers */
export function notesOf(
  { pod, options, entries: others, ports, portNames }: Shape,
  all: readonly Entry[],
  models: readonly Entry[],
): readonly Reason[] {
  const injectedBefore = pod.metadata?.annotations?.[annotations.injected] !== undefined;
  const redirects = options.captureMode === 'Redirect';
  const helpers = trustedHelpers(pod, others, options).map(({ uid }) => uid);
  const names = others.flatMap(({ container }) =>
    (container.ports ?? []).filter(({ containerPort }) => ports.governed.some(({ model }) => model === containerPort)),
  );
  return [
    ...models
      .filter(({ container }) => container.lifecycle?.preStop && !isDrainHook(container.lifecycle.preStop))
      .map(({ container }) => reason('prestop_kept', container.name)),
    ...all
      .filter(({ role, container }) => role.kind === 'ours' && (!injectedBefore || container.image !== options.image))
      .map(({ container }) => reason('reserved_container_replaced', container.name)),
    ...(redirects && dialerUid(pod) === 0 ? likeDialer(pod, others) : []).map(({ container }) =>
      reason('loopback_open_to_root', container.name),
    ),
    ...others
      .filter(
        ({ role, container }) => role.kind !== 'network-init' && mayChangeUser(confined(container, options.changeUser)),
      )
      .map(({ container }) => reason('may_change_user', container.name)),
    ...others
      .filter(
        (entry) =>
          ['model', 'helper'].includes(entry.role.kind) &&
          !models.includes(entry) &&
          runsBeside(entry.list, entry.container) &&
          uidOf(pod, entry.container) === undefined,
      )
      .map(({ container }) => reason('image_chooses_user', container.name)),
    ...others
      .filter(({ role }) => role.kind === 'helper' && !helpers.includes(role.helper.runAsUser))
      .map(({ container }) => reason(redirects ? 'helper_uid_shared' : 'helper_not_told', container.name)),
    ...others
      .filter((entry) => hasKnownName(entry, options))
      .map(({ container }) => reason('known_name_other_image', container.name)),
    ...(redirects ? [] : names)
      .filter(({ name, containerPort }) => name && portNames.get(containerPort) !== name)
      .map(({ name }) => reason('port_name_twice', name ?? '')),
    ...(redirects && pod.metadata?.labels?.[ambientLabel] === 'ambient' ? [reason('ambient_mesh')] : []),
  ];
}
