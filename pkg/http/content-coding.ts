import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Transform } from 'node:stream';

/**
 * Content-Encoding (RFC 9110 section 8.4.1) undone as a stream, so that a bomb is met chunk by chunk and never whole.
 * Bytes after the end of the coded data are an error: another parser might read them.
 */
export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd';

/** What we ask a model for: identity first, since compressing over loopback only costs. */
export const acceptEncoding = 'identity;q=1, gzip;q=0.5, br;q=0.4, zstd;q=0.3';

/** `identity` for none; undefined for anything unknown or stacked. */
export function codingOf(header: string | undefined): Coding | 'identity' | undefined {
  if (header === undefined) return 'identity';
  switch (header.trim().toLowerCase()) {
    case '':
    case 'identity':
      return 'identity';
    case 'gzip':
    case 'x-gzip': // the same, RFC 9110 section 8.4.1.3
      return 'gzip';
    case 'deflate':
      return 'deflate';
    case 'br':
      return 'br';
    case 'zstd':
      return 'zstd';
    default:
      return undefined;
  }
}

/** 8 MiB windows at most, for either: RFC 9659 for zstd; brotli's own limit is 16 MiB. */
const zstdWindowLog = 23;

export function createDecoder(coding: Coding): Transform {
  const options = { rejectGarbageAfterEnd: true };
  switch (coding) {
    case 'gzip':
      return createGunzip(options);
    case 'deflate':
      return createInflate(options);
    case 'br':
      return createBrotliDecompress(options);
    case 'zstd':
      return createZstdDecompress({ ...options, params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLog } });
    default:
      return unknown(coding);
  }
}

function unknown(coding: never): never {
  throw new TypeError(`unknown coding: ${String(coding)}`);
}
