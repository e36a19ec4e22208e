import { collectDefaultMetrics, Registry } from 'prom-client';
import { Cell, Distribution, Family, registerCells, registerDistributions, registerReadings } from './instruments.ts';
import type { Label } from './instruments.ts';

/** A counter or gauge by up to three labels, in the order in which they were declared. */
export interface Meter {
  /** Adds to a counter (or gauge). Default 1. */
  add(values: readonly string[], amount?: number): void;
  set(values: readonly string[], value: number): void;
}

export interface Timer {
  /** Seconds. */
  observe(values: readonly string[], seconds: number): void;
}

/** Metrics of a process of the control plane, which declares its own; render them with the admin server. */
export interface Meters {
  readonly contentType: string;
  render(): Promise<string>;
  counter(name: string, help: string, labels?: readonly Label[]): Meter;
  gauge(name: string, help: string, labels?: readonly Label[]): Meter;
  /** A gauge that is read when somebody asks. Undefined: it has no value now. */
  reading(name: string, help: string, read: () => number | undefined): void;
  /** The same of several, by one label, whose values are a closed set. */
  readings(name: string, help: string, label: string, read: () => readonly (readonly [value: string, number])[]): void;
  /** A histogram of seconds. */
  timer(name: string, help: string, labels?: readonly Label[]): Timer;
}

const secondsBounds = Float64Array.of(
  ...[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05],
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
);

/** More combinations than that are not begun before they count. */
const mostForeseen = 256;

/**
 * Every combination of label values where all are closed sets; none where they are not. A counter has these series from the start: an
 * alert on its increase would not see a first count that no 0 stands before.
 */
function foreseen(labels: readonly Label[]): readonly (readonly string[])[] {
  let all: readonly (readonly string[])[] = [[]];
  for (const { values } of labels) {
    if ('atMost' in values) return [];
    all = all.flatMap((before) => values.map((value) => [...before, value]));
  }
  return all.length > mostForeseen ? [] : all;
}

function child<Child>(family: Family<Child>, values: readonly string[]): Child {
  const [first = '', second, third] = values;
  if (values.length !== family.labels.length) throw new RangeError(`${family.name} has ${family.labels.length} labels`);
  if (second === undefined) return family.one(first);
  return third === undefined ? family.two(first, second) : family.three(first, second, third);
}

/** @param options `process`: also what prom-client says of the process and of Node; default true */
export function createMeters(options: { readonly process?: boolean } = {}): Meters {
  const registry = new Registry();
  if (options.process ?? true) collectDefaultMetrics({ register: registry });
  const cells = (kind: 'counter' | 'gauge', name: string, help: string, labels: readonly Label[] = []): Meter => {
    const family = new Family(name, help, labels, () => new Cell());
    registerCells(registry, kind, family);
    if (kind === 'counter' || labels.length === 0) for (const values of foreseen(labels)) child(family, values);
    const of = (values: readonly string[]): Cell => (labels.length === 0 ? family.one('') : child(family, values));
    return { add: (values, amount = 1) => of(values).add(amount), set: (values, value) => of(values).set(value) };
  };
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    counter: (name, help, labels) => cells('counter', name, help, labels),
    gauge: (name, help, labels) => cells('gauge', name, help, labels),
    reading: (name, help, read) =>
      registerReadings(registry, { name, help }, () => {
        const value = read();
        return value === undefined ? [] : [{ labels: {}, value }];
      }),
    readings: (name, help, label, read) =>
      registerReadings(registry, { name, help }, () =>
        read().map(([one, value]) => ({ labels: { [label]: one }, value })),
      ),
    timer(name, help, labels = []) {
      const family = new Family(name, help, labels, () => new Distribution(secondsBounds));
      registerDistributions(registry, family);
      const of = (values: readonly string[]): Distribution =>
        labels.length === 0 ? family.one('') : child(family, values);
      return { observe: (values, seconds) => of(values).observe(seconds) };
    },
  };
}
