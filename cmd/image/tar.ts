/** One entry of a layer; paths are absolute without the leading slash. */
export type TarEntry = { readonly path: string; readonly mode: number } & (
  | { readonly kind: 'file'; readonly data: Uint8Array }
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
);

const block = 512;
const typeOf = { file: '0', link: '2', folder: '5' } as const;

/**
 * A tar archive (POSIX ustar, IEEE Std 1003.1-1988) that depends on its entries alone: sorted by path, everything owned by
 * root, time zero. So equal contents give equal digests, on every machine and for every user.
 *
 * @throws RangeError for a path that ustar cannot hold (more than 100 bytes after a prefix of at most 155).
 */
export function tar(entries: readonly TarEntry[]): Buffer {
  const parts = [...entries].sort(byPath).flatMap((entry) => {
    const data = entry.kind === 'file' ? entry.data : new Uint8Array();
    return [header(entry, data.length), data, Buffer.alloc((block - (data.length % block)) % block)];
  });
  // Two empty blocks are the end.
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

/** Adds the folders that lead to each entry, so that nobody has to guess their mode; folders come before what they hold. */
export function withFolders(entries: readonly TarEntry[]): TarEntry[] {
  const given = new Set(entries.map((entry) => entry.path));
  const leading = new Set(
    entries.flatMap(({ path }) => path.split('/').map((_, depth, parts) => parts.slice(0, depth).join('/'))),
  );
  const missing = [...leading].filter((path) => path !== '' && !given.has(path));
  return [...entries, ...missing.map((path): TarEntry => ({ kind: 'folder', path, mode: 0o755 }))].sort(byPath);
}

const byPath = (a: TarEntry, b: TarEntry): number => (a.path < b.path ? -1 : 1);

function header(entry: TarEntry, size: number): Buffer {
  const bytes = Buffer.alloc(block);
  const { name, prefix } = splitPath(entry.kind === 'folder' ? `${entry.path}/` : entry.path);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  bytes.write(name, 0);
  bytes.write(octal(entry.mode, 7), 100);
  bytes.write(octal(0, 7), 108); // uid
  bytes.write(octal(0, 7), 116); // gid
  bytes.write(octal(size, 11), 124);
  bytes.write(octal(0, 11), 136); // time
  bytes.write(' '.repeat(8), 148); // the checksum's own place counts as blanks
  bytes.write(typeOf[entry.kind], 156);
  if (entry.kind === 'link') {
    if (Buffer.byteLength(entry.target) > 100) throw new RangeError(`${entry.path}: its link is too long for ustar`);
    bytes.write(entry.target, 157);
  }
  bytes.write('ustar\0' + '00', 257);
  bytes.write(prefix, 345);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}

function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const prefix = path.slice(0, slash);
    const name = path.slice(slash + 1);
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { name, prefix };
  }
  throw new RangeError(`${path} is too long for ustar`);
}
