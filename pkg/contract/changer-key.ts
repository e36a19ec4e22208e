/**
 * How many notes there are of a namespace at once: its next one takes the place of one of its own. A note has at most 460 bytes, its key
 * included, so that 140 namespaces that fill theirs within a minute still leave room in 1 MiB.
 */
const slots = 16;

/**
 * The entry of ConfigMap `sidegate-changers` under which it is noted who takes a grant back: one of its namespace's own, so that none fills the
 * list for others. The uid is random, and nobody chooses it.
 */
export const changerKey = ({ namespace, uid }: { readonly namespace: string; readonly uid: string }): string =>
  `${namespace}.${Math.abs(Number.parseInt(uid.slice(-2), 16) || 0) % slots}`;
