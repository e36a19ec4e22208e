import { readFile, stat } from 'node:fs/promises';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import type { HttpGet } from '../http-get.ts';
import { readMetadata } from './metadata.ts';
import type { IdpMetadata } from './metadata.ts';
import { SamlFault } from './saml-fault.ts';
import { longestDocument } from './xml.ts';

/** Where the metadata of an identity provider stands. */
export type MetadataPlace =
  | { readonly url: string; /** PEM file of authorities beside the public ones. */ readonly caFile?: string }
  | { readonly file: string };

/**
 * Metadata of one identity provider, kept fresh. A key that it no longer has stops counting at the next look: at most 10 s later of
 * a file, an hour later of an address, or as early as the metadata says (`cacheDuration`), but not within a minute. While it cannot be had, or is no good, the last good one stays for a day.
 */
export interface MetadataSource {
  /** Undefined: there is none, or it is too old. */
  current(): IdpMetadata | undefined;
  close(): void;
}

export interface MetadataOptions {
  readonly entityId: string;
  readonly place: MetadataPlace;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly get: HttpGet;
}

const times = {
  file: { refreshMs: 10_000, retryMs: 2_000 },
  url: { refreshMs: 3_600_000, retryMs: 5_000 },
} as const;
const staleMs = 86_400_000;
/** No metadata has an address asked for more often. */
const leastRefreshMs = 60_000;
const fetchMs = 10_000;

export function followMetadata({ entityId, place, clock, logger, get }: MetadataOptions): MetadataSource {
  const { refreshMs, retryMs } = 'url' in place ? times.url : times.file;
  let known: { readonly metadata: IdpMetadata; readonly at: number } | undefined;
  let timer: Timer | undefined;
  let failures = 0;
  let closed = false;

  const read = async (): Promise<Uint8Array> => {
    if ('file' in place) {
      if ((await stat(place.file)).size > longestDocument) throw new SamlFault('too_large');
      return await readFile(place.file);
    }
    return await get({
      url: new URL(place.url),
      ca: place.caFile === undefined ? undefined : { kind: 'File', path: place.caFile },
      // Okta gives JSON to who does not ask for XML.
      accept: 'application/samlmetadata+xml, application/xml, text/xml',
      maxBytes: longestDocument,
      timeoutMs: fetchMs,
    });
  };
  /** Until the next look at what is good: before it is over, where it has an end. */
  const restMs = (): number => {
    const { cacheMs = Infinity, validUntil = Infinity } = known?.metadata ?? {};
    return Math.min(refreshMs, Math.max(leastRefreshMs, Math.min(cacheMs, validUntil - clock.now())));
  };
  const look = async (): Promise<void> => {
    try {
      const metadata = readMetadata(await read(), entityId, clock.now());
      if (failures > 0) logger.info('metadata of the identity provider is fresh again', { entityId });
      known = { metadata, at: clock.monotonic() };
      failures = 0;
    } catch (error) {
      failures++;
      logger.warn('metadata of the identity provider could not be had', { entityId, error: describeError(error) });
    }
    if (!closed) timer = clock.after(failures === 0 ? restMs() : Math.min(retryMs * failures, refreshMs), next);
  };
  const next = (): void => void look();
  next();

  return {
    current() {
      if (known === undefined || clock.monotonic() - known.at > staleMs) return undefined;
      const { validUntil } = known.metadata;
      return validUntil !== undefined && clock.now() >= validUntil ? undefined : known.metadata;
    },
    close() {
      closed = true;
      timer?.cancel();
    },
  };
}
