import type { SamlOptions, SamlVerifier } from './saml/saml-verifier.ts';

/**
 * Begins to follow the metadata of identity providers. Libraries of SAML are loaded by this alone, and by its thread: they are in memory
 * only where SAML is configured, and never in a sidecar.
 */
export async function openSamlVerifier(options: SamlOptions): Promise<SamlVerifier> {
  const { createSamlVerifier } = await import('./saml/saml-verifier.ts');
  return createSamlVerifier(options);
}
