import { readAssertion } from './assertion.ts';
import type { Assertion } from './assertion.ts';
import { ns } from './names.ts';
import { SamlFault } from './saml-fault.ts';
import type { SignatureProver } from './signature-prover.ts';
import { signedShape } from './signed-shape.ts';
import { plainXml, readXml } from './xml.ts';

/**
 * Proves the signature of an assertion, alone or in a response, and reads it.
 *
 * Promise: what is returned was read from the very bytes whose digest a key of the identity provider signed. Of the document
 * itself only its shape and the name of its issuer are used, to refuse it or to choose whose keys must fit.
 *
 * @param keysOf PEM certificates of the identity provider with this entity id; undefined: there is none.
 * @throws SamlFault, SignatureProverError
 */
export async function provenAssertion(
  document: Uint8Array,
  keysOf: (issuer: string) => readonly string[] | undefined,
  prover: Pick<SignatureProver, 'prove'>,
): Promise<Assertion> {
  const text = plainXml(document);
  const { assertion: claimed, response, responseSigned } = signedShape(readXml(text));
  const { issuer } = readAssertion(claimed);
  const keys = keysOf(issuer);
  if (keys === undefined) throw new SamlFault('issuer');
  if (keys.length === 0) throw new SamlFault('keys_unknown');
  const signed = await prover.prove(response === undefined ? wrapped(text) : text, keys, responseSigned);
  const assertion = readAssertion(readXml(signed));
  if (assertion.issuer !== issuer) throw new SamlFault('issuer');
  return assertion;
}

/** node-saml takes responses: exclusive canonicalization leaves what is signed the same in any surroundings. */
const wrapped = (assertion: string): string =>
  `<samlp:Response xmlns:samlp="${ns.protocol}" Version="2.0">${assertion}</samlp:Response>`;
