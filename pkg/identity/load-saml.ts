import type { SamlOptions, SamlVerifier } from './saml/saml-verifier.ts';

/**
 * Begins to follow the metadata of identity providers. The SAML library is loaded by this alone: it is in memory only where SAML is
 * configured, and never in a sidecar.
 */
export async function openSamlVerifier(options: SamlOptions): Promise<SamlVerifier> {
  const { createSamlVerifier } = await import('./saml/saml-verifier.ts');
  return createSamlVerifier(options);
}
