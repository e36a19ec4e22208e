import { controlPlane } from '../../contract/index.ts';
import { compareDefinition, resourceDefinitions } from '../../crd/index.ts';
import { parseChartOptions } from '../../inject/index.ts';
import { certificateFacts } from '../../pki/index.ts';
import { fail, ok, some, unlessAny, warn } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Picture } from './picture.ts';

/** Whether Sidegate itself is well. */

const day = 86_400_000;
/** An authority lives a year and is followed by another one when 122 days are left: with fewer than these, that has failed for long. */
const authorityWarning = 60;

/** `v1.33.4-gke.1` as [1, 33]. */
export function minorOf(version: string): readonly [number, number] {
  const match = /^v?(\d+)\.(\d+)/.exec(version);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}
export const atLeast = (version: string, minor: number): boolean => {
  const [major, found] = minorOf(version);
  return major > 1 || (major === 1 && found >= minor);
};

export function apiServer({ serverVersion }: Picture): Finding {
  return atLeast(serverVersion, 30)
    ? ok('api server', serverVersion)
    : fail('api server', `${serverVersion} has no admission policies`, 'upgrade Kubernetes to 1.30 or newer');
}

/** Tokens, certificates and grants end by the clock. */
export function clocks({ serverTime, now }: Picture): Finding {
  if (serverTime === undefined)
    return warn('clocks', 'the API server does not tell its time', 'compare `date` on the nodes with each other');
  // It tells whole seconds.
  const skew = Math.abs(now - serverTime) - 1_000;
  return skew <= 5_000
    ? ok('clocks', 'this machine and the API server agree')
    : warn(
        'clocks',
        `this machine and the API server are ${Math.round(skew / 1_000)} s apart`,
        'run NTP: tokens and certificates end by the clock',
      );
}

export function definitions({ definitions: { items, fault } }: Picture): Finding {
  if (fault !== undefined) return fail('definitions', fault, 'ask somebody who may read CustomResourceDefinitions');
  const wrong = resourceDefinitions().flatMap((ours) => {
    const served = items.find(({ metadata }) => metadata.name === ours.metadata.name);
    if (served === undefined) return [`${ours.metadata.name} is missing`];
    const { prunedFields, missingVersions } = compareDefinition(ours, served);
    return [
      ...missingVersions.map((version) => `${ours.metadata.name} has no ${version}`),
      ...(prunedFields.length > 0 ? [`${ours.metadata.name} drops ${some(prunedFields)}`] : []),
    ];
  });
  return unlessAny('definitions', wrong, {
    ok: 'as this version has them',
    message: (names) => names,
    hint: 'helm upgrade with crds.enabled, or kubectl apply --server-side -f crds/',
  });
}

export function replicas({ deployments: { items, fault }, system }: Picture): readonly Finding[] {
  if (fault !== undefined) return [fail('replicas', fault, `ask somebody who may read deployments in ${system}`)];
  return [controlPlane.controller, controlPlane.webhook].map((name) => {
    const found = items.find(({ metadata }) => metadata.name === name);
    const hint = `kubectl -n ${system} describe deployment ${name}; kubectl -n ${system} logs deployment/${name}`;
    if (found === undefined)
      return fail(name, `there is no deployment ${name} in ${system}`, 'name the namespace with --system');
    const wanted = found.spec.replicas ?? 1;
    const ready = found.status?.readyReplicas ?? 0;
    if (ready === 0) return fail(name, `0 of ${wanted} replicas are ready`, hint);
    if (ready < wanted) return warn(name, `${ready} of ${wanted} replicas are ready`, hint);
    if (wanted < 2) return warn(name, 'has one replica', `set ${name.replace('sidegate-', '')}.replicas to 2 or more`);
    return ok(name, `${ready} replicas are ready`);
  });
}

export function leader({ leases: { items, fault }, serverTime, now, system }: Picture): Finding {
  if (fault !== undefined) return fail('leader', fault, `ask somebody who may read leases in ${system}`);
  const { holderIdentity, renewTime } = items[0]?.spec ?? {};
  const hint = `kubectl -n ${system} logs deployment/${controlPlane.controller}`;
  const age = (serverTime ?? now) - Date.parse(renewTime ?? '');
  if (holderIdentity === undefined || holderIdentity === '' || Number.isNaN(age))
    return fail('leader', 'no controller leads', hint);
  // A lease lasts 15 s.
  return age > 30_000
    ? fail('leader', `${holderIdentity} renewed its lease ${Math.round(age / 1_000)} s ago`, hint)
    : ok('leader', holderIdentity);
}

function bundle(check: string, pem: string, { now }: Picture, hint: string): Finding {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (texts.length === 0) return fail(check, 'holds no certificate', hint);
  try {
    const end = Math.max(...texts.map((text) => certificateFacts(text).notAfter));
    const days = Math.floor((end - now) / day);
    if (days < 0) return fail(check, 'has expired', hint);
    return days < authorityWarning
      ? warn(check, `ends in ${days} days and was not rotated`, hint)
      : ok(check, `good for ${days} days`);
  } catch {
    return fail(check, 'holds a certificate that cannot be read', hint);
  }
}

export function authorities(picture: Picture): Finding {
  const { maps, system } = picture;
  if (maps.fault !== undefined)
    return fail('authority', maps.fault, `ask somebody who may read ConfigMaps in ${system}`);
  const trust = maps.items.find(({ metadata }) => metadata.name === controlPlane.trust);
  const hint = `the controller writes ConfigMap ${controlPlane.trust}: kubectl -n ${system} logs deployment/${controlPlane.controller}`;
  return bundle('authority', trust?.data?.[controlPlane.caKey] ?? '', picture, hint);
}

export function webhooks(picture: Picture): readonly Finding[] {
  const { webhooks: found, system } = picture;
  if (found.fault !== undefined)
    return [fail('webhooks', found.fault, 'ask somebody who may read webhook configurations')];
  const hint = `helm upgrade puts them back; kubectl -n ${system} logs deployment/${controlPlane.webhook}`;
  const all = found.items.flatMap(({ metadata, webhooks: list }) =>
    (list ?? []).map((one) => ({ ...one, name: `${metadata.name}/${one.name}` })),
  );
  const missing = controlPlane.webhooks.filter((name) => !all.some((one) => one.name.endsWith(`/${name}`)));
  if (missing.length > 0) return [fail('webhooks', `missing: ${some(missing)}`, hint)];
  const mayBeOpen: readonly string[] = controlPlane.openWebhooks;
  const open = all
    .filter(({ failurePolicy, name }) => failurePolicy !== 'Fail' && !mayBeOpen.includes(name.split('/')[1] ?? ''))
    .map(({ name }) => name);
  const bundles = new Set(all.map(({ clientConfig }) => clientConfig?.caBundle ?? ''));
  return [
    unlessAny('webhooks', open, {
      ok: `${all.length} webhooks, all that decide fail closed`,
      message: (names) => `failurePolicy is not Fail: ${names}`,
      hint,
    }),
    ...[...bundles].map((text) =>
      bundle('webhook certificate', Buffer.from(text, 'base64').toString('utf8'), picture, hint),
    ),
  ];
}

export function admissionPolicies({ admissionPolicies: found, admissionBindings: bindings }: Picture): Finding {
  const fault = found.fault ?? bindings.fault;
  if (fault !== undefined) return fail('admission policies', fault, 'ask somebody who may read admission policies');
  const hint = 'helm upgrade puts them back: they hold while no webhook answers';
  if (found.items.length === 0) return fail('admission policies', 'none of Sidegate is there', hint);
  const missing = controlPlane.admissionPolicies.filter(
    (name) => !found.items.some(({ metadata }) => metadata.name === name),
  );
  if (missing.length > 0) return fail('admission policies', `missing: ${some(missing)}`, hint);
  const unbound = found.items
    .map(({ metadata }) => metadata.name)
    .filter(
      (name) =>
        !bindings.items.some(({ spec }) => spec.policyName === name && (spec.validationActions ?? []).includes('Deny')),
    );
  return unlessAny('admission policies', unbound, {
    ok: `${found.items.length} policies, all deny`,
    message: (names) => `not bound, or bound without Deny: ${names}`,
    hint,
  });
}

/** As the webhook reads them: it goes on with the last good ones, and a replica that starts does not. */
export function options({ maps, system }: Picture): Finding {
  if (maps.fault !== undefined) return fail('options', maps.fault, `ask somebody who may read ConfigMaps in ${system}`);
  const hint = `helm upgrade writes ConfigMap ${controlPlane.options}`;
  const text = maps.items.find(({ metadata }) => metadata.name === controlPlane.options)?.data?.[
    controlPlane.optionsKey
  ];
  if (text === undefined) return fail('options', 'there are none for the webhook', hint);
  try {
    parseChartOptions(text);
    return ok('options', 'the webhook can use them');
  } catch (error) {
    return fail('options', `the webhook cannot use them: ${error instanceof Error ? error.message : ''}`, hint);
  }
}

export function rights({ denied }: Picture): Finding {
  if (denied.fault !== undefined)
    return fail('rights', denied.fault, 'ask somebody who may create SubjectAccessReviews');
  return unlessAny('rights', denied.items, {
    ok: 'controller and webhook may do what they need',
    message: (names) => names,
    hint: 'helm upgrade puts the roles back',
  });
}
