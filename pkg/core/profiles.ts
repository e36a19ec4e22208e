import type { Profile, RecordedContent } from './policy.ts';

/** Values that fill what no policy says, after combination. */
export interface ProfileDefaults {
  readonly 'tls.inbound': 'Required' | 'Mutual' | 'Optional';
  readonly 'tls.minVersion': 'TLSv1.2' | 'TLSv1.3';
  readonly onUnknown: 'Deny' | 'Buffer';
  readonly 'audit.content': RecordedContent;
  readonly 'audit.onFailure': 'Deny' | 'Allow';
  readonly 'requestLimits.maxBodyBytes': number;
  readonly 'requestLimits.bodyTimeoutMs': number;
  readonly 'requestLimits.upstreamIdleMs': number;
  readonly maxPolicyAgeMs: number;
  readonly 'approvals.required': number;
  readonly 'approvals.timeoutMs': number;
  readonly 'approvals.maxGrantMs': number;
}

const minute = 60_000;
const day = 24 * 60 * minute;
const mebibyte = 1024 * 1024;

/**
 * No profile gives up TLS, the record's masking or default deny: whoever wants less of those writes it down in a policy,
 * where a review sees it.
 */
export const profiles: Readonly<Record<Profile, ProfileDefaults>> = {
  Strict: {
    'tls.inbound': 'Required',
    'tls.minVersion': 'TLSv1.3',
    onUnknown: 'Deny',
    'audit.content': 'Masked',
    'audit.onFailure': 'Deny',
    'requestLimits.maxBodyBytes': mebibyte,
    'requestLimits.bodyTimeoutMs': 10_000,
    'requestLimits.upstreamIdleMs': 2 * minute,
    maxPolicyAgeMs: day,
    'approvals.required': 1,
    'approvals.timeoutMs': 3 * minute,
    'approvals.maxGrantMs': 60 * minute,
  },
  Standard: {
    'tls.inbound': 'Required',
    'tls.minVersion': 'TLSv1.2',
    onUnknown: 'Deny',
    'audit.content': 'Masked',
    'audit.onFailure': 'Deny',
    'requestLimits.maxBodyBytes': 8 * mebibyte,
    'requestLimits.bodyTimeoutMs': 30_000,
    'requestLimits.upstreamIdleMs': 10 * minute,
    maxPolicyAgeMs: day,
    'approvals.required': 1,
    'approvals.timeoutMs': 3 * minute,
    'approvals.maxGrantMs': 480 * minute,
  },
  Relaxed: {
    'tls.inbound': 'Required',
    'tls.minVersion': 'TLSv1.2',
    onUnknown: 'Buffer',
    'audit.content': 'Masked',
    'audit.onFailure': 'Allow',
    'requestLimits.maxBodyBytes': 32 * mebibyte,
    'requestLimits.bodyTimeoutMs': 60_000,
    'requestLimits.upstreamIdleMs': 30 * minute,
    maxPolicyAgeMs: day,
    'approvals.required': 1,
    'approvals.timeoutMs': 10 * minute,
    'approvals.maxGrantMs': 1_440 * minute,
  },
};

/** Where no policy names a profile. */
export const defaultProfile: Profile = 'Standard';
