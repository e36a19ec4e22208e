import type { SecretName } from '../../wire/index.ts';
import type { Directory } from '../directory.ts';
import { counts } from '../facts/pod-fact.ts';
import type { PodFact } from '../facts/pod-fact.ts';
import { mostServices } from '../facts/service-fact.ts';
import type { Selecting } from '../facts/service-index.ts';
import type { PolicyEntry } from '../policies/policy-entry.ts';
import type { OpenedCertificates } from '../secrets/opened-certificates.ts';
import { placedCertificate, secretsNamedBy } from '../secrets/secret-names.ts';
import { longestValue, mostOfNamespace, secretKey } from '../secrets/secret-store.ts';
import type { SecretStore } from '../secrets/secret-store.ts';
import { certificateOf } from '../secrets/secret-views.ts';
import type { PolicyProblem } from './policy-status.ts';

export interface ProblemSources {
  readonly directory: Pick<Directory, 'setOf' | 'secrets' | 'services'>;
  readonly secrets: Pick<SecretStore, 'read'>;
  readonly certificates: Pick<OpenedCertificates, 'known'>;
  readonly ownNamespace: string;
}

const mostNamed = 5;

/** `a, b and 3 more`, sorted, so that equal facts are equal words. */
export function namesOf(pods: readonly { readonly namespace: string; readonly name: string }[]): string {
  const names = pods.map(({ namespace, name }) => `${namespace}/${name}`).sort();
  const more = names.length - mostNamed;
  return more > 0 ? `${names.slice(0, mostNamed).join(', ')} and ${more} more` : names.join(', ');
}

const longest = `${longestValue / 1024} KiB`;
const tooMuch = (namespace: string, name: string): string =>
  `Secret ${namespace}/${name} is not used: what policies name in Secrets of ${namespace} is more than ${mostOfNamespace / 1_048_576} MiB together.`;
const nameOf = (secret: SecretName): string => [secret.namespace ?? '', secret.name, secret.key].join('/');

/** What the pods are told is not there. */
function untold(pods: readonly PodFact[], { directory }: ProblemSources): ReadonlySet<string> {
  const bySet = new Map(pods.map((pod) => [directory.setOf(pod), pod]));
  const told = [...bySet.values()].map((pod) => directory.secrets(pod));
  return new Set(told.flatMap((one) => (one === 'pending' ? [] : one.missing.map(nameOf))));
}

function missingSecrets(entry: PolicyEntry, pods: readonly PodFact[], sources: ProblemSources): PolicyProblem[] {
  const { secrets, ownNamespace } = sources;
  const left = untold(pods, sources);
  return secretsNamedBy(entry, ownNamespace).flatMap(({ namespace, name, key, as }): PolicyProblem[] => {
    const content = secrets.read(secretKey(namespace, name));
    const problem = (message: string): PolicyProblem[] => [{ type: 'SecretMissing', message }];
    if (content === 'pending') return [];
    if (content === 'missing') return problem(`There is no Secret ${namespace}/${name} that may be read.`);
    if (content === 'too_much') return problem(tooMuch(namespace, name));
    if (!content.keys.includes(key)) return problem(`Secret ${namespace}/${name} has no key ${key}.`);
    if (content.tooLong.includes(key))
      return problem(`Secret ${namespace}/${name} has more than ${longest} at key ${key}, which is not used.`);
    return left.has(nameOf(as))
      ? problem(`Secret ${namespace}/${name}, key ${key}, is left out: all Secrets of a pod are too large together.`)
      : [];
  });
}

function unusableCertificate(
  entry: PolicyEntry,
  { secrets, certificates, ownNamespace }: ProblemSources,
): PolicyProblem[] {
  const placed = placedCertificate(entry, ownNamespace);
  if (typeof placed !== 'object') return [];
  const secret = secretKey(placed.namespace, placed.name);
  const content = secrets.read(secret);
  const problem = (message: string): PolicyProblem[] => [{ type: 'SecretMissing', message }];
  if (content === 'pending') return [];
  if (content === 'missing') return problem(`There is no Secret ${secret} that may be read.`);
  if (content === 'too_much') return problem(tooMuch(placed.namespace, placed.name));
  const held = certificateOf(placed, content).content;
  if (held === undefined)
    return problem(
      `Secret ${secret} holds no certificate: tls.crt and tls.key, or keystore.p12 and passphrase, of at most ${longest} each.`,
    );
  const opened = certificates.known(held);
  if (opened?.kind !== 'unusable') return [];
  const message = `Nothing is served with the certificate of Secret ${secret}: ${opened.why}.`;
  return [{ type: 'CertificateUnusable', message }];
}

function uncapturedPorts(entry: PolicyEntry, pods: readonly PodFact[]): PolicyProblem[] {
  const injected = pods.filter((pod) => pod.sidecar);
  return (entry.policy?.spec.upstream?.ports ?? []).flatMap(({ containerPort }): PolicyProblem[] => {
    const without = injected.filter((pod) => pod.portMap[String(containerPort)] === undefined);
    if (without.length === 0) return [];
    const message = `Port ${containerPort} is not led through the sidecar in ${namesOf(without)}: declare it as a containerPort, or in the annotation sidegate.dev/model-ports, and create the pods again.`;
    return [{ type: 'PortNotCaptured', message }];
  });
}

function unknownHelpers(entry: PolicyEntry, pods: readonly PodFact[]): PolicyProblem[] {
  const injected = pods.filter((pod) => pod.sidecar);
  return (entry.policy?.spec.loopback ?? []).flatMap(({ runAsUser }): PolicyProblem[] => {
    // With NamedPort no rule in the kernel tells who dials, so that no helper is known there.
    const redirected = injected.filter((pod) => pod.capture === 'Redirect');
    if (injected.length === 0 || redirected.some((pod) => pod.helpers.includes(runAsUser))) return [];
    const why =
      redirected.length === 0
        ? 'the selected pods are captured by NamedPort, where no helper can be told from others. Have their namespace captured by Redirect'
        : "no selected pod has a known helper with that uid. List it in the chart's value helpers, set its runAsUser";
    const message = `spec.loopback[${runAsUser}] opens nothing: ${why}, and create the pods again.`;
    return [{ type: 'RuleCannotFire', message }];
  });
}

function bypasses(pods: readonly PodFact[], { directory }: ProblemSources): PolicyProblem[] {
  const found = new Map<string, Set<number>>();
  /** Ports that were asked about, by what selects the pods. */
  const asked = new Map<Selecting, Set<number>>();
  for (const pod of pods) {
    // With Redirect whatever arrives at the port is led to the sidecar.
    if (pod.capture !== 'NamedPort') continue;
    const services = directory.services(pod);
    const known = asked.get(services) ?? new Set();
    asked.set(services, known);
    for (const port of Object.keys(pod.portMap).map(Number)) {
      if (known.has(port)) continue;
      known.add(port);
      for (const name of services.leadingTo(port)) {
        const key = `${pod.namespace}/${name}`;
        found.set(key, (found.get(key) ?? new Set()).add(port));
      }
    }
  }
  const problem = (message: string): PolicyProblem => ({ type: 'ServiceBypasses', message });
  const named = [...found].sort(([one], [other]) => (one < other ? -1 : 1));
  return [
    ...named
      .slice(0, mostNamed)
      .map(([service, ports]) =>
        problem(
          `Service ${service} leads to port ${[...ports].sort().join(', ')} by number, past the sidecar: write the port's name as its targetPort.`,
        ),
      ),
    ...(named.length > mostNamed ? [problem(`So do ${named.length - mostNamed} more Services.`)] : []),
  ];
}

function leftOutNames(pods: readonly PodFact[], { directory }: ProblemSources): PolicyProblem[] {
  const crowded = pods.filter((pod) => directory.services(pod).count > mostServices);
  if (crowded.length === 0) return [];
  const message = `More than ${mostServices} Services select ${namesOf(crowded)}: the certificate has the names of the first ${mostServices} by name. Select by other labels, or name a certificate in tls.certificate.`;
  return [{ type: 'NamesLeftOut', message }];
}

/** Of a namespace: policies beside it, or itself, are such that its pods deny everything. */
function denials(entry: PolicyEntry, pods: readonly PodFact[], { directory }: ProblemSources): PolicyProblem[] {
  if (entry.kind !== 'InferencePolicy') return [];
  return [...new Set(pods.flatMap((pod) => directory.setOf(pod) ?? []))].flatMap((set): PolicyProblem[] =>
    set.kind === 'invalid' || set.denied === undefined
      ? []
      : [{ type: 'DeniesAll', message: `Pods that it selects deny everything: ${set.denied}.` }],
  );
}

/** What lost and what cannot act, as the sets with this policy say. */
function noticesOf(
  entry: PolicyEntry,
  pods: readonly PodFact[],
  { directory }: ProblemSources,
): { readonly problems: PolicyProblem[]; readonly overridden: { field: string; by: string }[] } {
  const problems: PolicyProblem[] = [];
  const overridden = new Map<string, { field: string; by: string }>();
  const sets = new Set(pods.flatMap((pod) => directory.setOf(pod) ?? []));
  for (const set of sets) {
    if (set.kind === 'invalid') continue;
    for (const notice of set.notices) {
      if (notice.policy !== entry.label) continue;
      const field = `spec.${notice.field}`;
      if (notice.by === undefined) problems.push({ type: 'RuleCannotFire', message: `${field} ${notice.message}.` });
      else overridden.set(`${field} ${notice.by}`, { field, by: notice.by });
    }
  }
  const lost = [...overridden.values()].sort((a, b) => (`${a.field} ${a.by}` < `${b.field} ${b.by}` ? -1 : 1));
  if (lost.length > 0) {
    const message = `Values of other policies stand instead: ${lost.map(({ field, by }) => `${field} of ${by}`).join(', ')}.`;
    problems.push({ type: 'Conflicted', message });
  }
  return { problems, overridden: lost };
}

/** @param pods that the policy selects. */
export function problemsOf(
  entry: PolicyEntry,
  pods: readonly PodFact[],
  sources: ProblemSources,
): { readonly problems: readonly PolicyProblem[]; readonly overridden: readonly { field: string; by: string }[] } {
  if (entry.policy === undefined) return { problems: [], overridden: [] };
  const live = pods.filter(counts);
  const bare = live.filter((pod) => !pod.sidecar);
  const fixed = bare.filter((pod) => pod.static);
  const deletable = bare.filter((pod) => !pod.static);
  const { problems, overridden } = noticesOf(entry, live, sources);
  return {
    problems: [
      ...denials(entry, live, sources),
      ...missingSecrets(entry, live, sources),
      ...unusableCertificate(entry, sources),
      ...uncapturedPorts(entry, live),
      ...unknownHelpers(entry, live),
      ...bypasses(live, sources),
      ...leftOutNames(live, sources),
      ...(bare.length === 0
        ? []
        : [
            {
              type: 'PodsWithoutSidecar' as const,
              message: [
                ...(deletable.length === 0
                  ? []
                  : [
                      `Not governed, since they have no sidecar: ${namesOf(deletable)}. Delete them, so that they are created again.`,
                    ]),
                ...(fixed.length === 0
                  ? []
                  : [
                      `Not governed, since admission does not reach static pods: ${namesOf(fixed)}. Run the model from a Deployment.`,
                    ]),
              ].join(' '),
            },
          ]),
      ...problems,
    ],
    overridden,
  };
}
