/** The part of a Pod (core/v1) that injection reads. Unknown fields are kept: objects are copied, never rebuilt. */

export interface Pod {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: PodMetadata | null;
  readonly spec: PodSpec;
}

export interface PodMetadata {
  readonly name?: string | null;
  readonly generateName?: string | null;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[] | null;
  readonly volumes?: readonly Volume[] | null;
  readonly hostNetwork?: boolean | null;
  readonly hostPID?: boolean | null;
  readonly shareProcessNamespace?: boolean | null;
  /** False: the pod has a user namespace of its own. */
  readonly hostUsers?: boolean | null;
  readonly os?: { readonly name?: string | null } | null;
  readonly securityContext?: {
    readonly runAsUser?: number | null;
    readonly runAsGroup?: number | null;
    readonly runAsNonRoot?: boolean | null;
  } | null;
  readonly terminationGracePeriodSeconds?: number | null;
}

export interface Container {
  readonly name: string;
  readonly image?: string | null;
  readonly command?: readonly string[] | null;
  readonly args?: readonly string[] | null;
  readonly workingDir?: string | null;
  readonly env?: readonly EnvVar[] | null;
  readonly envFrom?: readonly unknown[] | null;
  readonly ports?: readonly ContainerPort[] | null;
  readonly resources?: Resources | null;
  readonly volumeMounts?: readonly VolumeMount[] | null;
  readonly volumeDevices?: readonly unknown[] | null;
  readonly startupProbe?: Probe | null;
  readonly livenessProbe?: Probe | null;
  readonly readinessProbe?: Probe | null;
  readonly lifecycle?: { readonly postStart?: Handler | null; readonly preStop?: Handler | null } | null;
  readonly securityContext?: SecurityContext | null;
  readonly restartPolicy?: string | null;
  readonly imagePullPolicy?: string | null;
  readonly terminationMessagePath?: string;
  readonly terminationMessagePolicy?: string;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string | null;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly apiVersion?: string; readonly fieldPath: string };
    /** A line of a file in a volume, which the kubelet reads (EnvFiles, on by default since Kubernetes 1.35). */
    readonly fileKeyRef?: { readonly volumeName: string } | null;
  } | null;
}

export interface ContainerPort {
  readonly name?: string | null;
  readonly containerPort: number;
  readonly hostPort?: number | null;
  readonly protocol?: string | null;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean | null;
}

/** Quantities: the API server gives texts, and takes numbers as YAML reads them. */
export interface Resources {
  readonly requests?: Readonly<Record<string, string | number>> | null;
  readonly limits?: Readonly<Record<string, string | number>> | null;
}

export interface SecurityContext {
  readonly privileged?: boolean | null;
  readonly runAsUser?: number | null;
  readonly runAsGroup?: number | null;
  readonly runAsNonRoot?: boolean | null;
  readonly allowPrivilegeEscalation?: boolean | null;
  readonly readOnlyRootFilesystem?: boolean | null;
  readonly capabilities?: {
    readonly add?: readonly string[] | null;
    readonly drop?: readonly string[] | null;
  } | null;
  readonly seccompProfile?: { readonly type: string } | null;
}

export interface Handler {
  readonly httpGet?: HttpGet | null;
  readonly tcpSocket?: { readonly port: number | string; readonly host?: string | null } | null;
  readonly grpc?: { readonly port: number; readonly service?: string | null } | null;
  readonly exec?: { readonly command?: readonly string[] | null } | null;
}

export interface HttpGet {
  readonly port: number | string;
  readonly path?: string | null;
  readonly host?: string | null;
  readonly scheme?: string | null;
  readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[] | null;
}

export interface Probe extends Handler {
  readonly timeoutSeconds?: number | null;
  readonly periodSeconds?: number | null;
  readonly failureThreshold?: number | null;
  readonly successThreshold?: number | null;
}

export interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string } | null;
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string } | null;
  readonly projected?: { readonly defaultMode?: number; readonly sources?: readonly VolumeSource[] | null } | null;
}

interface VolumeSource {
  readonly serviceAccountToken?: {
    readonly audience?: string | null;
    readonly expirationSeconds?: number | null;
    readonly path?: string | null;
  } | null;
}

/** Which list of the pod's spec a container stands in. */
export type ContainerList = 'initContainers' | 'containers';

/** `what` a value has to be; lists and maps hold one kind of thing. */
type Shape =
  | 'string'
  | 'boolean'
  | 'integer'
  | 'port'
  | 'quantity'
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly fields: Readonly<Record<string, Shape>>; readonly required?: readonly string[] };

const handler: Readonly<Record<string, Shape>> = {
  httpGet: {
    fields: {
      port: 'port',
      path: 'string',
      host: 'string',
      scheme: 'string',
      httpHeaders: { list: { fields: { name: 'string', value: 'string' }, required: ['name', 'value'] } },
    },
    required: ['port'],
  },
  tcpSocket: { fields: { port: 'port', host: 'string' }, required: ['port'] },
  grpc: { fields: { port: 'integer', service: 'string' }, required: ['port'] },
};
const probe: Shape = { fields: { ...handler, timeoutSeconds: 'integer' } };
const strings: Shape = { list: 'string' };
const container: Shape = {
  fields: {
    name: 'string',
    image: 'string',
    command: strings,
    workingDir: 'string',
    args: strings,
    ports: {
      list: {
        fields: { name: 'string', containerPort: 'integer', hostPort: 'integer', protocol: 'string' },
        required: ['containerPort'],
      },
    },
    env: {
      list: {
        fields: {
          name: 'string',
          valueFrom: { fields: { fileKeyRef: { fields: { volumeName: 'string' }, required: ['volumeName'] } } },
        },
        required: ['name'],
      },
    },
    resources: { fields: { requests: { map: 'quantity' }, limits: { map: 'quantity' } } },
    volumeMounts: { list: { fields: { name: 'string', mountPath: 'string' }, required: ['name', 'mountPath'] } },
    startupProbe: probe,
    livenessProbe: probe,
    readinessProbe: probe,
    lifecycle: { fields: { postStart: { fields: handler }, preStop: { fields: handler } } },
    securityContext: {
      fields: {
        privileged: 'boolean',
        runAsUser: 'integer',
        runAsGroup: 'integer',
        runAsNonRoot: 'boolean',
        allowPrivilegeEscalation: 'boolean',
        capabilities: { fields: { add: strings, drop: strings } },
      },
    },
    restartPolicy: 'string',
    imagePullPolicy: 'string',
  },
  required: ['name'],
};
const pod: Shape = {
  fields: {
    metadata: { fields: { labels: { map: 'string' }, annotations: { map: 'string' } } },
    spec: {
      fields: {
        containers: { list: container },
        initContainers: { list: container },
        volumes: {
          list: {
            fields: {
              name: 'string',
              hostPath: { fields: { path: 'string' }, required: ['path'] },
              projected: {
                fields: { sources: { list: { fields: { serviceAccountToken: { fields: { audience: 'string' } } } } } },
              },
            },
            required: ['name'],
          },
        },
        hostNetwork: 'boolean',
        hostPID: 'boolean',
        shareProcessNamespace: 'boolean',
        hostUsers: 'boolean',
        os: { fields: { name: 'string' } },
        securityContext: { fields: { runAsUser: 'integer', runAsGroup: 'integer', runAsNonRoot: 'boolean' } },
        terminationGracePeriodSeconds: 'integer',
      },
      required: ['containers'],
    },
  },
  required: ['spec'],
};

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The path of the first value that is not what it has to be. Null is absence, as it is to Kubernetes. */
function faultIn(value: unknown, shape: Shape, path: string): string | undefined {
  if (shape === 'port')
    return typeof value === 'string' || Number.isInteger(value) ? undefined : `${path} is no port name or number`;
  if (shape === 'quantity')
    return typeof value === 'string' || Number.isFinite(value) ? undefined : `${path} is no quantity`;
  if (shape === 'integer') return Number.isInteger(value) ? undefined : `${path} is no whole number`;
  if (typeof shape === 'string') return typeof value === shape ? undefined : `${path} is no ${shape}`;
  if ('list' in shape) {
    if (!Array.isArray(value)) return `${path} is no list`;
    return first(value.map((item, at) => () => faultIn(item, shape.list, `${path}[${at}]`)));
  }
  if (!isRecord(value)) return `${path} is no object`;
  const { map } = shape as { readonly map?: Shape };
  if (map !== undefined)
    return first(
      Object.entries(value).map(
        ([key, item]) =>
          () =>
            faultIn(item, map, `${path}.${key}`),
      ),
    );
  if (!('fields' in shape)) return undefined;
  const missing = (shape.required ?? []).find((key) => value[key] === undefined || value[key] === null);
  if (missing !== undefined) return `${path}.${missing} is missing`;
  return first(
    Object.entries(shape.fields)
      .filter(([key]) => value[key] !== undefined && value[key] !== null)
      .map(
        ([key, inner]) =>
          () =>
            faultIn(value[key], inner, `${path}.${key}`),
      ),
  );
}

function first(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const fault = check();
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The value as a pod, or where it is not one. What injection does not read is not looked at: the API server does that. */
export function readPod(value: unknown): { readonly pod: Pod } | { readonly fault: string } {
  const fault = faultIn(value, pod, 'pod');
  return fault === undefined ? { pod: value as Pod } : { fault };
}
