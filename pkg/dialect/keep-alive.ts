import { either, lone, number } from './shape.ts';
import type { Shape } from './shape.ts';

/** Seconds, or a duration of Go (`5m`, `1h30m`). Negative: for ever. */
const duration = /^([+-]?)((?:\d+(?:\.\d+)?[smh])+|\d+)$/;
const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };

/** Whether the model would be gone as soon as it has answered, for everybody; true also of what cannot be read. */
function unloads(text: string): boolean {
  const [, sign, length] = duration.exec(text) ?? [];
  if (length === undefined) return true;
  const parts = [...length.matchAll(/([\d.]+)([smh]?)/g)];
  const sum = parts.reduce((all, [, count, unit]) => all + Number(count) * (seconds[unit ?? ''] ?? 1), 0);
  return sign === '-' ? sum === 0 : sum < 1;
}

/**
 * How long a server keeps a model in memory after this request (Ollama `api/types.go`, `Duration`). It holds for all callers, so less than a
 * second, by which the model would be unloaded at once, is refused.
 */
export const keepAlive: Shape = {
  ...either(lone, number),
  read(reader, node, place) {
    // Of a number the server takes the whole part, if it is not negative.
    const isGone =
      (node.kind === 'number' && !(Number(node.text) < 0 || Number(node.text) >= 1)) ||
      (node.kind === 'string' && unloads(node.text));
    if (isGone) reader.refuse(place);
    return false;
  },
};
