import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import type { NameIdFormat } from './names.ts';
import { nameIdFormats, ns, postBinding } from './names.ts';

/** A request to log somebody in (saml-core section 3.4.1), as an address for a browser (saml-bindings section 3.4.4). */
export interface AuthnRequest {
  /** What the answer must refer to. */
  readonly id: string;
  readonly url: string;
}

/** @param to The identity provider's address, ours for the answer, and what kind of name is wanted; undefined: any. */
export function authnRequest(
  to: {
    readonly signOn: string;
    readonly issuer: string;
    readonly consumer: string;
    readonly nameIdFormat: NameIdFormat | undefined;
  },
  now: number,
): AuthnRequest {
  const { signOn, issuer, consumer, nameIdFormat } = to;
  const format = nameIdFormat === undefined ? '' : ` Format="${nameIdFormats[nameIdFormat]}"`;
  const id = `_${randomBytes(20).toString('hex')}`;
  const xml =
    `<samlp:AuthnRequest xmlns:samlp="${ns.protocol}" xmlns:saml="${ns.assertion}" ID="${id}" Version="2.0"` +
    ` IssueInstant="${new Date(now).toISOString()}" Destination="${escaped(signOn)}"` +
    ` AssertionConsumerServiceURL="${escaped(consumer)}" ProtocolBinding="${postBinding}">` +
    `<saml:Issuer>${escaped(issuer)}</saml:Issuer><samlp:NameIDPolicy${format} AllowCreate="true"/></samlp:AuthnRequest>`;
  const url = new URL(signOn);
  url.searchParams.set('SAMLRequest', deflateRawSync(xml).toString('base64'));
  return { id, url: url.href };
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
