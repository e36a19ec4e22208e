import type { JsonNode } from '../base/index.ts';
import type { View } from '../detect/index.ts';

/** A value that a field rule names. */
export interface NamedField {
  readonly node: JsonNode;
  readonly rule: number;
}

/** Numbers of one list that are looked at one by one; a longer one falls as a whole under a rule that names some of them. */
const mostNumbers = 100_000;

/**
 * The values below this one that field rules name, where it is `$`. Of what is in a value that a rule replaces nothing is told; of what is in one that a
 * rule only notes, what other rules name.
 */
export function namedFields(view: View, root: JsonNode): readonly NamedField[] {
  const found: NamedField[] = [];
  const path: (string | number)[] = [];
  /** @param above the rule that names a field around this one and replaces nothing, as in Observe: what is inside may be hidden. */
  const walk = (node: JsonNode, above: number | undefined): void => {
    if (node.numbers !== undefined) {
      // An embedding is hidden whole or not at all, unless a rule names its elements.
      const rule = view.fieldOfItems(path);
      if (rule === undefined || rule === above) return;
      if (node.numberCount > mostNumbers) return void found.push({ node, rule });
    }
    const { keys, items } = node;
    for (let at = 0; at < items.length; at++) {
      const item = items[at];
      if (item === undefined) continue;
      path.push(node.kind === 'object' ? (keys[at]?.text ?? '') : at);
      const rule = view.field(path);
      if (rule !== undefined && rule !== above) found.push({ node: item, rule });
      if (rule === undefined || view.spec.replace[rule] !== 1) walk(item, rule ?? above);
      path.pop();
    }
  };
  walk(root, undefined);
  return found;
}
