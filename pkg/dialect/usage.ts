import type { JsonNode } from '../base/index.ts';
import type { Usage } from './dialect.ts';

/**
 * Tokens that an answer says were used, in the names of OpenAI's two APIs and of those that follow them. Servers of embeddings may say
 * `total_tokens` alone.
 */
export function usageOf(root: JsonNode): Usage | undefined {
  const usage = root.get('usage');
  if (usage?.kind !== 'object') return undefined;
  const input = wholeNumber(usage.get('prompt_tokens') ?? usage.get('input_tokens'));
  const output = wholeNumber(usage.get('completion_tokens') ?? usage.get('output_tokens'));
  if (input !== undefined || output !== undefined) return { input: input ?? 0, output: output ?? 0 };
  const total = wholeNumber(usage.get('total_tokens'));
  return total === undefined ? undefined : { input: total, output: 0 };
}

function wholeNumber(node: JsonNode | undefined): number | undefined {
  const value = node?.number;
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
