import { named, object } from './shape.ts';
import type { Shape } from './shape.ts';

/** Fields that make what was decided untrue. */
export const refused: Shape = {
  read(reader, node, place) {
    if (node.kind !== 'null') reader.refuse(place);
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
      'router_settings_override user_config fastest_response',
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
      'kv_transfer_params',
      'bootstrap_host',
      'bootstrap_port',
      'bootstrap_room',
      'session_params',
      'disaggregated_params',
    ],
    refused,
  ),
  // A template of the caller's makes any prompt of any text; processors name code that the server runs.
  ...named(['chat_template', 'logits_processors', 'custom_logit_processor'], refused),
  chat_template_kwargs: object({ chat_template: refused, tokenize: refused }),
};
