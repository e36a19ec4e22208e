import { mediaUrlValue, soundBytes } from '../media.ts';
import { error, usage } from '../openai/answer-shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { requestTool, toolChoice } from '../responses/request-shape.ts';
import { boolean, either, free, json, list, lone, named, number, object, schema, text, typed } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Fields of OpenAI's Realtime events (openai-node `resources/realtime`; its names of before, `response.text.delta` and its like, too). A field that
 * is not here is unknown: its strings are lanes by their path.
 */

/** Of a conversation: PCM, G.711. */
export const sound: Shape = { read: soundBytes('audio/pcm') };
const mediaUrl: Shape = { read: mediaUrlValue };
/** One that an account keeps by its id may be another caller's. */
const voice = lone;

const format = either(lone, object({ type: lone, rate: number }));
const turnDetection = object({
  ...named(['type', 'eagerness'], lone),
  ...named(['create_response', 'interrupt_response'], boolean),
  ...named(['idle_timeout_ms', 'prefix_padding_ms', 'silence_duration_ms', 'threshold'], number),
});
const noiseReduction = object({ type: lone, strength: number });
/** It names a model of its own, which writes down what is said (request.ts asks for it). */
const transcription = object({
  ...named(['model', 'language', 'delay'], lone),
  ...named(['languages', 'keywords'], list(text)),
  prompt: text,
});

/** Log-probabilities spell what is heard a second time, token by token; nobody joins them to it here. */
const include = list({
  string: 'lone',
  read(reader, node, place) {
    if (node.string?.includes('logprobs') === true) reader.refuse(place);
    return false;
  },
});

const part = object({
  ...named(['type', 'id', 'detail', 'object', 'status'], lone),
  text,
  transcript: text,
  audio: sound,
  image_url: mediaUrl,
});

const sentPart = typed(
  ['input_text', 'text', 'output_text', 'input_audio', 'audio', 'output_audio', 'input_image'],
  part,
);

const itemFields: Record<string, Shape> = {
  ...named('id type object status role call_id name server_label approval_request_id channel phase'.split(' '), lone),
  content: either(list(part), text),
  arguments: json,
  output: text,
};
export const item = object(itemFields);
const requestItem = typed(
  [
    'message',
    'function_call',
    'function_call_output',
    'mcp_approval_response',
    'mcp_call',
    'mcp_list_tools',
    'mcp_approval_request',
  ],
  object({ ...refusedFields, ...itemFields, content: either(list(sentPart), text) }),
);

/** Where an answer's words may come from, and what they may not be about: none of it was decided for. */
export const session: Shape = object({
  ...refusedFields,
  // By its name the server takes a text that nobody has seen here.
  prompt: refused,
  ...named('type model input_audio_format output_audio_format object id service_tier'.split(' '), lone),
  client_secret: refused,
  instructions: text,
  ...named(['output_modalities', 'modalities'], list(lone)),
  audio: object({
    input: object({ format, noise_reduction: noiseReduction, transcription, turn_detection: turnDetection }),
    output: object({ format, speed: number, voice }),
  }),
  voice,
  input_audio_transcription: transcription,
  input_audio_noise_reduction: noiseReduction,
  turn_detection: turnDetection,
  include,
  ...named(['max_output_tokens', 'max_response_output_tokens'], either(number, lone)),
  ...named(['temperature', 'speed'], number),
  parallel_tool_calls: boolean,
  tools: list(requestTool),
  tool_choice: toolChoice,
  reasoning: object({ effort: lone }),
  tracing: either(lone, object({ group_id: lone, workflow_name: lone, metadata: free })),
  truncation: either(
    lone,
    object({ type: lone, retention_ratio: number, token_limits: object({ post_instructions: number }) }),
  ),
});

export const ofResponse: Shape = object({
  ...Object.fromEntries(session.fields ?? []),
  conversation: lone,
  input: list(requestItem),
  metadata: free,
});

const around = { type: lone, event_id: lone };

/** What a caller may send, by its type. */
export const clientEvents: ReadonlyMap<string, Shape> = new Map([
  ['session.update', object({ ...around, session })],
  ['transcription_session.update', object({ ...around, session })],
  ['conversation.item.create', object({ ...around, item: requestItem, previous_item_id: lone })],
  ['conversation.item.delete', object({ ...around, item_id: lone })],
  ['conversation.item.retrieve', object({ ...around, item_id: lone })],
  ['conversation.item.truncate', object({ ...around, item_id: lone, content_index: number, audio_end_ms: number })],
  ['input_audio_buffer.append', object({ ...around, audio: sound })],
  ['input_audio_buffer.clear', object(around)],
  ['input_audio_buffer.commit', object(around)],
  ['output_audio_buffer.clear', object(around)],
  ['response.create', object({ ...around, response: ofResponse })],
  ['response.cancel', object({ ...around, response_id: lone })],
]);

/** A session as the server tells of it: the caller's own words come back. */
export const toldSession = object({
  ...named(
    'id object type model voice input_audio_format output_audio_format tool_choice'.split(' '),
    either(lone, free),
  ),
  instructions: text,
  ...named(['output_modalities', 'modalities', 'include'], list(lone)),
  ...named(['expires_at', 'temperature', 'speed'], number),
  ...named(['max_output_tokens', 'max_response_output_tokens'], either(number, lone)),
  audio: schema,
  tools: list(schema),
  ...named(['input_audio_transcription', 'input_audio_noise_reduction', 'turn_detection', 'truncation'], schema),
});

export const response = object({
  ...named(['id', 'object', 'status', 'conversation_id', 'voice', 'output_audio_format'], lone),
  status_details: object({ type: lone, reason: lone, error }),
  ...named(['output_modalities', 'modalities'], list(lone)),
  ...named(['max_output_tokens'], either(number, lone)),
  temperature: number,
  audio: schema,
  metadata: free,
  output: list(item),
  usage,
});

/** The items of a conversation as its clients put them together; what says them again, whole, stands under `said`. */
export const conversation = object({
  items: list(object({ ...itemFields, said: item, segments: text })),
});

/** Of a server's event itself; what it carries is read elsewhere. */
export const serverFields: Record<string, Shape> = {
  ...around,
  ...named(
    'item_id response_id previous_item_id call_id name id speaker event conversation_id stream_id obfuscation'.split(
      ' ',
    ),
    lone,
  ),
  ...named(
    'output_index content_index audio_start_ms audio_end_ms received_at start end sequence_number'.split(' '),
    number,
  ),
  error,
  usage,
  conversation: object({ id: lone, object: lone }),
  rate_limits: list(object({ name: lone, ...named(['limit', 'remaining', 'reset_seconds'], number) })),
  languages: list(free),
  logprobs: refused,
};
