import { createHmac } from 'node:crypto';
import type { ScanRule } from '../../core/index.ts';

/** A value longer than this, in UTF-16 units, is replaced by the label whatever the style: nothing longer is stored. */
export const longestStyledValue = 4096;

export function labelText(rule: ScanRule): string {
  return `[${rule.label}]`;
}

/** Whether the style prints something of the value. */
export function needsValue(rule: ScanRule): boolean {
  return rule.replacement.style === 'Hash' || rule.replacement.style === 'Partial';
}

/**
 * What stands in place of a finding, by its rule's style. `Partial` prints four stars and the last letters and digits, so that
 * the value's length does not show; a value of no more letters and digits than are kept prints only stars.
 *
 * @param value as a reader sees it (folded); undefined when it was too long to keep: then the label stands
 */
export function replacementText(rule: ScanRule, value: string | undefined, hashKey: Uint8Array): string {
  const style = rule.replacement;
  switch (style.style) {
    case 'Label':
      return labelText(rule);
    case 'Constant':
      return style.text;
    case 'Partial': {
      if (value === undefined) return labelText(rule);
      const shown = value.match(/[\p{L}\p{N}]/gu) ?? [];
      return `****${shown.length > style.keep && style.keep > 0 ? shown.slice(-style.keep).join('') : ''}`;
    }
    case 'Hash': {
      if (value === undefined) return labelText(rule);
      const digest = createHmac('sha256', hashKey).update(value).digest('hex');
      return `[${rule.label}:${digest.slice(0, 8)}]`;
    }
    default:
      return labelText(rule);
  }
}
