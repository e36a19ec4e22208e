import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { canonical } from '../core/index.ts';
import type { CompiledProvider } from '../core/index.ts';

/**
 * Whether a provider still proves whom it proved: it says the same, or has more keys than before and nothing else is changed. A key
 * that is gone may be the one that proved a caller.
 */
export function provesTheSame(before: CompiledProvider | undefined, after: CompiledProvider | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  return (
    canonical(withoutKeys(before)) === canonical(withoutKeys(after)) &&
    holdsAll(before.serviceAccount?.keys, after.serviceAccount?.keys) &&
    holdsAll(before.sidegate?.keys, after.sidegate?.keys)
  );
}

const withoutKeys = ({ serviceAccount, sidegate, ...others }: CompiledProvider): object => ({
  ...others,
  serviceAccount: serviceAccount === undefined ? undefined : { ...serviceAccount, keys: undefined },
  sidegate: sidegate === undefined ? undefined : { ...sidegate, keys: undefined },
});

/** Of two JWK sets. Without one (keys are then fetched, or nobody is proven) another one is a change, and so is losing it. */
function holdsAll(before: string | undefined, after: string | undefined): boolean {
  if (before === after) return true;
  const [old, now] = [keysOf(before), keysOf(after)];
  if (old === undefined || now === undefined) return false;
  const known = new Set(now.map(canonical));
  return old.every((key) => known.has(canonical(key)));
}

function keysOf(text: string | undefined): readonly JsonValue[] | undefined {
  if (text === undefined) return undefined;
  try {
    const set = jsonValue(parseJson(text));
    if (typeof set !== 'object' || set === null || Array.isArray(set)) return undefined;
    return Array.isArray(set['keys']) ? set['keys'] : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
