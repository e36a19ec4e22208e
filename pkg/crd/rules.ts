import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { serviceFaults } from '../core/index.ts';
import { checkConditions } from './check-conditions.ts';
import type { ConditionOptions } from './check-conditions.ts';
import type { DocumentFault, FaultPath } from './fault.ts';
import { parseDuration } from './quantity.ts';
import { certificateClaimMessage, certificateClaims } from './schema/identity.ts';
import { inferencePolicySchema } from './schema.ts';
import type {
  ApproverResource,
  GuardResource,
  PolicyResource,
  PolicySpecResource,
  ResponseLimitResource,
  SelectorResource,
  SubjectResource,
  UpstreamResource,
} from './schema.ts';
import { suggestion } from './shape.ts';
import { grpcServiceOf } from './translate.ts';

/**
 * What the schema cannot say in its own words: conditions over several parts of one policy. All run, so that a person sees
 * everything at once. Those that a CRD can say too stand as `x-kubernetes-validations` at their node of the schema; a test
 * on a real API server proves that both refuse the same.
 */
export type RuleOptions = ConditionOptions;

type Report = (path: FaultPath, message: string) => void;

/** A provider that a subject names is declared by the policy, or by the platform. Too costly for a rule of the API server. */
function checkProviderNames(report: Report, spec: PolicySpecResource): void {
  const providers = (spec.identity?.providers ?? []).map((one) => one.name);
  const known = providers.length === 0 ? 'it declares none' : `it declares ${providers.join(', ')}`;
  const check = (path: FaultPath, subjects: readonly (SubjectResource | ApproverResource)[] | undefined): void =>
    subjects?.forEach(({ provider }, at) => {
      if (provider === undefined || provider.startsWith('cluster/') || providers.includes(provider)) return;
      report(
        [...path, at, 'provider'],
        `"${provider}" is no provider of this policy (${known}); one of the platform is cluster/POLICY/NAME.${suggestion(provider, providers)}`,
      );
    });
  spec.access?.forEach((rule, at) => check(['spec', 'access', at, 'subjects'], rule.subjects));
  spec.guards?.forEach((rule, at) => check(['spec', 'guards', at, 'subjects'], rule.subjects));
  spec.classification?.forEach((rule, at) => check(['spec', 'classification', at, 'visibleTo'], rule.visibleTo));
  spec.responseLimits?.forEach((limit, at) => check(['spec', 'responseLimits', at, 'subjects'], limit.subjects));
  check(['spec', 'approvals', 'approvers'], spec.approvals?.approvers);
}

function checkCertificateUsers(report: Report, spec: PolicySpecResource): void {
  spec.identity?.providers?.forEach(({ clientCertificate, kubernetesUser }, at) => {
    if (clientCertificate === undefined || kubernetesUser === undefined) return;
    if (!certificateClaims.includes(kubernetesUser.claim))
      report(['spec', 'identity', 'providers', at, 'kubernetesUser', 'claim'], certificateClaimMessage);
  });
}

function checkSelector(report: Report, path: FaultPath, selector: SelectorResource | undefined): void {
  selector?.matchExpressions?.forEach((expression, at) => {
    const where = [...path, 'matchExpressions', at, 'values'];
    const needs = expression.operator === 'In' || expression.operator === 'NotIn';
    const has = (expression.values ?? []).length > 0;
    if (needs && !has) report(where, `${expression.operator} needs at least one value`);
    if (!needs && has) report(where, `${expression.operator} takes no values: remove them`);
  });
}

function checkDurations(report: Report, path: FaultPath, limit: ResponseLimitResource): void {
  const shortest = limit.minDuration === undefined ? undefined : parseDuration(limit.minDuration);
  const longest = limit.maxDuration === undefined ? undefined : parseDuration(limit.maxDuration);
  if (shortest !== undefined && longest !== undefined && shortest > longest)
    report([...path, 'minDuration'], 'is longer than maxDuration: every answer would be cut');
}

function checkSize(report: Report, path: FaultPath, { match, direction, action }: GuardResource): void {
  if (match.minBytes === undefined) return;
  if (direction !== 'Request')
    report(path, 'needs direction: Request: how long an answer will be is not known while it is sent');
  if (action === 'Mask') report(path, 'cannot be masked: use Block, RequireApproval or Flag');
}

/** Receipts name `POLICY/NAME`, whatever list a rule stands in. */
function checkNames(report: Report, spec: PolicySpecResource): void {
  const access = (spec.access ?? []).map((rule) => rule.name);
  const guards = (spec.guards ?? []).map((rule) => rule.name);
  guards.forEach((name, at) => {
    if (access.includes(name))
      report(
        ['spec', 'guards', at, 'name'],
        `"${name}" is the name of an access rule too: receipts could not tell them apart`,
      );
  });
  spec.classification?.forEach(({ label }, at) => {
    if (access.includes(label) || guards.includes(label))
      report(
        ['spec', 'classification', at, 'label'],
        `"${label}" is the name of another rule too: receipts could not tell them apart`,
      );
  });
}

/** What one kind of policy may say and the other may not. */
function checkKind(report: Report, { kind, metadata, spec }: PolicyResource): void {
  const cluster = kind === 'ClusterInferencePolicy';
  if (cluster && metadata.namespace !== undefined)
    report(['metadata', 'namespace'], 'a ClusterInferencePolicy has no namespace: remove it, or use namespaceSelector');
  if (!cluster && spec.namespaceSelector !== undefined)
    report(['spec', 'namespaceSelector'], 'is for a ClusterInferencePolicy: this policy governs its own namespace');
  if (!cluster && spec.maxPolicyAge !== undefined)
    report(
      ['spec', 'maxPolicyAge'],
      'is for a ClusterInferencePolicy: the platform decides how long an old policy lives',
    );
  if (metadata.namespace === 'cluster')
    report(
      ['metadata', 'namespace'],
      'the namespace "cluster" cannot have policies: its name stands for the platform in rules',
    );
  // A Secret of Sidegate's own namespace would else go to whatever model runs in the pod.
  if (cluster && spec.upstream?.credential !== undefined && spec.upstream.hosted === undefined)
    report(['spec', 'upstream', 'credential'], 'of a ClusterInferencePolicy needs hosted beside it');
}

/**
 * With a few points of the curve, all zeros for one, nothing can be agreed: a sidecar could not put the policy into force. The API server
 * cannot compute that.
 */
function checkSealKey(report: Report, sealTo: string | undefined): void {
  if (sealTo === undefined) return;
  try {
    const publicKey = createPublicKey({ key: Buffer.from(sealTo, 'base64'), format: 'der', type: 'spki' });
    diffieHellman({ privateKey: generateKeyPairSync('x25519').privateKey, publicKey });
  } catch {
    report(['spec', 'audit', 'sealTo'], 'is a key to which nothing can be sealed: `sidegate audit keygen` makes one');
  }
}

/** What goes in one header cannot go in another's place. Too costly for a rule of the API server. */
function checkIdentityHeaders(report: Report, upstream: UpstreamResource | undefined): void {
  const { credential, hosted } = upstream ?? {};
  const taken = new Set(credential === undefined ? [] : [(credential.header ?? 'authorization').toLowerCase()]);
  hosted?.identityHeaders?.forEach(({ header }, at) => {
    const name = header.toLowerCase();
    if (taken.has(name))
      report(
        ['spec', 'upstream', 'hosted', 'identityHeaders', at, 'header'],
        `"${header}" is the name of another header that is sent`,
      );
    taken.add(name);
  });
}

/** What its descriptor set does not have, or is. The API server cannot read it. */
function checkGrpcServices(report: Report, spec: PolicySpecResource): void {
  spec.grpcServices?.forEach((service, at) => {
    for (const { path, message } of serviceFaults(grpcServiceOf(service)))
      report(['spec', 'grpcServices', at, ...path], message);
  });
}

/** A message of text that is no JSON is read by nobody. */
function checkRoutes(report: Report, spec: PolicySpecResource): void {
  spec.routes?.forEach(({ webSocket, request, response }, at) => {
    if (webSocket !== true) return;
    for (const [side, body] of Object.entries({ request, response }))
      if (body?.format === 'Text')
        report(['spec', 'routes', at, side, 'format'], 'must be JSON where webSocket is set');
  });
}

/** Everything that is wrong with a policy whose shape is right. */
export function checkRules(resource: PolicyResource, options: RuleOptions): readonly DocumentFault[] {
  const { spec } = resource;
  const faults: DocumentFault[] = [];
  const report: Report = (path, message) => faults.push({ path, message });
  checkKind(report, resource);
  faults.push(...checkConditions(inferencePolicySchema, spec, ['spec'], options));
  checkProviderNames(report, spec);
  checkCertificateUsers(report, spec);
  checkSelector(report, ['spec', 'selector'], spec.selector);
  checkSelector(report, ['spec', 'namespaceSelector'], spec.namespaceSelector);
  spec.responseLimits?.forEach((limit, at) => checkDurations(report, ['spec', 'responseLimits', at], limit));
  spec.guards?.forEach((guard, at) => checkSize(report, ['spec', 'guards', at, 'match', 'minBytes'], guard));
  checkNames(report, spec);
  checkSealKey(report, spec.audit?.sealTo);
  checkIdentityHeaders(report, spec.upstream);
  checkGrpcServices(report, spec);
  checkRoutes(report, spec);
  return faults;
}
