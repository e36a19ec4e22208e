import { containers as own } from '../contract/index.ts';
import { isAsWritten } from './network-init.ts';
import type { InjectOptions, KnownContainer, KnownHelper, KnownMesh, KnownWrapper } from './options.ts';
import type { Container, ContainerList, Pod } from './pod.ts';

/** What a container is to injection. What is not known is a `model`: governed, and trusted with nothing. */
export type Role =
  | { readonly kind: 'ours' }
  | { readonly kind: 'network-init'; readonly mesh: KnownMesh }
  /** A mesh's proxy, or an init container that looks at its network. */
  | { readonly kind: 'proxy'; readonly mesh: KnownMesh }
  | { readonly kind: 'wrapper'; readonly wrapper: KnownWrapper }
  | { readonly kind: 'helper'; readonly helper: KnownHelper }
  | { readonly kind: 'model' };

export interface Entry {
  readonly list: ContainerList;
  readonly index: number;
  readonly container: Container;
  readonly role: Role;
}

/** Whether `image` is one of `prefixes`, or below one: the rest begins a path, a tag or a digest. */
export function isImageOf(image: string | null | undefined, prefixes: readonly string[]): boolean {
  return prefixes.some(
    (prefix) =>
      prefix !== '' &&
      (image === prefix || (image?.startsWith(prefix) === true && ':@/'.includes(image.charAt(prefix.length)))),
  );
}

const isKnown = (container: Container, known: KnownContainer): boolean =>
  container.name === known.name && isImageOf(container.image, known.images);

export const runsBeside = (list: ContainerList, container: Container): boolean =>
  list === 'containers' || container.restartPolicy === 'Always';

/** What the image runs by itself, told by `firstArg` what to do. */
const isOwnProgram = ({ command, args }: Container, firstArg?: string): boolean =>
  (command ?? []).length === 0 && (firstArg === undefined || args?.[0] === firstArg);

export function roleOf(list: ContainerList, container: Container, options: InjectOptions): Role {
  if (isOurName(container.name)) return { kind: 'ours' };
  for (const mesh of options.meshes) {
    const init = mesh.networkInits.find((known) => isKnown(container, known));
    if (init !== undefined && isAsWritten(container, init) && !runsBeside(list, container)) {
      return { kind: 'network-init', mesh };
    }
    const roles = runsBeside(list, container)
      ? mesh.proxies.filter((known) => isOwnProgram(container, known.firstArg))
      : mesh.validators;
    if (roles.some((known) => isKnown(container, known))) return { kind: 'proxy', mesh };
  }
  const wrapper = options.wrappers.find((known) => isKnown(container, known));
  if (wrapper !== undefined && list === 'containers' && isOwnProgram(container)) return { kind: 'wrapper', wrapper };
  const helper = options.helpers.find((known) => isKnown(container, known));
  return helper === undefined ? { kind: 'model' } : { kind: 'helper', helper };
}

export const isOurName = (name: string): boolean => name === own.init || name === own.sidecar;

/** Whether a container only claims to be known: its name is, and its image or command is not. */
export function hasKnownName({ container, role }: Entry, options: InjectOptions): boolean {
  const names = [
    ...options.meshes.flatMap(({ networkInits, proxies, validators }) => [...networkInits, ...proxies, ...validators]),
    ...options.wrappers,
    ...options.helpers,
  ].map(({ name }) => name);
  return role.kind === 'model' && names.includes(container.name);
}

/** All containers of the pod, init containers first. */
export function entriesOf(pod: Pod, options: InjectOptions): readonly Entry[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (pod.spec[list] ?? []).map((container, index) => ({
      list,
      index,
      container,
      role: roleOf(list, container, options),
    })),
  );
}

/** The uid that the spec gives a container; undefined: the image decides. */
export const uidOf = (pod: Pod, { securityContext }: Container): number | undefined =>
  securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser ?? undefined;

/** The gid that the spec gives a container; undefined: the image decides. */
export const gidOf = (pod: Pod, { securityContext }: Container): number | undefined =>
  securityContext?.runAsGroup ?? pod.spec.securityContext?.runAsGroup ?? undefined;

/** Whether a container may run as `uid`, as far as the spec says. */
export function mayRunAs(pod: Pod, container: Container, uid: number): boolean {
  const given = uidOf(pod, container);
  if (given !== undefined) return given === uid;
  const nonRoot = container.securityContext?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot ?? false;
  return uid !== 0 || !nonRoot;
}
