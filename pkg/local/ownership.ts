/** Of this process's user, or root's, and nobody else may write it. */
export const isOurs = (uid: bigint, mode: bigint): boolean =>
  (mode & 0o022n) === 0n && (uid === 0n || uid === BigInt(process.getuid?.() ?? -1));
