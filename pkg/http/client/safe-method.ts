const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Whether a request may be sent again though its server may have read it: its method asks for no change there (RFC 9110 section 9.2.1), and it
 * has no body, by which servers do what they like (as in Go's net/http).
 */
export function isSafe(method: string, body: { readonly length: number } | undefined): boolean {
  return safeMethods.has(method) && (body === undefined || body.length === 0);
}
