import { checkRule, operationsOf } from './access.ts';
import type { CompiledAccessRule } from './access.ts';
import type { CallerBits } from './caller-table.ts';
import { defaultCertainty } from './certainty.ts';
import { compile } from './compile.ts';
import type { Compiled, CompileOptions } from './compile.ts';
import { expandDetector } from './detector-names.ts';
import { defaultTerms } from './detector-terms.ts';
import type { Action, Policy, Profile } from './policy.ts';
import type { ScanEntry } from './scan-rules.ts';
import type { EffectiveValue } from './settings.ts';
import type { AccessDecision, AccessRequest, PolicyNotice, ResponsePlanLimits, RuleId } from './snapshot.ts';
import { describeSubject } from './subjects.ts';

/** What a caller's request would meet, rule by rule, in policy order. */
export interface Explanation {
  /** As in {@link import('./snapshot.ts').Snapshot.generation}. */
  readonly generation: string;
  readonly enforcing: boolean;
  readonly decision: AccessDecision;
  readonly access: readonly ExplainedAccessRule[];
  readonly guards: readonly ExplainedGuard[];
  readonly classification: readonly ExplainedLabel[];
  readonly tokenPrompts: 'allowed' | 'refused';
  readonly responseLimits: ResponsePlanLimits;
  /** Values that hold for the whole pod, each with whose it is. */
  readonly effective: readonly EffectiveValue[];
  readonly notices: readonly PolicyNotice[];
}

export interface ExplainedAccessRule {
  readonly rule: RuleId;
  readonly effect: 'Allow' | 'Deny';
  readonly enforced: boolean;
  readonly matched: boolean;
  /** Why, or why not. */
  readonly why: string;
}

export interface ExplainedGuard {
  readonly rule: RuleId;
  readonly on: 'Request' | 'Response';
  readonly action: Action;
  readonly enforced: boolean;
  readonly applies: boolean;
  readonly looksFor: readonly string[];
}

export interface ExplainedLabel {
  readonly rule: RuleId;
  readonly label: string;
  readonly enforced: boolean;
  /** What this caller meets where it is found. */
  readonly outcome: 'visible' | 'masked' | 'blocked' | 'held';
  /** What becomes of this caller's request where it is found in that. */
  readonly inRequests: 'passed' | 'masked' | 'blocked' | 'held';
  readonly replacement: string;
  readonly policies: readonly string[];
  readonly looksFor: readonly string[];
}

function whyNot(
  rule: CompiledAccessRule,
  failed: 'subjects' | 'scopes' | 'operations' | 'models',
  request: AccessRequest,
): string {
  const { spec } = rule;
  switch (failed) {
    case 'subjects':
      return `the caller is none of: ${spec.subjects.map(describeSubject).join(', ') || 'nobody'}`;
    case 'scopes':
      return `the caller lacks one of the scopes: ${spec.scopes.join(', ')}`;
    case 'operations':
      return spec.operations.length === 0
        ? `${request.operation} must be named in operations`
        : `${request.operation} is not one of: ${[...operationsOf(spec)].join(', ')}`;
    case 'models':
      return request.model === undefined
        ? `the request names no model, and the rule speaks of: ${spec.models.join(', ')}`
        : `${request.model} is none of: ${spec.models.join(', ')}`;
    default:
      return 'it does not match';
  }
}

function explainAccess(compiled: Compiled, request: AccessRequest): readonly ExplainedAccessRule[] {
  const bits = compiled.bits(request.caller);
  return compiled.access.flatMap((policy) =>
    policy.rules.map((rule) => {
      const result = checkRule(rule, bits, request.operation, request.model);
      return {
        rule: rule.id,
        effect: rule.spec.effect,
        enforced: policy.entry.enforces,
        matched: result === 'matched',
        why: result === 'matched' ? 'caller, operation and model match' : whyNot(rule, result, request),
      };
    }),
  );
}

/** Each detector, with what its rule says of it. */
function detectorWords({ match, terms = {} }: ScanEntry['rule']): readonly string[] {
  return match.detectors.flatMap((detector) => {
    const members = expandDetector(detector) ?? [];
    const said = members.map((name) => {
      const { from, allow } = terms[name] ?? defaultTerms;
      const allowed = allow.map(({ sets, values }) =>
        [...sets, ...values.map((value) => JSON.stringify(value))].join(', '),
      );
      return [
        ...(from === defaultCertainty ? [] : [`from ${from} on`]),
        ...(allow.length === 0 ? [] : [`but for ${allowed.join(' that are also ')}`]),
      ].join(', ');
    });
    const one = said.every((words) => words === said[0]) ? said[0] : undefined;
    if (one !== undefined) return [one === '' ? detector : `${detector} ${one}`];
    return members.map((name, at) => (said[at] === '' ? name : `${name} ${said[at] ?? ''}`));
  });
}

function looksFor({ rule }: ScanEntry): readonly string[] {
  return [
    ...detectorWords(rule),
    ...rule.match.patterns.map(({ pattern }) => `pattern ${pattern}`),
    ...rule.match.words.map((word) => `word ${word}`),
    ...rule.fields.map((field) => `field ${field}`),
    ...(rule.match.minBytes === undefined ? [] : [`bodies of ${rule.match.minBytes} bytes or more`]),
  ];
}

const outcomes = { Block: 'blocked', Mask: 'masked', RequireApproval: 'held', Flag: 'visible' } as const;

function inRequests({ rule, applies }: ScanEntry, bits: CallerBits): ExplainedLabel['inRequests'] {
  const action = applies(bits) ? rule.inRequests : undefined;
  return action === undefined || action === 'Flag' ? 'passed' : outcomes[action];
}

function describeReplacement({ rule }: ScanEntry): string {
  switch (rule.replacement.style) {
    case 'Label':
      return `[${rule.label}]`;
    case 'Partial':
      return `**** and the last ${rule.replacement.keep} letters and digits, of values with more of them`;
    case 'Hash':
      return `[${rule.label}:keyed hash]`;
    case 'Constant':
      return rule.replacement.text;
    default:
      return `[${rule.label}]`;
  }
}

/** The policies as they would be with another profile. */
export function withProfile(policies: readonly Policy[], profile: Profile | undefined): readonly Policy[] {
  if (profile === undefined) return policies;
  return policies.map((policy) => ({ ...policy, spec: { ...policy.spec, profile } }));
}

/**
 * Decides a request as the snapshot would and says why, rule by rule.
 *
 * @throws PolicyError as compileSnapshot does.
 */
export function explain(policies: readonly Policy[], request: AccessRequest, options: CompileOptions): Explanation {
  const compiled = compile(policies, options);
  const { snapshot, settings, scan } = compiled;
  const bits = compiled.bits(request.caller);
  const decision = snapshot.access(request);
  const tokenInput = decision.kind === 'allow' && decision.rules.some((rule) => rule.tokenInput);
  return {
    generation: snapshot.generation,
    enforcing: snapshot.enforcing,
    decision,
    access: explainAccess(compiled, request),
    guards: scan
      .filter((entry) => entry.kind === 'guard')
      .map((entry) => ({
        rule: entry.rule.id,
        on: entry.rule.on,
        action: entry.rule.action,
        enforced: entry.rule.enforce,
        applies: entry.applies(bits),
        looksFor: looksFor(entry),
      })),
    classification: scan
      .filter((entry) => entry.kind === 'label')
      .map((entry) => ({
        rule: entry.rule.id,
        label: entry.rule.label,
        enforced: entry.rule.enforce,
        outcome: entry.applies(bits) ? outcomes[entry.rule.action] : 'visible',
        inRequests: inRequests(entry, bits),
        replacement: describeReplacement(entry),
        policies: entry.policies,
        looksFor: looksFor(entry),
      })),
    tokenPrompts: tokenInput || !snapshot.requestPlan(request.caller).inspects ? 'allowed' : 'refused',
    responseLimits: snapshot.responsePlan(request.caller).limits,
    effective: settings.effective,
    notices: snapshot.notices,
  };
}
