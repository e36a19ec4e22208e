// The thread that proves signatures: takes one response after the other, and answers with what was signed of it, or with nothing.
import { parentPort } from 'node:worker_threads';
import { SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import { describeError } from '../../base/index.ts';
import type { SignatureAnswer, SignatureQuestion } from './signature-prover.ts';

parentPort?.on('message', (question: SignatureQuestion) => {
  const { id } = question;
  signedText(question).then(
    (text) => parentPort?.postMessage({ id, text } satisfies SignatureAnswer),
    (error: unknown) => parentPort?.postMessage({ id, why: describeError(error) } satisfies SignatureAnswer),
  );
});

async function signedText({ response, keys, responseSigned }: SignatureQuestion): Promise<string | undefined> {
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
  const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: Buffer.from(response).toString('base64') });
  return profile?.getAssertionXml?.();
}
