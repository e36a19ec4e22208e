import { grantSpecSchema } from './schema/inference-grant.ts';

const { issuer, subject, models } = grantSpecSchema.properties;

/**
 * The field of an InferenceGrant's spec that is longer than sidecars read; undefined: none is. The API server counts code points, sidecars count UTF-16
 * units, of which a character outside of the basic plane (an emoji) has two.
 */
export function longGrantField(spec: Readonly<Record<string, unknown>>): string | undefined {
  const isLong = (value: unknown, most: number): boolean => typeof value === 'string' && value.length > most;
  if (isLong(spec['issuer'], issuer.maxLength)) return 'issuer';
  if (isLong(spec['subject'], subject.maxLength)) return 'subject';
  const named: readonly unknown[] = Array.isArray(spec['models']) ? spec['models'] : [];
  return named.some((one) => isLong(one, models.items.maxLength)) ? 'models' : undefined;
}
