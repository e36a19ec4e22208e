import type { ReasonCode } from '../../core/index.ts';

/** What decides that a session is refused with a code: the policies; how much there was just then; or something else. */
export type DecidedBy = 'policy' | 'limit' | 'other';

/**
 * Of what was refused though the record names no rule that refused it. `other` says nothing of what policies would do: the request was none, its credential
 * was not good, the model or the sidecar could not go on, or what the policy looked at is not in the record.
 */
const deciders: Readonly<Record<ReasonCode, DecidedBy>> = {
  tls_required: 'other',
  ambiguous_framing: 'other',
  malformed_http: 'other',
  header_too_large: 'other',
  body_too_large: 'other',
  request_timeout: 'other',
  deadline_exceeded: 'other',
  unsupported_encoding: 'other',
  unsupported_media_type: 'other',
  method_not_allowed: 'other',
  invalid_path: 'other',
  overloaded: 'other',
  shutting_down: 'other',
  invalid_encoding: 'other',
  invalid_json: 'other',
  invalid_request: 'other',
  token_input_uninspectable: 'other',
  file_not_allowed: 'other',
  max_tokens_exceeded: 'other',
  conflicting_credentials: 'other',
  token_missing: 'policy',
  token_invalid: 'other',
  token_expired: 'other',
  token_revoked: 'other',
  certificate_required: 'policy',
  identity_unavailable: 'other',
  no_policy: 'policy',
  port_not_named: 'policy',
  policy_invalid: 'other',
  policy_expired: 'other',
  access_denied: 'policy',
  rule_denied: 'policy',
  guard_blocked: 'policy',
  analyzer_unavailable: 'other',
  approval_unavailable: 'policy',
  approval_pending: 'policy',
  approval_denied: 'policy',
  approval_expired: 'policy',
  approval_used: 'policy',
  approvals_limited: 'limit',
  approval_unknown: 'other',
  grant_ended: 'other',
  policy_changed: 'other',
  rate_limited: 'limit',
  token_limited: 'limit',
  concurrency_limited: 'limit',
  caller_share_used: 'limit',
  limits_unavailable: 'limit',
  response_blocked: 'policy',
  response_uninspectable: 'other',
  response_too_large: 'other',
  response_timeout: 'other',
  upstream_unreachable: 'other',
  upstream_timeout: 'other',
  upstream_protocol: 'other',
  upstream_error: 'other',
  upstream_unsupported: 'other',
  credential_unavailable: 'other',
  audit_unavailable: 'other',
  internal_error: 'other',
};

/** @param code Of a record; one that is not known: a newer sidecar's. None: by policies, as records from before codes say nothing else. */
export function decidedBy(code: string | undefined): DecidedBy {
  if (code === undefined) return 'policy';
  return Object.hasOwn(deciders, code) ? deciders[code as ReasonCode] : 'other';
}
