import type { CompiledProvider } from '../../core/index.ts';

/**
 * Whether the provider may prove callers of this issuer. Of certificates it is a distinguished name (`CN=…`), which no URL is; whose the
 * authorities are is not known here, so that each such provider may be the one.
 */
export const issues = (
  { oidc, serviceAccount, sidegate, clientCertificate }: CompiledProvider,
  issuer: string,
): boolean =>
  clientCertificate === undefined
    ? [oidc?.issuer, serviceAccount?.issuer, sidegate?.issuer].includes(issuer)
    : !URL.canParse(issuer);
