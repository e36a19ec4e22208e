import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** The fastest level: a line repeats the names of its members and its chain, which is most of what there is to save. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

export const compress = (lines: Uint8Array): Buffer => zstdCompressSync(lines, { params });

/** @param size What it was before: a file that was tampered with cannot ask for more memory. */
export const decompress = (data: Uint8Array, size: number): Buffer =>
  zstdDecompressSync(data, { maxOutputLength: Math.max(1, size) });
