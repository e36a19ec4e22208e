import { plainModelName } from '../../core/index.ts';
import { refuse } from '../request-fields.ts';

/**
 * The name by which access is decided: Ollama takes several for one model (types/model/name.go). `llama3`, `Llama3:latest` and
 * `registry.ollama.ai/library/llama3:latest` are `llama3`.
 */
export const plainModel = (name: string): string => plainModelName(name.toLowerCase());

/** @throws RefusedError `invalid_request` for what Ollama reads more out of than a name: a scheme, a digest. */
export function decidedModel(name: string): string {
  if (/:\/\/|[@\\]/.test(name)) refuse('model');
  return plainModel(name);
}
