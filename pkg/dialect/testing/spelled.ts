import type { LoneValue } from '../dialect.ts';
import { strangerStep } from '../place.ts';

/** The id of a lane with the keys that it has digests of, as `{key}`: what tests can say without knowing the process's secret. */
export function spelled(view: { readonly loneValues: readonly LoneValue[] }, id: string): string {
  const keys = view.loneValues.filter(({ key }) => key).map(({ node }) => node.text);
  const names = new Map(keys.map((key) => [strangerStep(key), `{${key}}`]));
  return id.replace(/\{[0-9a-f]{16}\}/g, (step) => names.get(step) ?? step);
}
