/**
 * What may become of a pod that runs: only differences from the old object are looked at, since a rule about the new object alone
 * passes when the label is gone. The controller's account upgrades sidecars in place; nobody else changes what is ours.
 */
import { annotationPrefix, inferenceLabel } from '../contract/index.ts';
import { readPod } from './pod.ts';
import { sameJson } from './same-json.ts';
import type { Container, Pod } from './pod.ts';
import { isOurName } from './roles.ts';

export interface UpdateParams {
  /** Whether the request comes from the controller's account. */
  readonly byController: boolean;
  /** Images that our containers may have. */
  readonly images: readonly string[];
}

export type UpdateRule = 'readable' | 'label' | 'annotations' | 'containers' | 'image' | 'resources' | 'allowed_image';

export interface UpdateViolation {
  readonly rule: UpdateRule;
  readonly message: string;
}

const ourAnnotations = (pod: Pod): unknown =>
  Object.fromEntries(
    Object.entries(pod.metadata?.annotations ?? {}).filter(([key]) => key.startsWith(annotationPrefix)),
  );

const ourContainers = (pod: Pod): ReadonlyMap<string, Container> =>
  new Map(
    (['initContainers', 'containers'] as const).flatMap((list) =>
      (pod.spec[list] ?? []).filter(({ name }) => isOurName(name)).map((one) => [`${list} ${one.name}`, one] as const),
    ),
  );

/** Every rule that the change breaks. For UPDATE of pods, `pods/resize` and `pods/ephemeralcontainers`. */
export function checkUpdate(before: unknown, after: unknown, params: UpdateParams): readonly UpdateViolation[] {
  const [old, next] = [readPod(before), readPod(after)];
  if ('fault' in old) return [{ rule: 'readable', message: `the old object: ${old.fault}` }];
  if ('fault' in next) return [{ rule: 'readable', message: `the new object: ${next.fault}` }];
  const [had, has] = [ourContainers(old.pod), ourContainers(next.pod)];
  const changed = (part: (container: Container) => unknown): readonly string[] =>
    [...had].flatMap(([name, container]) => {
      const now = has.get(name);
      return now !== undefined && !sameJson(part(container), part(now)) ? [name] : [];
    });
  const images = changed(({ image }) => image);
  const broken: (UpdateViolation | undefined)[] = [
    differs(old.pod.metadata?.labels?.[inferenceLabel], next.pod.metadata?.labels?.[inferenceLabel], {
      rule: 'label',
      message: `the label ${inferenceLabel} is set at creation: change it in the pod template, and let the pods be made anew`,
    }),
    differs(ourAnnotations(old.pod), ourAnnotations(next.pod), {
      rule: 'annotations',
      message: `annotations under ${annotationPrefix} are set at creation: change them in the pod template`,
    }),
    differs([...had.keys()], [...has.keys()], {
      rule: 'containers',
      message: 'containers of Sidegate are set at creation',
    }),
    ...images.map((name) => violation('image', `the image of ${name} is the controller's to change`)),
    ...changed(({ resources }) => resources ?? {}).map((name) =>
      violation('resources', `the resources of ${name} are the controller's to change`),
    ),
  ];
  const found = broken.filter((one) => one !== undefined);
  if (!params.byController) return found;
  return images
    .filter((name) => !params.images.includes(has.get(name)?.image ?? ''))
    .map((name) => violation('allowed_image', `the new image of ${name} is not one of those that are allowed`));
}

const violation = (rule: UpdateRule, message: string): UpdateViolation => ({ rule, message });

const differs = (before: unknown, after: unknown, found: UpdateViolation): UpdateViolation | undefined =>
  sameJson(before, after) ? undefined : found;
