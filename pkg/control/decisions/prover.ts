import type { CompiledProvider, DecisionFault, Identity, IdentityVerifierFactory } from '../../core/index.ts';
import { createVerifiers } from './verifiers.ts';

/** Who the bearer of a token is in a namespace. */
export interface Prover {
  /**
   * All that the token proves: one person, whom several policies may know by providers of the same issuer. Each provider is asked by
   * itself, so that which pods there are does not choose the one that counts.
   */
  prove(namespace: string, token: string): Promise<readonly Identity[] | DecisionFault>;
}

export function createProver(options: {
  readonly verifiers: IdentityVerifierFactory;
  /** Of all policies that select a pod of the namespace. */
  readonly providersOf: (namespace: string) => readonly CompiledProvider[];
  /** Whether the token was taken back. */
  readonly revokes: (who: Identity) => boolean;
}): Prover {
  const verifiers = createVerifiers(options.verifiers);
  return {
    async prove(namespace, token) {
      const credentials = { token, certificate: undefined };
      const results = await Promise.all(
        options.providersOf(namespace).map((provider) => verifiers.of([provider]).verify(credentials)),
      );
      const proven = results.flatMap((result) => (result.kind === 'proven' ? [result.identity] : []));
      if (proven.some((who) => options.revokes(who))) return 'unauthenticated';
      if (proven.length > 0) return proven;
      return results.some((result) => result.kind === 'refused' && result.reason === 'identity_unavailable')
        ? 'identity_unavailable'
        : 'unauthenticated';
    },
  };
}
