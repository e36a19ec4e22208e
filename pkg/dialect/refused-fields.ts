import { named, object } from './shape.ts';
import type { Shape } from './shape.ts';

/** Fields that make what was decided untrue, unless they hold nothing. */
export const refused: Shape = {
  read(reader, node, place) {
    const isNothing =
      node.kind === 'null' || (node.kind === 'array' && node.items.length === 0 && node.numberCount === 0);
    if (!isNothing) reader.refuse(place);
    return true;
  },
};

/** Such fields of any dialect: LiteLLM, vLLM and SGLang read them on each of their routes. */
export const refusedFields: Readonly<Record<string, Shape>> = {
  // They name another model, adapter or server than the one that access was decided for.
  ...named(
    [
      'models model_list fallbacks context_window_fallbacks content_policy_fallbacks context_window_fallback_dict lora_path lora',
      'api_base base_url api_key custom_llm_provider deployment_id specific_deployment litellm_credential_name',
      'router_settings_override user_config fastest_response prompt_id region_name organization tags model_info',
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
  // A template of the caller's makes any prompt of any text; processors name code that the server runs.
  ...named(['chat_template', 'logits_processors', 'custom_logit_processor'], refused),
  chat_template_kwargs: object({ chat_template: refused, tokenize: refused }),
};

/**
 * Words by which the body's fields that no dialect knows are refused too: servers and gateways have some for each cloud that they speak to
 * (LiteLLM: `aws_bedrock_runtime_endpoint`, `headers`, `vertex_credentials`; text-generation-webui: `instruction_template_str`).
 */
const telling =
  /template|(?:^|_)(?:urls?|uri|endpoint|hosts?|headers?|proxy|credentials?|api_?key|auth|password|secret)(?:_|$)|^(?:aws|azure|vertex|langfuse|litellm|s3|sagemaker)_/;

/** The word for which a field of the body is refused; undefined where it has none. */
export function tellingWord(name: string): string | undefined {
  // Servers of other languages write one name in two ways.
  const plain = name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase();
  return telling.exec(plain.replaceAll('-', '_'))?.[0].replaceAll(/^_|_$/g, '');
}
