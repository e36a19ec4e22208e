import { outputLimits } from '../openai/request-shape.ts';
import { metadataWith, refused, refusedFields } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, object, schema, text, unlisted } from '../shape.ts';
import { cacheControl } from './block-shape.ts';
import { sent, tool } from './request-block-shape.ts';

/** OpenAI's names of what is `max_tokens` here, and of how many answers are asked for. */
const otherLimits = [...outputLimits.filter((name) => name !== 'max_tokens'), 'n', 'best_of'];

/** Fields of a Messages request, and of what the servers that follow it add. A field that is not here passes as unknown. */

const format = object({ type: lone, schema });

/** In which the model reads what it is told. */
export const promptOrder: readonly string[] = ['tools', 'system', 'messages'];

export const messagesRequest = object(
  {
    ...refusedFields,
    // The server is told to send texts there, or to go on with what it kept of a session that may be another's.
    ...named(['mcp_servers', 'container', 'thread'], refused),
    // Whose account and whose memory: with a key of ours that is not the caller's to say.
    ...named(['workspace_id', 'user_profile_id', 'fallback_credit_token', 'billing_policy'], refused),
    // Gateways hand them on to servers that obey them before `max_tokens`, or answer more than once.
    ...named(otherLimits, refused),
    model: lone,
    messages: list(object({ role: lone, content: sent.content })),
    system: either(text, list(sent.block)),
    ...named(['max_tokens', 'temperature', 'top_k', 'top_p'], number),
    stop_sequences: list(text),
    stream: boolean,
    tools: list(tool),
    tool_choice: object({ type: lone, name: lone, disable_parallel_tool_use: boolean }),
    thinking: object({ type: lone, budget_tokens: number, display: lone }),
    metadata: metadataWith({ user_id: lone }),
    service_tier: lone,
    inference_geo: lone,
    speed: lone,
    cache_control: cacheControl,
    output_config: object({ effort: lone, format }),
    output_format: format,
    ...named(['context_management', 'compaction'], unlisted),
    // It tells what another caller's answer had in common with this.
    diagnostics: object({ previous_message_id: refused }),
    betas: list(lone),
  },
  { order: promptOrder },
);
