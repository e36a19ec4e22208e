/**
 * Every reason for which a request or an answer is refused or ended: status, wording, whether a client should try again.
 * Codes are stable: alerts, records and clients key on them. docs/errors.md has a row for each, and a test proves it.
 * Wording is fixed and never holds request content, tokens or matched text.
 */
interface Reason {
  readonly status: number;
  readonly message: string;
  /** The same request may succeed later without change. */
  readonly retry: boolean;
}

const reason = (status: number, message: string, retry = false): Reason => ({ status, message, retry });

export const reasons = {
  // Connection and framing
  tls_required: reason(426, 'This port speaks TLS only: use https://.'),
  ambiguous_framing: reason(400, 'The framing of the request is not allowed or could be read in two ways.'),
  malformed_http: reason(400, 'The request is not valid HTTP.'),
  header_too_large: reason(431, 'The request headers are larger than allowed.'),
  body_too_large: reason(413, 'The request body is larger than allowed.'),
  request_timeout: reason(408, 'The request did not arrive in time.'),
  deadline_exceeded: reason(504, 'The time that the caller gave this call is over.'),
  unsupported_encoding: reason(415, 'The Content-Encoding of the request is not supported.'),
  unsupported_media_type: reason(415, 'The Content-Type of the request is not supported on this route.'),
  method_not_allowed: reason(405, 'This method is not supported on this route.'),
  invalid_path: reason(400, 'The path of the request could be read in two ways.'),
  overloaded: reason(503, 'The sidecar holds as much as it may; try again shortly.', true),
  shutting_down: reason(503, 'The sidecar is stopping; try again on another connection.', true),
  // Body
  invalid_encoding: reason(400, 'The request body cannot be decoded.'),
  invalid_json: reason(400, 'The request body is not acceptable JSON.'),
  invalid_request: reason(400, 'The request body does not have the shape that this route expects.'),
  token_input_uninspectable: reason(400, 'Prompts given as token ids cannot be inspected; send text.'),
  file_not_allowed: reason(403, 'No rule lets a file of this type and size pass.'),
  max_tokens_exceeded: reason(400, 'More output tokens were asked for than a rule allows.'),
  // Identity
  conflicting_credentials: reason(400, 'Two different credentials were presented.'),
  token_missing: reason(401, 'No credential was presented.'),
  token_invalid: reason(401, 'The credential is not valid here.'),
  token_expired: reason(401, 'The credential has expired.'),
  token_revoked: reason(401, 'The credential was revoked.'),
  certificate_required: reason(401, 'A valid client certificate is required.'),
  identity_unavailable: reason(503, 'The identity provider cannot be reached to check this credential.', true),
  // Policy
  no_policy: reason(403, 'No policy selects this pod, so nothing is allowed.'),
  port_not_named: reason(403, 'The policy names other ports of this pod, so nothing is allowed on this one.'),
  policy_invalid: reason(503, 'The policy cannot be put into force, so nothing is allowed.', true),
  policy_expired: reason(503, 'The controller has not confirmed the policy for too long, so nothing is allowed.', true),
  access_denied: reason(403, 'No rule allows this caller to do this.'),
  rule_denied: reason(403, 'A rule denies this caller to do this.'),
  guard_blocked: reason(403, 'A guard refused the content of this request.'),
  analyzer_unavailable: reason(503, 'An analyzer that this policy requires cannot be asked.', true),
  approval_unavailable: reason(403, 'This needs an approval, and there is nobody to ask.'),
  approval_pending: reason(202, 'This waits for an approval: ask at Location, then send it again.', true),
  approval_denied: reason(403, 'This needed an approval, and was denied.'),
  approval_expired: reason(403, 'This needed an approval, and nobody decided in time.'),
  approval_used: reason(403, 'The approval of this was used by another request.'),
  approvals_limited: reason(429, 'Too many requests wait for an approval, or it was asked for too often.', true),
  approval_unknown: reason(404, 'There is no such approval of this caller.'),
  grant_ended: reason(403, 'The access that was granted for a time has ended.'),
  policy_changed: reason(403, 'The policy changed, and this answer is no longer allowed.'),
  // Limits
  rate_limited: reason(429, 'The request limit of this rule is used up.', true),
  token_limited: reason(429, 'The token limit of this rule is used up.', true),
  concurrency_limited: reason(429, 'Too many requests of this caller are under way.', true),
  caller_share_used: reason(429, 'Requests of this caller hold as much as those of one may; try again shortly.', true),
  limits_unavailable: reason(
    503,
    'The shared limit of this rule cannot be asked, and the policy forbids to go on without it.',
    true,
  ),
  // Answer
  response_blocked: reason(403, 'The answer holds content that this caller may not receive.'),
  response_uninspectable: reason(502, 'The answer has a shape that cannot be inspected.'),
  response_too_large: reason(502, 'The answer is larger than allowed.'),
  response_timeout: reason(504, 'The answer took longer than allowed.'),
  upstream_unreachable: reason(502, 'The model server cannot be reached.', true),
  upstream_timeout: reason(504, 'The model server did not answer in time.', true),
  upstream_protocol: reason(502, 'The model server broke the protocol.'),
  upstream_error: reason(502, 'The model server reported an error.'),
  upstream_unsupported: reason(502, 'The policy asks for a way to the model that this request cannot take.'),
  credential_unavailable: reason(503, "The model's credential is not available.", true),
  // The sidecar itself
  audit_unavailable: reason(503, 'The record cannot be written, and the policy forbids to go on without it.', true),
  internal_error: reason(500, 'The sidecar failed; the request was not let through.'),
} as const satisfies Readonly<Record<string, Reason>>;

export type ReasonCode = keyof typeof reasons;

/** Thrown on the way of a request to refuse it. One place (the error table of pkg/http and the dialect) turns it into an answer. */
export class RefusedError extends Error {
  readonly code: ReasonCode;
  readonly rule: string | undefined;
  /** Seconds, for 429 and 503. */
  readonly retryAfter: number | undefined;
  /** Which limit, header or field: from a closed set of names, never request content. */
  readonly detail: string | undefined;

  constructor(
    code: ReasonCode,
    options: {
      readonly rule?: string;
      readonly retryAfter?: number;
      readonly detail?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(reasons[code].message, { cause: options.cause });
    this.name = 'RefusedError';
    this.code = code;
    this.rule = options.rule;
    this.retryAfter = options.retryAfter;
    this.detail = options.detail;
  }
}
