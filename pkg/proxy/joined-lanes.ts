import type { JsonNode } from '../base/index.ts';
import type { Lane } from '../dialect/index.ts';
import type { LaneKind } from '../detect/index.ts';

/** A text of a whole answer, of all the string values that clients join to it. */
export interface LaneText {
  readonly id: string;
  readonly kind: LaneKind;
  /** In the order in which they are joined. */
  readonly nodes: readonly JsonNode[];
}

/** Lanes of one id are one text, in the place of the first: what is looked for may stand across them. */
export function joinLanes(lanes: readonly Lane[]): readonly LaneText[] {
  const byId = new Map<string, { readonly id: string; readonly kind: LaneKind; readonly nodes: JsonNode[] }>();
  for (const { id, kind, node } of lanes) {
    const known = byId.get(id);
    if (known === undefined) byId.set(id, { id, kind, nodes: [node] });
    else known.nodes.push(node);
  }
  return [...byId.values()];
}
