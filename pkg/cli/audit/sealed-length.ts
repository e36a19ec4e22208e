import type { JsonNode } from '../../base/index.ts';

/** How long a text of a line is that is sealed and not opened, in UTF-16 units; undefined: it stands there. */
export const sealedLength = (item: JsonNode): number | undefined =>
  item.get('sealed') !== undefined && item.get('text') === undefined ? (item.get('length')?.number ?? 0) : undefined;
