import type { Operation } from '../../core/index.ts';

/**
 * Anthropic's Messages API, as Anthropic, vLLM, SGLang, llama.cpp, Ollama and LiteLLM serve it (gateways under `/anthropic` too). Batches and files
 * are kept on the server for later: they are `Other`. Anything else on these paths is not one of them.
 */

export interface AnthropicRoute {
  readonly operation: Operation;
  readonly body: 'json';
  readonly model: undefined;
  /** False: the tokens of the prompt are counted, nothing is generated. */
  readonly generates: boolean;
}

const exact = new Map<string, AnthropicRoute>();
for (const prefix of ['/v1', '/anthropic/v1']) {
  exact.set(`POST ${prefix}/messages`, { operation: 'Chat', body: 'json', model: undefined, generates: true });
  exact.set(`POST ${prefix}/messages/count_tokens`, {
    operation: 'Chat',
    body: 'json',
    model: undefined,
    generates: false,
  });
}

/** Undefined: none of these routes. */
export function anthropicRoute(method: string, path: string): AnthropicRoute | undefined {
  return exact.get(`${method} ${path}`);
}
