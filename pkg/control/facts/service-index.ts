import type { Cache, Change } from '../../kube/index.ts';
import type { PodFact } from './pod-fact.ts';
import { mostServices, servingNamesOf } from './service-fact.ts';
import type { ServiceFact } from './service-fact.ts';

/** The Services that select a pod. One object for all pods that the same Services select, until one of these changes. */
export interface Selecting {
  readonly count: number;
  /** Whether the Service of this name is among them. */
  has(name: string): boolean;
  /** As {@link servingNamesOf} says. */
  names(): readonly string[];
  /** Names of the Services that lead to this port by its number. */
  leadingTo(port: number): readonly string[];
}

/**
 * Which Services select a pod, without asking each of them: who may write Services may have thousands, and every change of one, every
 * pod and every policy's status asks. Services with one selector are one group; a group is found by one of its labels, the one by which
 * the fewest others are.
 */
export interface ServiceIndex {
  of(pod: PodFact): Selecting;
  /** To be called with each change of the copy, in any order with {@link of}. @returns whether a pod may be selected by others now */
  changed(change: Pick<Change<ServiceFact>, 'before' | 'after'>): boolean;
}

interface Group {
  readonly id: number;
  readonly labels: readonly (readonly [string, string])[];
  /** The label by which it is found. */
  readonly at: string;
  /** Ascending by name. */
  readonly services: ServiceFact[];
}

interface Space {
  /** By selector. */
  readonly groups: Map<string, Group>;
  readonly byLabel: Map<string, Group[]>;
  /** What was answered since the last change; by ids of groups. */
  answers: Map<string, Selecting>;
  ofPods: WeakMap<PodFact, Selecting>;
}

const labelsOf = ({ selector }: ServiceFact): Group['labels'] =>
  Object.entries(selector).sort(([a], [b]) => (a < b ? -1 : 1));
const sameSelector = (a: ServiceFact, b: ServiceFact): boolean =>
  JSON.stringify(labelsOf(a)) === JSON.stringify(labelsOf(b));
const samePorts = (a: ServiceFact, b: ServiceFact): boolean => a.numericTargets.join() === b.numericTargets.join();

export function createServiceIndex(
  cache: Pick<Cache<ServiceFact>, 'by'>,
  namespaceIndex: string,
  clusterDomain: string,
): ServiceIndex {
  const spaces = new Map<string, Space>();
  let ids = 0;

  const put = (space: Space, service: ServiceFact): void => {
    const labels = labelsOf(service);
    // As Kubernetes does: a Service without selector selects nothing.
    if (labels.length === 0) return;
    const text = JSON.stringify(labels);
    let group = space.groups.get(text);
    if (group === undefined) {
      const size = (label: string): number => space.byLabel.get(label)?.length ?? 0;
      const [at = ''] = labels.map(([key, value]) => `${key}=${value}`).sort((a, b) => size(a) - size(b));
      group = { id: ids++, labels, at, services: [] };
      space.groups.set(text, group);
      space.byLabel.set(at, [...(space.byLabel.get(at) ?? []), group]);
    }
    const { services } = group;
    const place = placeOf(services, service.name);
    services.splice(place, services[place]?.name === service.name ? 1 : 0, service);
  };
  const remove = (space: Space, service: ServiceFact): void => {
    const text = JSON.stringify(labelsOf(service));
    const group = space.groups.get(text);
    if (group === undefined) return;
    const place = placeOf(group.services, service.name);
    if (group.services[place]?.name === service.name) group.services.splice(place, 1);
    if (group.services.length > 0) return;
    space.groups.delete(text);
    const left = (space.byLabel.get(group.at) ?? []).filter((one) => one !== group);
    if (left.length > 0) space.byLabel.set(group.at, left);
    else space.byLabel.delete(group.at);
  };
  const spaceOf = (namespace: string): Space => {
    const known = spaces.get(namespace);
    if (known !== undefined) return known;
    const space: Space = { groups: new Map(), byLabel: new Map(), answers: new Map(), ofPods: new WeakMap() };
    spaces.set(namespace, space);
    for (const service of cache.by(namespaceIndex, namespace)) put(space, service);
    return space;
  };
  const selecting = (groups: readonly Group[]): Selecting => {
    let names: readonly string[] | undefined;
    const byPort = new Map<number, readonly string[]>();
    return {
      count: groups.reduce((sum, { services }) => sum + services.length, 0),
      has: (name) => groups.some(({ services }) => services[placeOf(services, name)]?.name === name),
      // The first of all are among the first of each.
      names: () =>
        (names ??= servingNamesOf(
          groups.flatMap(({ services }) => services.slice(0, mostServices)),
          clusterDomain,
        )),
      leadingTo(port) {
        const known =
          byPort.get(port) ??
          groups.flatMap(({ services }) =>
            services.filter(({ numericTargets }) => numericTargets.includes(port)).map(({ name }) => name),
          );
        byPort.set(port, known);
        return known;
      },
    };
  };

  return {
    of(pod) {
      const space = spaceOf(pod.namespace);
      const known = space.ofPods.get(pod);
      if (known !== undefined) return known;
      const groups = Object.entries(pod.labels)
        .flatMap(([key, value]) => space.byLabel.get(`${key}=${value}`) ?? [])
        .filter(({ labels }) =>
          labels.every(([key, value]) => Object.hasOwn(pod.labels, key) && pod.labels[key] === value),
        )
        .sort((a, b) => a.id - b.id);
      const key = groups.map(({ id }) => id).join();
      const answer = space.answers.get(key) ?? selecting(groups);
      space.answers.set(key, answer);
      space.ofPods.set(pod, answer);
      return answer;
    },
    changed({ before, after }) {
      const either = after ?? before;
      if (either === undefined) return false;
      const selects = [before, after].some((one) => one !== undefined && Object.keys(one.selector).length > 0);
      const same = before !== undefined && after !== undefined && sameSelector(before, after);
      if (!selects || (same && samePorts(before, after))) return false;
      const space = spaces.get(either.namespace);
      if (space !== undefined) {
        if (before !== undefined && !same) remove(space, before);
        if (after !== undefined) put(space, after);
        space.answers = new Map();
        space.ofPods = new WeakMap();
      }
      return true;
    },
  };
}

/** Where it stands among these, ascending by name, or would. */
function placeOf(services: readonly ServiceFact[], name: string): number {
  let [from, to] = [0, services.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((services[middle]?.name ?? '') < name) from = middle + 1;
    else to = middle;
  }
  return from;
}
