import { expandDetector } from './detector-names.ts';
import { operationsOf } from './access.ts';
import { compileGlob, globCovers } from './glob.ts';
import type { PolicyEntry } from './order.ts';
import type { AccessRule, MatchSpec, SubjectSpec } from './policy.ts';
import type { ProviderScope } from './providers.ts';
import type { PolicyNotice } from './snapshot.ts';
import { describeSubject, isAnyone, subjectProviders } from './subjects.ts';

/**
 * Rules that cannot do what they seem to say. A rule that never fires looks like protection and is none, so each is named
 * in a notice. It finds what can be known from the policies alone, and nothing that depends on who calls.
 */

interface SubjectList {
  readonly field: string;
  readonly subjects: readonly SubjectSpec[];
  readonly use: 'permit' | 'restrict';
}

function subjectLists(entry: PolicyEntry): readonly SubjectList[] {
  const { access, guards, classification, responseLimits } = entry.policy.spec;
  return [
    ...access.map((rule): SubjectList => ({
      field: `access[${rule.name}].subjects`,
      subjects: rule.subjects,
      use: rule.effect === 'Allow' ? 'permit' : 'restrict',
    })),
    ...guards.map((rule): SubjectList => ({
      field: `guards[${rule.name}].subjects`,
      subjects: rule.subjects,
      use: 'restrict',
    })),
    ...classification.map((rule): SubjectList => ({
      field: `classification[${rule.label}].visibleTo`,
      subjects: rule.visibleTo,
      use: 'permit',
    })),
    ...responseLimits.map((limit, at): SubjectList => ({
      field: `responseLimits[${at}].subjects`,
      subjects: limit.subjects,
      use: 'restrict',
    })),
  ];
}

function deadSubject(subject: SubjectSpec, scope: ProviderScope, use: 'permit' | 'restrict'): string | undefined {
  if (isAnyone(subject)) return undefined;
  const said = describeSubject(subject);
  if (subject.provider !== undefined && scope.named(subject.provider) === undefined) {
    return `"${said}" never matches: there is no provider ${subject.provider}`;
  }
  if (subjectProviders(subject, scope, use).size > 0) return undefined;
  return subject.provider === undefined
    ? `"${said}" never matches: no provider of this policy stays. Declare one under identity.providers, or write provider: cluster/POLICY/NAME`
    : `"${said}" never matches: provider ${subject.provider} was dropped for another with the same issuer and audience`;
}

function subjectNotices(entry: PolicyEntry, scope: ProviderScope): PolicyNotice[] {
  return subjectLists(entry).flatMap(({ field, subjects, use }) =>
    subjects.flatMap((subject) => {
      const message = deadSubject(subject, scope, use);
      return message === undefined ? [] : [{ policy: entry.label, field, message }];
    }),
  );
}

function isEmpty(match: MatchSpec): boolean {
  const texts = match.detectors.length + match.patterns.length + match.words.length;
  return texts === 0 && match.minBytes === undefined;
}

/** Exceptions for detectors that the rule does not have. */
function exceptionNotices(
  entry: PolicyEntry,
  field: string,
  { detectors, certaintyOf = [] }: MatchSpec,
): PolicyNotice[] {
  const has = new Set(detectors.flatMap((name) => expandDetector(name) ?? []));
  return certaintyOf
    .filter(({ detector }) => !(expandDetector(detector) ?? []).some((name) => has.has(name)))
    .map(({ detector }) => ({
      policy: entry.label,
      field: `${field}.certaintyOf`,
      message: `${detector} is none of its detectors: what is said of it changes nothing`,
    }));
}

function matchNotices(entry: PolicyEntry): PolicyNotice[] {
  const { guards, classification } = entry.policy.spec;
  const never = 'never finds anything: give it detectors, patterns or words';
  return [
    ...guards.flatMap(({ name, match }) => exceptionNotices(entry, `guards[${name}].match`, match)),
    ...classification.flatMap(({ label, match }) => exceptionNotices(entry, `classification[${label}]`, match)),
    ...guards
      .filter((guard) => isEmpty(guard.match))
      .map((guard) => ({ policy: entry.label, field: `guards[${guard.name}].match`, message: never })),
    ...classification
      .filter((rule) => isEmpty(rule.match) && rule.fields.length === 0)
      .map((rule) => ({ policy: entry.label, field: `classification[${rule.label}]`, message: `${never}, or fields` })),
    ...classification
      .filter((rule) => rule.inRequests !== undefined && isEmpty(rule.match) && rule.fields.length > 0)
      .map((rule) => ({
        policy: entry.label,
        field: `classification[${rule.label}].inRequests`,
        message: 'in requests, fields are looked for in arguments of tools alone: give it detectors, patterns or words',
      })),
  ];
}

/** Whether a Deny catches every caller and every operation of an Allow, apart from models. */
function deniesAllCallersOf(deny: AccessRule, allow: AccessRule): boolean {
  if (deny.scopes.length > 0 || !(deny.subjects.length === 0 || deny.subjects.some(isAnyone))) return false;
  const denied = operationsOf(deny);
  return [...operationsOf(allow)].every((operation) => denied.has(operation));
}

function shadowNotices(
  entry: PolicyEntry,
  allow: AccessRule,
  denies: readonly { id: string; rule: AccessRule }[],
): PolicyNotice[] {
  const catching = denies.filter(({ rule }) => deniesAllCallersOf(rule, allow));
  const whole = catching.find(
    ({ rule }) => rule.models.length === 0 || rule.models.some((glob) => compileGlob(glob).all),
  );
  if (whole !== undefined) {
    return [
      {
        policy: entry.label,
        field: `access[${allow.name}]`,
        message: `never allows anything: ${whole.id} denies all of it to everybody`,
      },
    ];
  }
  return allow.models.flatMap((model, at) => {
    const inner = compileGlob(model);
    const by = catching.find(({ rule }) => rule.models.some((glob) => globCovers(compileGlob(glob), inner)));
    if (by === undefined) return [];
    const message = `"${model}" is never allowed: ${by.id} denies it to everybody`;
    return [{ policy: entry.label, field: `access[${allow.name}].models[${at}]`, message }];
  });
}

function accessNotices(entries: readonly PolicyEntry[]): PolicyNotice[] {
  const denies = entries
    .filter((entry) => entry.enforces)
    .flatMap((entry) =>
      entry.policy.spec.access
        .filter((rule) => rule.effect === 'Deny')
        .map((rule) => ({ id: `${entry.label}/${rule.name}`, rule })),
    );
  return entries.flatMap((entry) => {
    const allows = entry.policy.spec.access.filter((rule) => rule.effect === 'Allow');
    const closed =
      entry.cluster && entry.policy.spec.access.length > 0 && allows.length === 0
        ? [
            {
              policy: entry.label,
              field: 'access',
              message:
                'has no Allow and so allows nothing, whatever other policies say: add an Allow for what namespaces may open',
            },
          ]
        : [];
    return [...closed, ...allows.flatMap((allow) => shadowNotices(entry, allow, denies))];
  });
}

function defaultNotices(entries: readonly PolicyEntry[]): PolicyNotice[] {
  const enforcing = entries.filter((entry) => entry.enforces);
  const [first] = enforcing;
  if (
    first === undefined ||
    enforcing.some((entry) => entry.policy.spec.access.some((rule) => rule.effect === 'Allow'))
  )
    return [];
  return [
    { policy: first.label, field: 'access', message: 'no enforcing policy has an Allow rule, so everything is denied' },
  ];
}

/** The longest of one limit and the shortest of another hold together for whom both select; within one limit the schema refuses it. */
function limitNotices(entries: readonly PolicyEntry[]): PolicyNotice[] {
  const limits = entries.flatMap(({ policy: { spec }, label }) =>
    spec.responseLimits.map((limit, at) => ({ ...limit, policy: label, field: `responseLimits[${at}]` })),
  );
  return limits.flatMap(({ minDurationMs: least, policy, field }): PolicyNotice[] => {
    const other = limits.find(({ maxDurationMs: most }) => least !== undefined && most !== undefined && least > most);
    if (other === undefined) return [];
    const message = `is longer than maxDuration of ${other.field} in ${other.policy}: every answer to whom both select is cut`;
    return [{ policy, field: `${field}.minDuration`, message }];
  });
}

/** What may be written and is not carried out yet: whoever relies on it must know. */
function unservedNotices(entry: PolicyEntry): PolicyNotice[] {
  const { analyzers } = entry.policy.spec;
  const notice = (field: string, message: string): PolicyNotice => ({ policy: entry.label, field, message });
  return [
    ...analyzers.map((one) =>
      notice(
        `analyzers[${one.name}]`,
        one.failureMode === 'Deny'
          ? 'cannot be called yet: as its failureMode is Deny, every inference request is refused. Use guards and classification with detectors, patterns or words'
          : 'cannot be called yet: as its failureMode is Allow, nothing is inspected by it, and each request counts as failed open',
      ),
    ),
  ];
}

/** @param entries in policy order. */
export function findInertRules(
  entries: readonly PolicyEntry[],
  scopes: ReadonlyMap<PolicyEntry, ProviderScope>,
): readonly PolicyNotice[] {
  return [
    ...entries.flatMap((entry) => {
      const scope = scopes.get(entry);
      return scope === undefined
        ? []
        : [...subjectNotices(entry, scope), ...matchNotices(entry), ...unservedNotices(entry)];
    }),
    ...limitNotices(entries),
    ...accessNotices(entries),
    ...defaultNotices(entries),
  ];
}
