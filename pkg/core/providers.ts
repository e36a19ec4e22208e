import { canonical } from './canonical.ts';
import type { ProviderId } from './identity.ts';
import type { PolicyEntry } from './order.ts';
import type { ProviderSpec } from './policy.ts';
import type { CompiledProvider, PolicyNotice } from './snapshot.ts';

/**
 * Whose identities a subject means. `permit` is for what gives (Allow, visibleTo, approvers), `restrict` for what takes
 * (Deny, guards, responseLimits). They differ only where a provider was dropped for another with the same issuer: the
 * policy did not choose the one that stays, so it grants nothing by it, but what it forbids stays forbidden.
 */
export interface ProviderSets {
  readonly permit: ReadonlySet<ProviderId>;
  readonly restrict: ReadonlySet<ProviderId>;
}

/** The providers that one policy's subjects can mean. */
export interface ProviderScope {
  readonly own: ProviderSets;
  /** By the policy's spelling: a name of its own, `cluster/POLICY/NAME` or `cluster/NAME`. Undefined: there is no such provider. */
  named(name: string): ProviderSets | undefined;
}

export interface ResolvedProviders {
  readonly providers: readonly CompiledProvider[];
  readonly scopes: ReadonlyMap<PolicyEntry, ProviderScope>;
  readonly notices: readonly PolicyNotice[];
}

interface Declared {
  readonly entry: PolicyEntry;
  readonly spec: ProviderSpec;
  readonly id: ProviderId;
}

interface Placed extends Declared {
  /** The one that stays in this one's stead. */
  readonly winner: Declared | undefined;
  /** Both say the same but for their names. */
  readonly same: boolean;
}

function providerId(entry: PolicyEntry, name: string): ProviderId {
  const owner = entry.cluster ? 'cluster' : (entry.policy.namespace ?? 'default');
  return `${owner}/${entry.policy.name}/${name}`;
}

/** Of providers of tokens. One that names no issuer has that of its kind: the cluster's, or Sidegate's for its identity provider. */
function sameIssuer(a: ProviderSpec, b: ProviderSpec): boolean {
  const [left, right] = [a, b].map(
    ({ oidc, serviceAccount, sidegate }) => (oidc ?? serviceAccount ?? sidegate)?.issuer,
  );
  if (left !== undefined || right !== undefined) return left === right;
  return a.sidegate?.idp === b.sidegate?.idp && (a.serviceAccount === undefined) === (b.serviceAccount === undefined);
}

/** Whether one credential could prove a caller of both. */
function collide(a: ProviderSpec, b: ProviderSpec): boolean {
  if (a.clientCertificate !== undefined && b.clientCertificate !== undefined) {
    return canonical(a.clientCertificate.ca) === canonical(b.clientCertificate.ca);
  }
  const left = a.oidc ?? a.serviceAccount ?? a.sidegate;
  const right = b.oidc ?? b.serviceAccount ?? b.sidegate;
  if (left === undefined || right === undefined || !sameIssuer(a, b)) return false;
  return left.audiences.some((audience) => right.audiences.includes(audience));
}

function settingsOf(spec: ProviderSpec): string {
  // The name is the policy's own business, and who a caller is to Kubernetes is not asked by rules.
  return canonical({ ...spec, name: '', kubernetesUser: undefined });
}

/** Those that act before those that observe, which change nothing for whom they meet; then the platform's before the namespace's; then the oldest. */
function byPrecedence(entries: readonly PolicyEntry[]): Declared[] {
  const rank = (entry: PolicyEntry): number => (entry.enforces ? 0 : 2) + (entry.cluster ? 0 : 1);
  return [...entries]
    .sort((a, b) => rank(a) - rank(b))
    .flatMap((entry) => entry.policy.spec.providers.map((spec) => ({ entry, spec, id: providerId(entry, spec.name) })));
}

function place(declared: readonly Declared[]): Placed[] {
  const staying: Declared[] = [];
  return declared.map((one) => {
    const winner = staying.find((other) => collide(other.spec, one.spec));
    if (winner === undefined) staying.push(one);
    return { ...one, winner, same: winner !== undefined && settingsOf(winner.spec) === settingsOf(one.spec) };
  });
}

function setsOf(placed: readonly Placed[]): ProviderSets {
  const permit = new Set<ProviderId>();
  const restrict = new Set<ProviderId>();
  for (const one of placed) {
    const stays = one.winner ?? one;
    restrict.add(stays.id);
    if (one.winner === undefined || one.same) permit.add(stays.id);
  }
  return { permit, restrict };
}

function scopeOf(entry: PolicyEntry, all: readonly Placed[]): ProviderScope {
  const own = all.filter((one) => one.entry === entry);
  const platform = all.filter((one) => one.entry.cluster);
  return {
    own: setsOf(own),
    named(name) {
      const parts = name.split('/');
      const found =
        parts.length === 1
          ? own.filter((one) => one.spec.name === name)
          : parts.length === 2
            ? platform.filter((one) => parts[0] === 'cluster' && one.spec.name === parts[1])
            : platform.filter((one) => one.id === name);
      return found.length === 0 ? undefined : setsOf(found);
    },
  };
}

function noticeOf(one: Placed): PolicyNotice[] {
  if (one.winner === undefined) return [];
  const message = one.same
    ? `says the same as ${one.winner.id}, which stands for it with its own kubernetesUser`
    : `has the same issuer and audience as ${one.winner.id} with other settings, and is dropped: rules of this policy that allow or show something never match. Remove it${
        one.winner.entry.cluster
          ? `, and write provider: ${one.winner.id} in the subjects`
          : ', or give it an audience of its own'
      }`;
  return [{ policy: one.entry.label, field: `identity.providers[${one.spec.name}]`, message }];
}

/** Said in place of silence: its callers are all refused. */
function provesNobody({ entry, spec: { name, sidegate, serviceAccount } }: Placed): PolicyNotice[] {
  const notice = (message: string): PolicyNotice[] => [
    { policy: entry.label, field: `identity.providers[${name}]`, message },
  ];
  if (sidegate !== undefined && sidegate.keys === undefined)
    return notice(`nobody gives tokens for ${sidegate.idp} here: name it in the chart's values (tokens.idps)`);
  if (serviceAccount?.jwksUri !== undefined && serviceAccount.issuer === undefined)
    return notice('has a jwksUri and no issuer, and proves nobody: name the issuer as well, or remove it');
  return [];
}

/** Of two that take tokens of one issuer, each for its own audiences, a token for both proves a caller of the first alone. */
function askedAfter(one: Placed, all: readonly Placed[]): PolicyNotice[] {
  if (one.winner !== undefined || one.spec.clientCertificate !== undefined) return [];
  const first = all
    .slice(0, all.indexOf(one))
    .find(
      ({ winner, spec }) => winner === undefined && spec.clientCertificate === undefined && sameIssuer(spec, one.spec),
    );
  if (first === undefined) return [];
  const message = `has the same issuer as ${first.id}, which is asked first: a token with an audience of both proves a caller of that one alone`;
  return [{ policy: one.entry.label, field: `identity.providers[${one.spec.name}]`, message }];
}

/**
 * Which providers of all policies stay, and which of them each policy's subjects mean. Their order is that in which they are asked. The scope of a
 * platform policy that enforces never holds a namespace's provider: nothing of it is ever dropped for a namespace's.
 */
export function resolveProviders(entries: readonly PolicyEntry[]): ResolvedProviders {
  const placed = place(byPrecedence(entries));
  return {
    providers: placed
      .filter((one) => one.winner === undefined)
      .map(({ id, spec }) => ({
        id,
        oidc: spec.oidc,
        serviceAccount: spec.serviceAccount,
        clientCertificate: spec.clientCertificate,
        ...(spec.sidegate !== undefined && { sidegate: spec.sidegate }),
        kubernetesUser: spec.kubernetesUser,
      })),
    scopes: new Map(entries.map((entry) => [entry, scopeOf(entry, placed)])),
    notices: placed.flatMap((one) => [...noticeOf(one), ...provesNobody(one), ...askedAfter(one, placed)]),
  };
}
