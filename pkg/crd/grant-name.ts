import { canonical, sha256 } from '../core/index.ts';

/** Hexadecimal digits of the hash: 160 bits, so that nobody finds two specs of one name (2^80 hashes). */
const nameDigits = 40;

/**
 * The only name that an InferenceGrant with this `spec` may have: `grant-` and the first 40 digits of SHA-256 over the spec as canonical JSON
 * (sorted keys, no white space). So whoever is shown a name, a link or a command, and decides by it, decides on what was shown: nobody can
 * take a grant away and put another in its place.
 *
 * @param spec as the API server holds it
 */
export const grantName = (spec: object): string => `grant-${sha256(canonical(spec)).slice(0, nameDigits)}`;
