import type { Identity, ProviderId } from './identity.ts';
import type { SubjectSpec } from './policy.ts';
import type { ProviderScope } from './providers.ts';

/** Decides from a caller alone; undefined: nobody was proven. */
export type CallerTest = (caller: Identity | undefined) => boolean;

export const everyCaller: CallerTest = () => true;
export const noCaller: CallerTest = () => false;

const noProviders: ReadonlySet<ProviderId> = new Set();

/** Providers whose callers a subject can mean, for a rule that gives (`permit`) or takes (`restrict`). */
export function subjectProviders(
  subject: SubjectSpec,
  scope: ProviderScope,
  use: 'permit' | 'restrict',
): ReadonlySet<ProviderId> {
  const sets = subject.provider === undefined ? scope.own : scope.named(subject.provider);
  return sets?.[use] ?? noProviders;
}

/** Whether a subject says who is meant at all: `{ provider: corp }` alone does not, and matches nobody. */
function saysWho(subject: SubjectSpec): boolean {
  return (
    subject.anyone ||
    subject.authenticated ||
    subject.group !== undefined ||
    subject.subject !== undefined ||
    subject.scope !== undefined
  );
}

/** `anyone` by itself: everybody, proven or not. */
export function isAnyone(subject: SubjectSpec): boolean {
  return (
    subject.anyone &&
    subject.provider === undefined &&
    subject.group === undefined &&
    subject.subject === undefined &&
    subject.scope === undefined
  );
}

function subjectTest(subject: SubjectSpec, scope: ProviderScope, use: 'permit' | 'restrict'): CallerTest {
  if (isAnyone(subject)) return everyCaller;
  if (!saysWho(subject)) return noCaller;
  const providers = subjectProviders(subject, scope, use);
  const { group, subject: name, scope: tokenScope } = subject;
  return (caller) =>
    caller !== undefined &&
    providers.has(caller.provider) &&
    (group === undefined || caller.groups.includes(group)) &&
    (name === undefined || caller.subject === name) &&
    (tokenScope === undefined || caller.scopes.includes(tokenScope));
}

/** Whether any of the subjects is the caller. No subjects: nobody. */
export function subjectsTest(
  subjects: readonly SubjectSpec[],
  scope: ProviderScope,
  use: 'permit' | 'restrict',
): CallerTest {
  const tests = subjects.map((subject) => subjectTest(subject, scope, use));
  return (caller) => tests.some((test) => test(caller));
}

/** Whether the caller's token carries all scopes, and comes from a provider of the policy: a scope minted elsewhere says nothing here. */
export function scopesTest(
  scopes: readonly string[],
  subjects: readonly SubjectSpec[],
  scope: ProviderScope,
  use: 'permit' | 'restrict',
): CallerTest {
  if (scopes.length === 0) return everyCaller;
  const providers = new Set(scope.own[use]);
  for (const subject of subjects) for (const id of subjectProviders(subject, scope, use)) providers.add(id);
  return (caller) =>
    caller !== undefined && providers.has(caller.provider) && scopes.every((wanted) => caller.scopes.includes(wanted));
}

/** In words, for explanations. */
export function describeSubject(subject: SubjectSpec): string {
  const parts = [
    ...(subject.anyone ? ['anyone'] : []),
    ...(subject.authenticated ? ['authenticated'] : []),
    ...(subject.group === undefined ? [] : [`group ${subject.group}`]),
    ...(subject.subject === undefined ? [] : [`subject ${subject.subject}`]),
    ...(subject.scope === undefined ? [] : [`scope ${subject.scope}`]),
    ...(subject.provider === undefined ? [] : [`of provider ${subject.provider}`]),
  ];
  return parts.length === 0 ? 'nobody' : parts.join(' ');
}
