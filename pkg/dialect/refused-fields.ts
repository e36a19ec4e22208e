import type { JsonNode } from '../base/index.ts';
import { free, named, object, unlisted } from './shape.ts';
import type { Shape } from './shape.ts';

/** Clients write fields that they do not use so. */
export const saysNothing = (node: JsonNode): boolean =>
  node.kind === 'null' || (node.kind === 'array' && node.items.length === 0 && node.numberCount === 0);

/** Fields that make what was decided untrue, unless they hold nothing. */
export const refused: Shape = {
  read(reader, node, place) {
    if (!saysNothing(node)) reader.refuse(place);
    return true;
  },
};

/**
 * How a model lies in memory: Ollama's `api.Runner`, of any version. Where one differs from what the model was loaded with, it is loaded anew, for
 * everybody. Gateways hand them on from OpenAI's routes.
 */
export const runnerOptions: readonly string[] = [
  'num_ctx num_batch num_gpu main_gpu num_thread num_gqa draft_num_predict low_vram f16_kv logits_all vocab_only embedding_only',
  'use_mmap use_mlock numa rope_frequency_base rope_frequency_scale',
]
  .join(' ')
  .split(' ');

/** Who is served first (vLLM, SGLang, LiteLLM, Cohere, Triton): 0, which is what is not said. Whether more is sooner or later, the server's settings say. */
const usualPriority: Shape = {
  read(reader, node, place) {
    if (!saysNothing(node) && node.number !== 0) reader.refuse(place);
    return true;
  },
};

/** LiteLLM: which of its own guardrails look at a request. It reads them among the body's fields and in its metadata. */
const guardrails =
  'guardrails guardrail_config disable_global_guardrail disable_global_guardrails opted_out_global_guardrails'.split(
    ' ',
  );

/** Such fields of any dialect: LiteLLM, vLLM and SGLang read them on each of their routes. */
export const refusedFields: Readonly<Record<string, Shape>> = {
  // They name another model, adapter or server than the one that access was decided for.
  ...named(
    [
      'models model_list fallbacks context_window_fallbacks content_policy_fallbacks context_window_fallback_dict lora_path lora',
      'api_base base_url api_key custom_llm_provider deployment_id specific_deployment litellm_credential_name',
      // mlx_lm.server's, mlx-omni-server's, LoRAX's and TGI's.
      'adapter adapters adapter_id adapter_ids adapter_name adapter_path adapter_source adapter_parameters merged_adapters',
      'router_settings_override user_config fastest_response prompt_id region_name organization tags model_info',
      // Azure: a store that is asked with the caller's words. OpenRouter: whose servers answer, and what stands in front of the prompt.
      'data_sources provider preset plugins',
      // They say which of the fields beside them are obeyed.
      'additional_drop_params drop_params allowed_openai_params',
      // Whatever is in it goes over what stands beside it.
      'extra_body extra_query extra_headers',
    ]
      .join(' ')
      .split(' '),
    refused,
  ),
  // They name a server that the prompt's cache is taken from or given to, or another's session that goes on.
  ...named(
    [
      'kv_transfer_params bootstrap_host bootstrap_port bootstrap_room session_params disaggregated_params',
      'migration_request with_cache preserve_cache',
    ]
      .join(' ')
      .split(' '),
    refused,
  ),
  // vLLM, SGLang: requests that are at work are told apart by these. Two of one name mix, or end the engine for everybody.
  ...named(['request_id', 'rid'], refused),
  ...named(runnerOptions, refused),
  // LiteLLM: how often models are asked for one request, what is answered in a model's place.
  ...named(
    [
      'num_retries max_retries retry_policy retry_strategy mock_response mock_tool_calls mock_timeout mock_delay',
      'mock_testing_fallbacks mock_testing_context_fallbacks mock_testing_content_policy_fallbacks mock_testing_rate_limit_error',
    ]
      .join(' ')
      .split(' '),
    refused,
  ),
  ...named(guardrails, refused),
  priority: usualPriority,
  // Whose answers a gateway's cache gives, or is told to keep this one among.
  cache: { ...unlisted, fields: new Map([['namespace', refused]]) },
  // A template of the caller's makes any prompt of any text; processors name code that the server runs.
  ...named(['chat_template', 'logits_processors', 'custom_logit_processor'], refused),
  chat_template_kwargs: object({ chat_template: refused, tokenize: refused }),
};

/** The caller's own words, among which LiteLLM looks for what chooses a deployment, and which of its guardrails look. @param known what a dialect's own metadata have */
export const metadataWith = (known: Readonly<Record<string, Shape>> = {}): Shape =>
  object({ ...known, ...named(['tags', 'model_info', 'api_base', ...guardrails], refused) }, { rest: free });

/**
 * Words by which the body's fields that no dialect knows are refused too: servers and gateways have some for each cloud that they speak to
 * (LiteLLM: `aws_bedrock_runtime_endpoint`, `headers`, `vertex_credentials`; text-generation-webui: `instruction_template_str`), or choose an adapter,
 * which is another model than the one that access was decided for.
 */
const telling =
  /template|^(?:lora|peft)(?:_|$)|(?:^|_)adapters?(?:_|$)|(?:^|_)(?:urls?|uri|endpoint|hosts?|headers?|proxy|credentials?|(?:api|access|hf)_?(?:key|token)|auth|password|secret)(?:_|$)|^(?:aws|azure|vertex|langfuse|litellm|s3|sagemaker)_/;

/**
 * Names that refer to something which is not in the request: what the server keeps (for whom, nobody here knows), another model, a server that it
 * asks, an input of the model's that nobody can read, how the model lies in memory.
 */
const referring = [
  /(?:^|_)models?$|^model_(?:name|id|path|version)$/,
  /(?:^|_)(?:file|container|skill|vector_store|connector|voice|tunnel|prompt|knowledge|knowledge_base|data_store)_?ids?$/,
  // Agents, assistants and their conversations; caches of prompts, and the slot of llama.cpp that has one.
  /(?:^|_)(?:conversation|thread|session|chat|assistant|agent|cache|slot)_?ids?$|^id_?slot$/,
  /^previous_[a-z]+_ids?$|(?:^|_)response_ids?$|^continuation_token$|^(?:rid|request_ids?)$|^container$|^data_?store$|(?:^|_)uuids?$/,
  /^(?:authentication|authorization)$|^data_sources?$|^mcp_servers?$/,
  /(?:^|_)embeds$/,
];

const runners: ReadonlySet<string> = new Set(runnerOptions);

/** Servers of other languages write one name in two ways. */
const plainName = (name: string): string =>
  name
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_')
    .toLowerCase()
    .replaceAll('-', '_');

const wordIn = (plain: string, words: RegExp): string | undefined => words.exec(plain)?.[0].replaceAll(/^_|_$/g, '');

/**
 * How long an answer may be, or how many there are, in the words of any server or vendor: Anthropic's first, Llama's, Hugging Face's, Bedrock's, Ollama's,
 * Google's, Cohere's. By text-generation-webui's `auto_max_new_tokens` an answer is as long as its model can.
 * JSON Schema has `maxLength`.
 */
const limiting =
  /^(?:auto_)?max_(?:new_|output_|completion_|response_output_|gen_|generated_)?tokens?$|^max_tokens?_to_(?:sample|generate)$|^max_token_count$|^max_gen(?:eration)?_len(?:gth)?$|^n(?:um)?_predict$|^(?:num_return_sequences|num_beams|num_generations|candidate_count|best_of|n_cmpl)$/;

/**
 * The word by which a field that no dialect knows may limit the output otherwise than the field that is held to a rule's limit, or ask for more answers;
 * undefined where it has none.
 */
export function limitingWord(name: string, value: JsonNode): string | undefined {
  if (value.kind === 'false' || saysNothing(value)) return undefined;
  const lower = name.toLowerCase();
  return lower === 'max_length' ? lower : limiting.exec(plainName(name))?.[0];
}

/** The word for which a field of the body is refused; undefined where it has none. */
export const tellingWord = (name: string): string | undefined => wordIn(plainName(name), telling);

/** The word for which a field that no dialect knows is refused wherever a server may obey it; undefined where it has none. */
export function referringWord(name: string): string | undefined {
  const plain = plainName(name);
  const told = wordIn(plain, telling);
  if (told !== undefined) return told;
  if (runners.has(plain)) return plain;
  const words = referring.find((one) => one.test(plain));
  return words === undefined ? undefined : wordIn(plain, words);
}
