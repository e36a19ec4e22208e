import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { errorCode } from '../../base/index.ts';

/** The fastest level: a line repeats the names of its members and its chain, which is most of what there is to save. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 };

export const compress = (lines: Uint8Array): Buffer => zstdCompressSync(lines, { params });

/** That the bytes are at fault. A process that is short of memory says nothing of them: the archive would keep such a block without its lines for ever. */
const ofBytes = /^(?:ZSTD_error_(?!memory_)|Z_BUF_ERROR$|ERR_BUFFER_TOO_LARGE$|ERR_OUT_OF_RANGE$)/;

/**
 * @param size What it was before: a file that was tampered with cannot ask for more memory.
 * @returns undefined: it is not what was packed. One block that a disk, or somebody, has damaged must not stop what is done with all others.
 */
export function unpacked(data: Uint8Array, size: number): Buffer | undefined {
  try {
    return zstdDecompressSync(data, { maxOutputLength: Math.max(1, size) });
  } catch (error) {
    if (ofBytes.test(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** Stands for the lines of a block that is damaged: none of the record, so that whoever proves the block finds it changed. */
export const damagedLines: Buffer = Buffer.from('\n');
