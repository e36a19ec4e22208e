import type { FlagReader } from './flags.ts';

/** Server that counts limits of scope `Policy`, as the flags of sidecar and controller name it. */
export interface LimitStoreSettings {
  readonly url: string;
  readonly user: string | undefined;
  readonly passwordFile: string | undefined;
  readonly caFile: string | undefined;
}

export const limitStoreFlags = {
  'limit-store': {
    help: 'rediss:// address of the server that counts limits of scope Policy; redis:// on loopback alone, and never of a controller',
  },
  'limit-store-user': { help: 'its user' },
  'limit-store-password-file': { help: 'file with its password' },
  'limit-store-ca': { help: 'PEM file of authorities for rediss://' },
} as const;

const plainOnLoopback = /^redis:\/\/(127(\.[0-9]{1,3}){3}|\[::1\]|localhost)(:[0-9]{1,5})?(\/[0-9]*)?$/;

/**
 * Undefined: no such server is named.
 *
 * Only over TLS does a sidecar know whom it gives the password, and whose word it takes on what is left of a limit: names are looked up
 * in its pod, whose author may lead them elsewhere (`hostAliases`, `dnsConfig`).
 *
 * @param plain whether a server on this process's own loopback may be without TLS
 */
export function readLimitStore(
  flags: FlagReader<keyof typeof limitStoreFlags>,
  plain: 'never' | 'on loopback',
): LimitStoreSettings | undefined {
  const url = flags.optional('limit-store');
  if (url === undefined) return undefined;
  if (!/^rediss:\/\/[^@\s]+$/.test(url) && !(plain === 'on loopback' && plainOnLoopback.test(url)))
    flags.faults.push(
      plain === 'never'
        ? '--limit-store must be a rediss:// address without user and password: without TLS a pod could stand in for the server'
        : '--limit-store must be a rediss:// address without user and password, or redis:// on loopback',
    );
  return {
    url,
    user: flags.optional('limit-store-user'),
    passwordFile: flags.optional('limit-store-password-file'),
    caFile: flags.optional('limit-store-ca'),
  };
}
