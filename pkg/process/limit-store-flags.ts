import type { FlagReader } from './flags.ts';

/** Server that counts limits of scope `Policy`, as the flags of sidecar and controller name it. */
export interface LimitStoreSettings {
  readonly url: string;
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
  readonly caFile: string | undefined;
}

export const limitStoreFlags = {
  'limit-store': { help: 'redis:// or rediss:// address of the server that counts limits of scope Policy' },
  'limit-store-user': { help: 'its user' },
  'limit-store-password-file': { help: 'file with its password' },
  'limit-store-ca': { help: 'PEM file of authorities for rediss://' },
} as const;

/** Undefined: no such server is named. */
export function readLimitStore(flags: FlagReader<keyof typeof limitStoreFlags>): LimitStoreSettings | undefined {
  const url = flags.optional('limit-store');
  if (url === undefined) return undefined;
  if (!/^rediss?:\/\/[^@\s]+$/.test(url))
    flags.faults.push('--limit-store must be a redis:// or rediss:// address without user and password');
  return {
    url,
    user: flags.optional('limit-store-user'),
    passwordFile: flags.optional('limit-store-password-file'),
    caFile: flags.optional('limit-store-ca'),
  };
}
