import type { JsonValue } from '../base/index.ts';
import type { SeenVersions } from '../wire/index.ts';

/** The field `seen` of what was kept, as far as it can be read. */
export function readSeen(content: JsonValue): SeenVersions {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return {};
  const { seen } = content;
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) return {};
  const known = Object.entries(seen).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && /^[0-9]{1,30}$/.test(entry[1]),
  );
  return Object.fromEntries(known);
}
