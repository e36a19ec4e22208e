import { cut, cutText, mostOfText } from '../bounds.ts';
import type { Hold, HoldTerms } from './port.ts';
import { cutTag, policyOf } from './retention-rules.ts';

/** What of a session holds go by. What is not known yet, or no more, may be anything: a hold that could concern it keeps it. */
export interface HeldFacts {
  /** 32 hex digits. */
  readonly session: string;
  readonly namespace: string;
  readonly pod: string;
  /** Epoch milliseconds: of its start, within what the recorder saw; what its sidecar said, where that is not believed; when its block came. */
  readonly at: number;
  readonly said: number | null;
  readonly received: number;
  /** Undefined: its start is not here. */
  readonly start:
    { readonly user: string | null; readonly model: string | null; readonly groups: readonly string[] } | undefined;
  /** Of its end; undefined: it has not ended, or its end never came. */
  readonly tags: readonly string[] | undefined;
}

/** Which of the holds that stand a session goes with. */
export interface HoldMatcher {
  readonly none: boolean;
  /** Changes with every hold that is placed or released. */
  readonly version: string;
  /** Their numbers. */
  matching(facts: HeldFacts): readonly number[];
  some(facts: HeldFacts): boolean;
}

/** Of a set of holds. Numbers are never given twice, so that another set has others in it, and is smaller or has a higher number. */
export const versionOf = (count: number, last: number): string => `${count}.${last}`;

/** What acted in a session, or would have, were its policy not in Observe mode: each looked up once, however many holds there are. */
interface Acted {
  /** `rule:NAME`, `observed:NAME`. */
  readonly rules: ReadonlySet<string>;
  /** How these begin up to the name of the rule in its policy. */
  readonly policies: ReadonlySet<string>;
  /** The last parts of their names; undefined: one was cut, of which it may have been any. */
  readonly labels: ReadonlySet<string> | undefined;
}

const kinds = ['rule', 'observed'] as const;
const beginning = /^(?:rule|observed):(?:cluster\/)?[^/]*\/?/;

/** @returns undefined: it is not known, or not all of it */
function readTags(tags: readonly string[] | undefined): Acted | undefined {
  if (tags === undefined || tags.includes(cutTag)) return undefined;
  const rules = tags.filter((tag) => beginning.test(tag));
  const labels = rules.map((tag) => (tag.length < mostOfText ? tag.slice(tag.lastIndexOf('/') + 1) : undefined));
  return {
    rules: new Set(rules),
    policies: new Set(rules.map((tag) => beginning.exec(tag)?.[0] ?? '')),
    labels: labels.includes(undefined) ? undefined : new Set(labels.filter((label) => label !== undefined)),
  };
}

/** @param acted Undefined: it may be anything. */
type Test = (facts: HeldFacts, acted: Acted | undefined) => boolean;

function testOf(terms: HoldTerms): Test {
  const tests: Test[] = [];
  const { session, namespace, pod, user, model, group, since, until, policy, rule, label } = terms;
  if (session !== undefined) tests.push((facts) => facts.session === session);
  if (namespace !== undefined) tests.push((facts) => facts.namespace === cut(namespace));
  if (pod !== undefined) tests.push((facts) => facts.pod === cut(pod));
  if (user !== undefined) tests.push(({ start }) => start === undefined || start.user === cut(user));
  if (model !== undefined)
    tests.push(({ start }) => start === undefined || start.model === cut(model) || start.model === cutText);
  if (group !== undefined)
    tests.push(
      ({ start }) => start === undefined || start.groups.includes(cut(group)) || start.groups.includes(cutText),
    );
  // By its time, or by when its block came, whichever keeps it.
  if (since !== undefined) tests.push(({ at, received }) => at >= since || received >= since);
  if (until !== undefined)
    tests.push(({ at, received, said }) => at < until || received < until || (said !== null && said < until));
  const ofRules = (names: string, of: 'rules' | 'policies'): void => {
    // As tags are.
    const wanted = kinds.map((kind) => cut(`${kind}:${names}`));
    tests.push((_, acted) => acted === undefined || wanted.some((one) => acted[of].has(one)));
  };
  if (policy !== undefined) {
    const { owner, rules } = policyOf(policy);
    if (owner !== undefined) tests.push((facts) => facts.namespace === cut(owner));
    ofRules(rules, 'policies');
  }
  if (rule !== undefined) ofRules(rule, 'rules');
  if (label !== undefined) tests.push((_, acted) => acted?.labels === undefined || acted.labels.has(cut(label)));
  return (facts, acted) => tests.every((test) => test(facts, acted));
}

/** What of a hold is always known of a session: by that it is looked up. */
const keyOf = ({ session, pod, namespace, policy }: HoldTerms): string => {
  if (session !== undefined) return `session ${session}`;
  if (pod !== undefined) return `pod ${cut(pod)}`;
  if (namespace !== undefined) return `namespace ${cut(namespace)}`;
  const owner = policy === undefined ? undefined : policyOf(policy).owner;
  return owner === undefined ? '' : `namespace ${cut(owner)}`;
};

export function createHoldMatcher(holds: readonly Pick<Hold, 'id' | 'terms'>[]): HoldMatcher {
  const byKey = new Map<string, { readonly id: number; readonly test: Test }[]>();
  for (const { id, terms } of holds) {
    const key = keyOf(terms);
    const list = byKey.get(key) ?? [];
    byKey.set(key, list);
    list.push({ id, test: testOf(terms) });
  }
  function* matching(facts: HeldFacts): Iterable<number> {
    const acted = readTags(facts.tags);
    for (const key of [`session ${facts.session}`, `pod ${facts.pod}`, `namespace ${facts.namespace}`, ''])
      for (const { id, test } of byKey.get(key) ?? []) if (test(facts, acted)) yield id;
  }
  return {
    none: holds.length === 0,
    version: versionOf(
      holds.length,
      holds.reduce((last, { id }) => Math.max(last, id), 0),
    ),
    matching: (facts) => [...matching(facts)],
    some(facts) {
      for (const _ of matching(facts)) return true;
      return false;
    },
  };
}
