import type { DecisionFault, Identity } from '../../core/index.ts';
import type { TokenProof, TokenWitness } from '../../identity/index.ts';
import type { ProofLimits } from './decision-limits.ts';
import type { KnownProviders } from './known-providers.ts';

/** Who the bearer of a token is in namespaces, within limits. */
export interface Prover {
  /**
   * In each of the namespaces all that the token proves: one person, whom several policies may know by providers of the same issuer. Each
   * provider is asked by itself, so that which pods there are does not choose the one that counts. Where it proves nobody, the word why.
   *
   * @param namespaces asked for once, and only where a limit lets the token be looked at
   * @param anywhere whoever is proven in another namespace alone has brought nothing untrue either
   * @returns why the token is not looked at; else by namespace
   */
  prove(
    namespaces: () => readonly string[],
    bearer: Bearer,
    limits: ProofLimits,
    options?: { readonly anywhere?: boolean },
  ): Promise<Limited | Proven>;
}

export interface Bearer {
  readonly token: string;
  /** Address of the person, as far as it can be believed. */
  readonly from: string;
  /** What brought it, where that is known and goes on record; default: the person themselves. */
  readonly through?: 'console';
}

/** `too_many`: the person has had their share. `unproven`: the network has, of what nobody has proven. */
export type Limited = 'too_many' | 'unproven';

export type Proven = ReadonlyMap<string, Person | Nobody>;

export type Nobody = Extract<DecisionFault, 'unauthenticated' | 'identity_unavailable'>;

/** At least one. */
export type Person = readonly Identity[];

export interface ProverOptions {
  readonly witness: TokenWitness;
  readonly providers: KnownProviders;
  /** Whether the token was taken back. */
  readonly revokes: (who: Identity) => boolean;
}

/** What a token proves, as far as limits count it. */
interface Finding {
  readonly people: Proven;
  /** Whom it proves anywhere; undefined: nobody. */
  readonly who: Identity | undefined;
  /** Namespaces whose share they may take. */
  readonly shares: readonly string[];
}

export function createProver({ witness, providers, revokes }: ProverOptions): Prover {
  const personIn = ({ identities, unavailable }: TokenProof): Person | Nobody => {
    if (identities.some((who) => revokes(who))) return 'unauthenticated';
    if (identities.length > 0) return identities;
    return unavailable ? 'identity_unavailable' : 'unauthenticated';
  };
  const findingOf = (people: ReadonlyMap<string, Person | Nobody>, elsewhere: Person | Nobody | undefined): Finding => {
    const shares = [...people].flatMap(([namespace, one]) => (typeof one === 'string' ? [] : [namespace]));
    const found = [...people.values(), elsewhere ?? 'unauthenticated'].find((one) => typeof one !== 'string');
    const [who] = found ?? [];
    return { people, who, shares: shares.length > 0 || who === undefined ? shares : [ownerOf(who)] };
  };
  /** Of what a token proves anywhere, what counts in a namespace: however many there are, it is read once. */
  const countsIn = (namespace: string, { identities }: TokenProof): TokenProof => {
    const ids = new Set(providers.of(namespace).map(({ id }) => id));
    return { identities: identities.filter(({ provider }) => ids.has(provider)), unavailable: false };
  };
  const everywhere = (namespaces: readonly string[], proof: TokenProof): Map<string, Person | Nobody> => {
    const isNobody = typeof personIn(proof) === 'string';
    return new Map(
      namespaces.map((one) => [one, isNobody ? 'unauthenticated' : personIn(countsIn(one, proof))] as const),
    );
  };
  /** Undefined: something would have to be computed for it. */
  const recall = (namespaces: readonly string[], token: string, anywhere: boolean): Finding | undefined => {
    if (anywhere) {
      const proof = witness.recall(token, providers.all());
      return proof && findingOf(everywhere(namespaces, proof), personIn(proof));
    }
    const people = new Map<string, Person | Nobody>();
    for (const namespace of namespaces) {
      const proof = witness.recall(token, providers.of(namespace));
      if (proof === undefined) return undefined;
      people.set(namespace, personIn(proof));
    }
    return findingOf(people, undefined);
  };
  const find = async (namespaces: readonly string[], token: string, anywhere: boolean): Promise<Finding> => {
    const proof = anywhere ? await witness.prove(token, providers.all()) : undefined;
    if (proof !== undefined && !proof.unavailable) return findingOf(everywhere(namespaces, proof), personIn(proof));
    const people = new Map<string, Person | Nobody>();
    for (const namespace of namespaces)
      people.set(namespace, personIn(await witness.prove(token, providers.of(namespace))));
    return findingOf(people, proof && personIn(proof));
  };

  return {
    async prove(namespaces, { token, from }, limits, { anywhere = false } = {}) {
      let names: readonly string[] | undefined;
      const asked = (): readonly string[] => (names ??= namespaces());
      const admitted = ({ people, who, shares }: Finding): Proven | 'too_many' =>
        who === undefined || limits.proven(nameOf(who), shares) ? people : 'too_many';
      // Of what nobody is known to have, nothing is walked through before a limit lets it in.
      const known = witness.knows(token) ? recall(asked(), token, anywhere) : undefined;
      if (known?.who !== undefined) return admitted(known);
      const turn = limits.unproven(from);
      if (turn === undefined) return 'unproven';
      const found = await find(asked(), token, anywhere);
      const result = admitted(found);
      // Nor is it given back to whoever makes true tokens beyond their share.
      if (found.who !== undefined && result !== 'too_many') turn.proven();
      return result;
    },
  };
}

/** By the provider too: an issuer of the same name may be a tenant's. */
const nameOf = ({ provider, issuer, subject }: Identity): string => JSON.stringify([provider, issuer, subject]);

/** The namespace whose policy has the provider, or the platform. */
const ownerOf = ({ provider }: Identity): string => provider.split('/', 1)[0] ?? '';
