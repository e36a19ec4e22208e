import type { JsonEdit, JsonNode } from '../base/index.ts';
import type { Lane } from '../dialect/index.ts';
import type { Edit, LaneKind } from '../detect/index.ts';

/** A text of a whole answer, of all the string values that clients join to it. */
export interface JoinedLane {
  readonly id: string;
  readonly kind: LaneKind;
  readonly text: string;
  /** In the order in which they are joined. */
  readonly nodes: readonly JsonNode[];
}

/** Lanes of one id are one text, in the place of the first: what is looked for may stand across them. */
export function joinLanes(lanes: readonly Lane[]): readonly JoinedLane[] {
  const byId = new Map<string, { readonly id: string; readonly kind: LaneKind; text: string; nodes: JsonNode[] }>();
  for (const { id, kind, node } of lanes) {
    const known = byId.get(id);
    if (known === undefined) byId.set(id, { id, kind, text: node.text, nodes: [node] });
    else {
      known.text += node.text;
      known.nodes.push(node);
    }
  }
  return [...byId.values()];
}

/** What of the answer changes where a lane was masked: what stands for a finding stands in the value in which the finding begins. */
export function laneEdits(
  { nodes, text: source }: JoinedLane,
  { text, edits }: { readonly text: string; readonly edits: readonly Edit[] },
): readonly JsonEdit[] {
  const [only] = nodes;
  if (nodes.length === 1 && only !== undefined)
    return [{ start: only.start, end: only.end, text: JSON.stringify(text) }];
  let from = 0;
  return nodes.flatMap((node, at): readonly JsonEdit[] => {
    const start = from;
    from += node.text.length;
    const part = masked(source, edits, start, from, at === nodes.length - 1);
    return part === node.text ? [] : [{ start: node.start, end: node.end, text: JSON.stringify(part) }];
  });
}

/** The part of a text from `from` to `to` with these edits of the whole. */
function masked(source: string, edits: readonly Edit[], from: number, to: number, last: boolean): string {
  let out = '';
  let at = from;
  for (const { start, end, text } of edits) {
    if (end < from || (start >= to && !(last && start === to))) continue;
    if (start >= from) out += source.slice(at, start) + text;
    at = Math.max(at, Math.min(end, to));
  }
  return out + source.slice(at, to);
}
