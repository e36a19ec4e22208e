import type { AllowSet, AllowSpec } from '../../core/index.ts';
import { foldText } from '../scan/fold-text.ts';
import { isDocumentationAddress } from './documentation-addresses.ts';
import { isOfExampleDomain } from './example-domains.ts';
import { testCards } from './test-cards.ts';

/** What digits are grouped by, where a value is nothing but digits: then these do not matter. */
const digitsAlone = /^[0-9 ()+/-]+$/;

/** Two values are the same where these are. */
const normal = (value: string): string =>
  digitsAlone.test(value) ? value.replace(/[^0-9]/g, '') : value.toLowerCase();

const members: Readonly<Record<AllowSet, (value: string) => boolean>> = {
  TestCards: (value) => testCards.has(value),
  DocumentationAddresses: isDocumentationAddress,
  ExampleDomains: isOfExampleDomain,
};

/**
 * Whether a finding, as a reader sees it, is allowed by every one of these. Undefined: they allow nothing.
 *
 * @param fold what a reader sees, character by character: values of policies are compared as such
 */
export function allowedBy(
  specs: readonly AllowSpec[],
  fold: (code: number) => string,
): ((value: string) => boolean) | undefined {
  if (specs.length === 0) return undefined;
  const each = specs.map(({ sets, values }) => {
    const literal = new Set(values.map((value) => normal(foldText(value, fold))));
    return (value: string): boolean => literal.has(value) || sets.some((set) => members[set](value));
  });
  return (value) => {
    const one = normal(value);
    return each.every((allows) => allows(one));
  };
}
