/** The three networks of RFC 5737, of 256 addresses each. */
const version4 = /^(?:192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9]{1,3}$/;

/** Whether this is an IP address, in lower case, of a network for documentation: RFC 5737, `2001:db8::/32` (RFC 3849), `3fff::/20` (RFC 9637). */
export function isDocumentationAddress(value: string): boolean {
  if (version4.test(value)) return true;
  const [first = '', second = ''] = value.split(':');
  // Behind `::` what is left out is zero.
  const group = second === '' ? 0 : Number.parseInt(second, 16);
  if (!value.includes(':')) return false;
  return (first === '2001' && group === 0xdb8) || (first === '3fff' && group <= 0xfff);
}
