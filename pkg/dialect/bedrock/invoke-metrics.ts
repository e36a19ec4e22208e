import type { JsonNode } from '../../base/index.ts';
import type { Usage } from '../dialect.ts';
import { named, number, object } from '../shape.ts';

/** What Bedrock itself adds to the last chunk of a stream, whichever model wrote it. */
export const metricsField = 'amazon-bedrock-invocationMetrics';

export const metrics = object(
  named(
    'inputTokenCount outputTokenCount invocationLatency firstByteLatency cacheReadInputTokenCount cacheWriteInputTokenCount'.split(
      ' ',
    ),
    number,
  ),
);

/** A count of tokens; 0 where it is none. */
export function tokensOf(holder: JsonNode | undefined, name: string): number {
  const value = holder?.get(name)?.number;
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

export function metricsUsage(root: JsonNode): Usage | undefined {
  const said = root.get(metricsField);
  if (said?.kind !== 'object') return undefined;
  const cached = tokensOf(said, 'cacheReadInputTokenCount') + tokensOf(said, 'cacheWriteInputTokenCount');
  return { input: tokensOf(said, 'inputTokenCount') + cached, output: tokensOf(said, 'outputTokenCount') };
}
