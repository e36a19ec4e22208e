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
 *
 * @param whole may it be named itself
 */
export function namedFields(view: View, root: JsonNode, whole: boolean): readonly NamedField[] {
  const found: NamedField[] = [];
  const path: (string | number)[] = [];
  /** @param above the rule that names a field around this one and replaces nothing, as in Observe: what is inside may be hidden. */
  const judge = (node: JsonNode, rule: number | undefined, above: number | undefined): void => {
    if (rule !== undefined && rule !== above) found.push({ node, rule });
    if (rule === undefined || view.spec.replace[rule] !== 1) walk(node, rule ?? above);
  };
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
      judge(item, view.field(path), above);
      path.pop();
    }
  };
  if (whole) judge(root, view.field(path), undefined);
  else walk(root, undefined);
  return found;
}

/** The same of a body (undefined: it is not looked at) and of what tools are called with in it, each value once. */
export function namedFieldsOf(
  view: View,
  body: JsonNode | undefined,
  toolInputs: readonly JsonNode[],
): readonly NamedField[] {
  const fields = body === undefined ? [] : namedFields(view, body, false);
  if (toolInputs.length === 0) return fields;
  // A walk names a value once. The model chooses how many there are: each is looked up, not searched for.
  const known = new Map(fields.map(({ node, rule }) => [node, rule]));
  const more = toolInputs.flatMap((input) => namedFields(view, input, true));
  return [...fields, ...more.filter(({ node, rule }) => known.get(node) !== rule)];
}

/** What stands in place of each text and key in values that the view replaces. Undefined: there is none. */
export function labelsOf(view: View, fields: readonly NamedField[]): ReadonlyMap<JsonNode, string> | undefined {
  let labels: Map<JsonNode, string> | undefined;
  for (const { node, rule } of fields) {
    if (view.spec.replace[rule] !== 1) continue;
    labels ??= new Map<JsonNode, string>();
    putLabel(labels, node, view.fieldReplacement(rule, node.text));
  }
  return labels;
}

function putLabel(labels: Map<JsonNode, string>, node: JsonNode, label: string): void {
  labels.set(node, label);
  if (node.numbers !== undefined) return;
  for (const key of node.keys) labels.set(key, label);
  for (const item of node.items) putLabel(labels, item, label);
}
