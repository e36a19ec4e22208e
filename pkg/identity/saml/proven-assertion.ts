import { SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import { readAssertion } from './assertion.ts';
import type { Assertion } from './assertion.ts';
import { SamlFault } from './saml-fault.ts';
import { signedShape } from './signed-shape.ts';
import { plainXml, readXml } from './xml.ts';
import { ns } from './names.ts';

/**
 * Proves the signature of an assertion, alone or in a response, and reads it.
 *
 * Promise: what is returned was read from the very bytes whose digest a key of the identity provider signed. Of the document
 * itself only its shape and the name of its issuer are used, to refuse it or to choose whose keys must fit.
 *
 * @param keysOf PEM certificates of the identity provider with this entity id; undefined: there is none.
 * @throws SamlFault
 */
export async function provenAssertion(
  document: Uint8Array,
  keysOf: (issuer: string) => readonly string[] | undefined,
): Promise<Assertion> {
  const text = plainXml(document);
  const { assertion: claimed, response, responseSigned } = signedShape(readXml(text));
  const issuer = readAssertion(claimed).issuer;
  const keys = keysOf(issuer);
  if (keys === undefined) throw new SamlFault('issuer');
  if (keys.length === 0) throw new SamlFault('keys_unknown');
  const signed = await signedText(response === undefined ? wrapped(text) : text, keys, responseSigned);
  const assertion = readAssertion(readXml(signed));
  if (assertion.issuer !== issuer) throw new SamlFault('issuer');
  return assertion;
}

/** node-saml takes responses: exclusive canonicalization leaves what is signed the same in any surroundings. */
const wrapped = (assertion: string): string =>
  `<samlp:Response xmlns:samlp="${ns.protocol}" Version="2.0">${assertion}</samlp:Response>`;

async function signedText(response: string, keys: readonly string[], responseSigned: boolean): Promise<string> {
  const saml = new SAML({
    idpCert: [...keys],
    wantAssertionsSigned: true,
    wantAuthnResponseSigned: responseSigned,
    // For whom, where and when is checked on what was signed (check-assertion.ts), with a clock of ours: the library's is the process's.
    audience: false,
    acceptedClockSkewMs: -1,
    validateInResponseTo: ValidateInResponseTo.never,
    issuer: 'sidegate',
    callbackUrl: 'https://sidegate.invalid/',
  });
  try {
    const { profile } = await saml.validatePostResponseAsync({
      SAMLResponse: Buffer.from(response).toString('base64'),
    });
    const text = profile?.getAssertionXml?.();
    if (text !== undefined) return text;
  } catch (cause) {
    throw new SamlFault('signature', { cause });
  }
  throw new SamlFault('signature');
}
