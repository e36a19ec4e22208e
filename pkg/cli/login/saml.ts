import { codeByBrowser, printable } from './code-by-browser.ts';
import type { BrowserPerson } from './code-by-browser.ts';
import { fieldsOf, textOf } from './json.ts';
import { LoginError } from './login-io.ts';
import type { LoginIo } from './login-io.ts';

/** The controller's token endpoint, as `tokens.url` of the chart names it. */
export interface TokenEndpoint {
  readonly url: string;
  /** PEM. */
  readonly ca: string | undefined;
  readonly audience: string | undefined;
}

/** In the browser, at an identity provider of the chart's values. @throws LoginError */
export async function loginBySaml(
  io: LoginIo,
  person: BrowserPerson,
  { url, ca, audience }: TokenEndpoint,
  idp: string,
): Promise<string> {
  const { code, redirect, verifier } = await codeByBrowser(io, person, {
    address: `${url}/v1/saml/${encodeURIComponent(idp)}/login`,
    parameters: audience === undefined ? {} : { audience },
  });
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirect, code_verifier: verifier };
  return await exchange(io, { url, ca }, form);
}

/** With an assertion that the caller has (RFC 7522). @throws LoginError */
export async function loginByAssertion(
  io: LoginIo,
  { url, ca, audience }: TokenEndpoint,
  assertion: string,
): Promise<string> {
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:saml2-bearer',
    assertion: Buffer.from(assertion).toString('base64url'),
    ...(audience !== undefined && { audience }),
  };
  return await exchange(io, { url, ca }, form);
}

async function exchange(
  io: LoginIo,
  { url, ca }: Pick<TokenEndpoint, 'url' | 'ca'>,
  form: Readonly<Record<string, string>>,
): Promise<string> {
  const { status, body } = await io.exchange({ url: `${url}/v1/token`, form, ca });
  const fields = fieldsOf(body);
  const token = textOf(fields['access_token']);
  if (status === 200 && token !== undefined) return token;
  const why = printable(textOf(fields['error']) ?? `status ${status}`);
  throw new LoginError(`the controller gave no token: ${why} (docs/identity.md)`);
}
