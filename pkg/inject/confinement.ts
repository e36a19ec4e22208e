/**
 * What keeps a container beside the sidecar from becoming the sidecar's user, or from passing its rules: capabilities that it does
 * without, and no way to get them back by a program's set-uid bit (root may write such a program).
 */
import type { InjectOptions } from './options.ts';
import type { Container } from './pod.ts';

/** Capabilities by which a process becomes another user. */
export const identityCapabilities = ['SETUID', 'SETGID'] as const;

export const capabilityName = (capability: string): string => capability.toUpperCase().replace(/^CAP_/, '');

/**
 * Capabilities that a container may add: those that containerd gives to every container, without NET_RAW, and those that model servers
 * ask for (pinned memory, priorities, a debugger within their own processes). The rest reach the pod's network or the node.
 */
export const allowedCapabilities: readonly string[] = [
  ...[
    'AUDIT_WRITE',
    'CHOWN',
    'DAC_OVERRIDE',
    'FOWNER',
    'FSETID',
    'KILL',
    'MKNOD',
    'NET_BIND_SERVICE',
    'SETFCAP',
    'SETGID',
  ],
  ...['SETPCAP', 'SETUID', 'SYS_CHROOT', 'IPC_LOCK', 'SYS_NICE', 'SYS_PTRACE', 'SYS_RESOURCE'],
];

const drops = ({ securityContext }: Container, name: string): boolean =>
  (securityContext?.capabilities?.drop ?? []).some((one) => one === name || one === 'ALL');

export const adds = ({ securityContext }: Container, name: string): boolean =>
  (securityContext?.capabilities?.add ?? []).some((one) => capabilityName(one) === name);

/** NET_RAW is in every container's default set, and raw sockets pass the rules by uid. */
export const dropsRawSockets = (container: Container): boolean => drops(container, 'NET_RAW');

/** The container as it may stand beside the sidecar; itself where it is so already. */
export function confined(container: Container, changeUser: InjectOptions['changeUser']): Container {
  const { securityContext } = container;
  const wanted = changeUser === 'Always' ? [] : identityCapabilities.filter((name) => !adds(container, name));
  const missing = ['NET_RAW', ...wanted].filter((name) => !drops(container, name));
  const open = changeUser !== 'Always' && (securityContext?.allowPrivilegeEscalation ?? undefined) === undefined;
  if (missing.length === 0 && !open) return container;
  const { capabilities } = securityContext ?? {};
  return {
    ...container,
    securityContext: {
      ...securityContext,
      ...(open ? { allowPrivilegeEscalation: false } : {}),
      ...(missing.length === 0
        ? {}
        : { capabilities: { ...capabilities, drop: [...(capabilities?.drop ?? []), ...missing] } }),
    },
  };
}

/** What the container states that it may do, beyond what {@link confined} leaves it. */
export const declaredChanges = (container: Container): readonly string[] => [
  ...identityCapabilities.filter((name) => adds(container, name)).map((name) => `adds ${name}`),
  ...(container.securityContext?.allowPrivilegeEscalation === true ? ['has allowPrivilegeEscalation: true'] : []),
];

/** Whether it may become another user, as far as the spec says. */
export const mayChangeUser = (container: Container): boolean =>
  identityCapabilities.some((name) => adds(container, name) || !drops(container, name)) ||
  container.securityContext?.allowPrivilegeEscalation !== false;

/** Whether it may stand beside the sidecar: what it may do beyond {@link confined} is stated, where stating it is enough. */
export function isConfined(container: Container, changeUser: InjectOptions['changeUser']): boolean {
  if (changeUser === 'Always') return true;
  const declares = changeUser === 'IfDeclared';
  const escalation = container.securityContext?.allowPrivilegeEscalation;
  return (
    identityCapabilities.every((name) => (adds(container, name) ? declares : drops(container, name))) &&
    (escalation === false || (declares && escalation === true))
  );
}
