/**
 * exec, attach, port-forward and the proxy verbs, which would pass the sidecar or look into it. The request holds only a name:
 * the pod is looked up, and what cannot be looked up is refused. Debug containers, which an admission policy refuses, are the
 * break-glass group's alone, and recorded here with the rest of what it does.
 */
import { inferenceLabel } from '../contract/index.ts';
import { describeError } from '../base/index.ts';
import type { Logger } from '../base/index.ts';
import { connectVerbs } from './metrics.ts';
import type { AdmissionMetrics, BreakGlassVerb } from './metrics.ts';
import { unexpected } from './mutate.ts';
import type { ClusterLookup, EventSink } from './ports.ts';
import { fieldsOf, refusal } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

export interface ConnectOptions {
  /** Empty: there is no break-glass group. */
  readonly breakGlassGroup: string;
  readonly lookup: ClusterLookup;
  readonly events: EventSink;
  readonly metrics: AdmissionMetrics;
  readonly logger: Logger;
}

interface Target {
  readonly kind: 'pods' | 'services';
  readonly verb: (typeof connectVerbs)[number];
  readonly name: string;
}

/** `name`, `name:port` and `scheme:name:port`: how the proxy verbs write their target. */
export function targetName(written: string): string | undefined {
  const parts = written.split(':');
  const name = parts.length === 3 ? parts[1] : parts.length <= 2 ? parts[0] : undefined;
  return name === undefined || name === '' ? undefined : name;
}

function targetOf({ group, resource, subResource, operation, name }: AdmissionRequest): Target | undefined {
  const verb = connectVerbs.find((one) => one === subResource);
  if (group !== '' || operation !== 'CONNECT' || verb === undefined) return undefined;
  if (resource !== 'pods' && (resource !== 'services' || verb !== 'proxy')) return undefined;
  const target = verb === 'proxy' ? targetName(name) : name;
  return target === undefined || target === '' ? undefined : { kind: resource, verb, name: target };
}

const matches = (selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

const instead: Readonly<Record<Target['verb'], string>> = {
  exec: "ask for what you need through the model's own API; kubectl logs and kubectl describe still work",
  attach: 'use kubectl logs',
  portforward: 'call the model through its Service, with the authority that kubectl sidegate ca prints',
  proxy: 'call the model through its Service, with the authority that kubectl sidegate ca prints',
};

export function createConnect(options: ConnectOptions): (request: AdmissionRequest) => Promise<Verdict> {
  const { breakGlassGroup, lookup, metrics, logger } = options;
  const inGroup = (request: AdmissionRequest): boolean =>
    breakGlassGroup !== '' && request.groups.includes(breakGlassGroup);
  const emergency =
    breakGlassGroup === ''
      ? 'this cluster has no break-glass group (breakGlassGroup of the chart)'
      : `in an emergency, as a member of group ${breakGlassGroup}; it is recorded`;

  /** Undefined: it leads to no governed pod. */
  const governedBy = async (request: AdmissionRequest, { kind, name }: Target): Promise<string | undefined> => {
    const { namespace } = request;
    if (kind === 'pods') {
      const pod = await lookup.pod(namespace, name);
      if (pod === undefined) return `pod ${name} cannot be found`;
      return pod.governed ? `pod ${name} is governed` : undefined;
    }
    const service = await lookup.service(namespace, name);
    if (service === undefined) return `service ${name} cannot be found`;
    // Its endpoints are whatever somebody writes: they may be governed pods at the next moment.
    if (Object.keys(service.selector).length === 0)
      return `service ${name} has no selector, so that it may lead to governed pods`;
    const pods = await lookup.governedPods(namespace);
    return pods.some((labels) => matches(service.selector, labels))
      ? `service ${name} leads to governed pods`
      : undefined;
  };

  return async (request) => {
    const target = targetOf(request);
    if (target === undefined) {
      metrics.failed('unexpected');
      return unexpected(request);
    }
    if (inGroup(request)) return passBreakGlass(options, request, target);
    let why: string | undefined;
    try {
      why = await governedBy(request, target);
    } catch (error) {
      metrics.failed('lookup');
      logger.error('a lookup failed', { resource: target.kind, verb: target.verb, error: describeError(error) });
      return refusal(
        `[lookup] whether ${target.kind} ${target.name} is governed could not be found out; fix: try again`,
        {
          status: 503,
        },
      );
    }
    if (why === undefined) return { allowed: true };
    return refusal(
      `[${target.verb}] ${why} (${inferenceLabel}), and ${target.verb} would pass the sidecar; fix: ${instead[target.verb]}, or, ${emergency}`,
    );
  };
}

interface Used {
  readonly kind: Target['kind'];
  readonly verb: BreakGlassVerb;
  readonly name: string;
}

function passBreakGlass(options: ConnectOptions, request: AdmissionRequest, target: Used): Verdict {
  const { metrics, logger, events } = options;
  const { user, namespace, dryRun } = request;
  // Of a dry run nothing comes: whoever reads the log is told of what was done.
  if (!dryRun) {
    metrics.breakGlass(target.verb);
    logger.warn('break-glass', {
      user: user.slice(0, 256),
      verb: target.verb,
      resource: target.kind,
      namespace,
      name: target.name,
    });
    events(
      {
        apiVersion: 'v1',
        kind: target.kind === 'pods' ? 'Pod' : 'Service',
        name: target.name,
        namespace,
        uid: undefined,
      },
      // The verb is part of the reason, so that one of each is written, and not only the first.
      {
        reason: `BreakGlass${target.verb.charAt(0).toUpperCase()}${target.verb.slice(1)}`,
        action: 'Connect',
        by: user,
        note: `${user.slice(0, 256)} used ${target.verb} past the sidecar as a member of group ${options.breakGlassGroup}`,
      },
    );
  }
  return { allowed: true, audit: { 'break-glass': `${target.verb} ${target.kind}/${target.name}` } };
}

const isDebug = ({ group, resource, subResource, operation }: AdmissionRequest): boolean =>
  group === '' && resource === 'pods' && subResource === 'ephemeralcontainers' && operation === 'UPDATE';
const isLabelled = (object: unknown): boolean =>
  fieldsOf(fieldsOf(fieldsOf(object)['metadata'])['labels'])[inferenceLabel] !== undefined;

/** For requests that the configuration lets through as the break-glass group's; it does not refuse, and records what is true. */
export function createBreakGlass(options: ConnectOptions): (request: AdmissionRequest) => Promise<Verdict> {
  return (request) => {
    const debug = isDebug(request);
    // In governed namespaces are other pods too.
    if (debug && !isLabelled(request.object) && !isLabelled(request.oldObject))
      return Promise.resolve({ allowed: true });
    const target: Used | undefined = debug ? { kind: 'pods', verb: 'debug', name: request.name } : targetOf(request);
    const member = options.breakGlassGroup !== '' && request.groups.includes(options.breakGlassGroup);
    if (target === undefined || !member) {
      options.metrics.failed('unexpected');
      return Promise.resolve(unexpected(request));
    }
    return Promise.resolve(passBreakGlass(options, request, target));
  };
}
