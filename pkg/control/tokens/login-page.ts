const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

/** Where the page's form goes. */
export const confirmPath = '/v1/saml/continue';

/** What a person is asked before a program has their token: whoever followed a link began nothing, and can tell. */
export interface LoginQuestion {
  /** Whom the identity provider named. */
  readonly person: string;
  /** Where the program listens: `http://127.0.0.1:PORT`. */
  readonly program: string;
  /** Goes with the form, once. */
  readonly value: string;
}

/**
 * The page, without a script and without anything from elsewhere, and the head that keeps it so. It is in nobody's frame, and its form goes
 * here and on to the program alone; an address in brackets cannot be written in a policy (CSP 3, host-source), so there the scheme is.
 */
export function loginPage({ person, program, value }: LoginQuestion): {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
} {
  const target = program.includes('[') ? 'http:' : program;
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Log in to a program?</title>
<h1>A program on this machine wants to log in as you</h1>
<p>It listens at <code>${escaped(program)}</code>, and will act as <b>${escaped(person)}</b>.</p>
<p>Continue only if you have just begun to log in there, as with <code>kubectl sidegate login</code>. If you have not, close this page.</p>
<form method="post" action="${confirmPath}">
<input type="hidden" name="value" value="${escaped(value)}">
<button type="submit">Continue</button>
</form>
</html>
`;
  const policy = `default-src 'none'; form-action 'self' ${target}; frame-ancestors 'none'; base-uri 'none'`;
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
  };
  return { body, headers };
}
