/** How many notes there are of a namespace at once: its next one takes the place of one of its own. */
const slots = 64;

/**
 * The entry of ConfigMap `sidegate-changers` under which it is noted who takes a grant back: one of its namespace's own, so that none fills the
 * list for others. The uid is random, and nobody chooses it.
 */
export const changerKey = ({ namespace, uid }: { readonly namespace: string; readonly uid: string }): string =>
  `${namespace}.${Math.abs(Number.parseInt(uid.slice(-2), 16) || 0) % slots}`;
