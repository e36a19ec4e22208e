import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise } from './index.ts';

/**
 * Fields that model servers read beside the vendors' own, by their sources: each is refused, or stands with the reason why it passes. What a server reads
 * more is not found by this: client-fields.test.ts walks types, and these are lists that people keep.
 */

interface Server {
  readonly name: string;
  readonly path: string;
  readonly body: object;
  /** Object of the body in which they stand. */
  readonly within?: string;
  /** Each with a value that the server would obey. */
  readonly refused: Readonly<Record<string, unknown>>;
  /** By the reason. */
  readonly passes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const sampled = 'It says how this one answer is drawn.';
const held = 'It is the limit of the output, or the count of answers, that is held.';
const read = 'It is a text that is read, or its form.';
const shown = 'It says what comes back, which is read as any answer is.';
const ownLength = 'It says how much of this prompt is read.';

const messages = [{ role: 'user', content: 'a' }];
const chat = { path: '/v1/chat/completions', body: { model: 'm', messages } };
const number = (names: string): Record<string, unknown> => Object.fromEntries(names.split(' ').map((one) => [one, 1]));
const truth = (names: string): Record<string, unknown> =>
  Object.fromEntries(names.split(' ').map((one) => [one, true]));
const word = (names: string): Record<string, unknown> => Object.fromEntries(names.split(' ').map((one) => [one, 'x']));

const servers: readonly Server[] = [
  {
    ...chat,
    name: 'chats of vLLM (entrypoints/openai/protocol.py)',
    refused: {
      ...word('request_id chat_template'),
      ...{ priority: 1, kv_transfer_params: { a: 1 }, logits_processors: ['x'], multi_modal_uuids: { image: ['x'] } },
    },
    passes: {
      [sampled]: {
        ...number('top_k min_p repetition_penalty length_penalty min_tokens seed'),
        ...truth('ignore_eos use_beam_search skip_special_tokens spaces_between_special_tokens'),
        ...{ stop_token_ids: [1], allowed_token_ids: [1], bad_words: ['x'], cache_salt: 'x' },
      },
      [held]: number('best_of max_tokens max_completion_tokens'),
      [read]: {
        ...word('guided_regex guided_grammar guided_decoding_backend guided_whitespace_pattern'),
        ...{ guided_json: {}, guided_choice: ['x'], structured_outputs: { regex: 'x' }, documents: [{ text: 'x' }] },
        ...{ mm_processor_kwargs: { a: 1 }, vllm_xargs: { a: 'x' } },
        ...truth('add_generation_prompt add_special_tokens echo'),
      },
      [shown]: { ...truth('return_tokens_as_token_ids return_token_ids include_reasoning'), prompt_logprobs: 1 },
      [ownLength]: { truncate_prompt_tokens: 1 },
    },
  },
  {
    ...chat,
    name: 'chats of SGLang (entrypoints/openai/protocol.py)',
    refused: {
      ...word('rid lora_path custom_logit_processor bootstrap_host chat_template'),
      ...{ ...number('bootstrap_port bootstrap_room'), priority: 1, session_params: { id: 'x' } },
    },
    passes: {
      [sampled]: {
        ...number('top_k min_p min_tokens repetition_penalty'),
        ...truth('ignore_eos no_stop_trim skip_special_tokens continue_final_message'),
        ...{ stop_token_ids: [1], stop_regex: 'x', extra_key: 'x' },
      },
      [read]: word('regex ebnf'),
      [shown]: truth('separate_reasoning stream_reasoning return_hidden_states'),
    },
  },
  {
    ...{ name: 'SGLang (managers/io_struct.py)', path: '/generate', body: { text: 'a' } },
    refused: {
      ...word('rid lora_path lora_id custom_logit_processor bootstrap_host conversation_id'),
      ...{ ...number('bootstrap_port bootstrap_room priority'), session_params: { id: 'x' } },
    },
    passes: {
      [sampled]: { ...number('data_parallel_rank'), extra_key: 'x' },
      [shown]: {
        ...truth('return_logprob return_text_in_logprobs return_hidden_states log_metrics'),
        ...{ ...number('logprob_start_len top_logprobs_num'), token_ids_logprob: [1] },
      },
    },
  },
  {
    ...chat,
    name: 'chats of mlx_lm.server and mlx-omni-server',
    refused: word('adapters adapter_path draft_model'),
    passes: {
      [sampled]: number(
        'repetition_penalty repetition_context_size xtc_probability xtc_threshold min_p num_draft_tokens',
      ),
    },
  },
  {
    ...chat,
    name: 'chats of LiteLLM (proxy/_types.py)',
    refused: {
      ...truth('disable_global_guardrail disable_global_guardrails'),
      ...{ guardrails: ['x'], guardrail_config: { a: 1 }, opted_out_global_guardrails: ['x'], priority: 1 },
    },
    passes: {},
  },
  {
    ...{ ...chat, name: 'metadata of LiteLLM (proxy/litellm_pre_call_utils.py)', within: 'metadata' },
    refused: {
      ...truth('disable_global_guardrail disable_global_guardrails'),
      ...{ guardrails: ['x'], guardrail_config: { a: 1 }, opted_out_global_guardrails: ['x'], tags: ['x'] },
    },
    passes: { [read]: word('topic user_name') },
  },
  {
    ...{ name: 'LoRAX (router/src/lib.rs)', path: '/generate', body: { inputs: 'a' }, within: 'parameters' },
    refused: {
      ...word('adapter_id adapter_source api_token'),
      ...{ adapter_parameters: { ids: ['x'] }, merged_adapters: { ids: ['x'] } },
    },
    passes: {
      [sampled]: { ...number('temperature repetition_penalty top_k typical_p seed'), ...truth('do_sample watermark') },
      [held]: number('best_of max_new_tokens'),
      [read]: { stop: ['x'] },
      [shown]: { ...truth('details decoder_input_details return_full_text'), top_n_tokens: 1 },
      [ownLength]: { truncate: 1 },
    },
  },
  {
    ...{ name: 'embeddings of infinity', path: '/v1/embeddings', body: { model: 'm', input: ['a'] } },
    refused: { modality: 'image' },
    passes: { [read]: { modality: 'text' }, [shown]: { encoding_format: 'float', dimensions: 1 } },
  },
  {
    ...{ name: 'Ollama (api/types.go)', path: '/api/chat', body: { model: 'm', messages }, within: 'options' },
    refused: {
      ...number('num_ctx num_batch num_gpu main_gpu num_thread num_gqa draft_num_predict rope_frequency_base'),
      ...truth('use_mmap use_mlock low_vram f16_kv logits_all vocab_only numa'),
    },
    passes: {
      [sampled]: {
        ...number('num_keep seed top_k top_p min_p typical_p tfs_z repeat_last_n temperature repeat_penalty'),
        ...number('presence_penalty frequency_penalty mirostat mirostat_tau mirostat_eta'),
        penalize_newline: true,
      },
      [held]: { num_predict: 1 },
      [read]: { stop: ['x'] },
    },
  },
  {
    ...{ name: 'llama.cpp (tools/server/README.md)', path: '/completion', body: { prompt: 'a' } },
    refused: { id_slot: 1, lora: [{ id: 0, scale: 1 }], response_fields: ['content'] },
    passes: {
      [sampled]: {
        ...number(
          'n_keep n_discard n_cache_reuse min_keep top_n_sigma dynatemp_range mirostat t_max_predict_ms n_indent',
        ),
        ...{ cache_prompt: true, samplers: ['x'], dry_sequence_breakers: ['x'] },
      },
      [held]: number('n_predict n_cmpl'),
      [read]: { ...word('grammar'), json_schema: {} },
      [shown]: {
        ...number('n_probs'),
        ...truth('return_tokens post_sampling_probs timings_per_token return_progress'),
      },
    },
  },
];

/** What becomes of a body: undefined, it passes. */
function refusalOf({ path, body, within }: Server, fields: object): string | undefined {
  const route = recognise('POST', path);
  const sent = within === undefined ? { ...body, ...fields } : { ...body, [within]: fields };
  try {
    route.dialect.request(route, parseJson(JSON.stringify(sent)), '');
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.detail ?? error.code;
    throw error;
  }
}

describe.each(servers)('$name', (server) => {
  test('has each of its fields refused, by its name, or passes it for a reason', () => {
    const refused = Object.entries(server.refused).map(([name, value]) => [name, refusalOf(server, { [name]: value })]);
    for (const [name, told] of refused) expect([name, told]).toEqual([name, expect.any(String)]);
    for (const fields of Object.values(server.passes))
      for (const [name, value] of Object.entries(fields))
        expect([name, refusalOf(server, { [name]: value })]).toEqual([name, undefined]);
  });
});
