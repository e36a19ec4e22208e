/**
 * What an ELF file (64 bit, little endian: amd64 and arm64) needs at run time: its interpreter and its shared libraries, as
 * `readelf -d` lists them. System V ABI, chapters 4 and 5.
 */
export interface ElfNeeds {
  /** Path of the dynamic loader (PT_INTERP); undefined for libraries and static programs. */
  readonly interpreter: string | undefined;
  /** Names (DT_NEEDED). */
  readonly libraries: readonly string[];
}

const programHeader = { load: 1, dynamic: 2, interpreter: 3 } as const;
const dynamicTag = { end: 0n, needed: 1n, strings: 5n } as const;

/** Undefined when the bytes are no such ELF file. */
export function elfNeeds(bytes: Buffer): ElfNeeds | undefined {
  if (bytes.length < 64 || bytes.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return undefined;
  const at = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const headers = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const start = at + index * size;
    return {
      type: bytes.readUInt32LE(start),
      offset: Number(bytes.readBigUInt64LE(start + 8)),
      address: Number(bytes.readBigUInt64LE(start + 16)),
      length: Number(bytes.readBigUInt64LE(start + 32)),
    };
  });
  const text = (offset: number): string => bytes.toString('latin1', offset, bytes.indexOf(0, offset));
  const interpreter = headers.find((one) => one.type === programHeader.interpreter);
  const dynamic = headers.find((one) => one.type === programHeader.dynamic);
  const tags: { readonly tag: bigint; readonly value: number }[] = [];
  if (dynamic !== undefined) {
    for (let position = dynamic.offset; position < dynamic.offset + dynamic.length; position += 16) {
      const tag = bytes.readBigUInt64LE(position);
      if (tag === dynamicTag.end) break;
      tags.push({ tag, value: Number(bytes.readBigUInt64LE(position + 8)) });
    }
  }
  // The table of strings is named by its address in memory: the segment that holds it says where it is in the file.
  const strings = tags.find((one) => one.tag === dynamicTag.strings)?.value ?? 0;
  const segment = headers.find(
    ({ type, address, length }) => type === programHeader.load && address <= strings && strings < address + length,
  );
  const base = segment === undefined ? 0 : strings - segment.address + segment.offset;
  return {
    interpreter: interpreter === undefined ? undefined : text(interpreter.offset),
    libraries: tags.filter((one) => one.tag === dynamicTag.needed).map((one) => text(base + one.value)),
  };
}
