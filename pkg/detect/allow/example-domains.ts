/** Second-level domains, and their subdomains, that nobody can have (RFC 2606 section 3; `example.edu` is IANA's as well). */
const secondLevel = new Set(['example.com', 'example.net', 'example.org', 'example.edu']);

/** Top-level domains that nobody can have (RFC 2606 section 2, RFC 6761). */
const topLevel = new Set(['test', 'example', 'invalid', 'localhost']);

/** Whether this is an e-mail address, in lower case, of a domain for examples. */
export function isOfExampleDomain(value: string): boolean {
  const at = value.lastIndexOf('@');
  if (at < 0) return false;
  const labels = value.slice(at + 1).split('.');
  return topLevel.has(labels.at(-1) ?? '') || secondLevel.has(labels.slice(-2).join('.'));
}
