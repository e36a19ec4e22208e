import { mediaBytes, mediaUrlValue } from '../media.ts';
import { readTokenEntries } from '../openai/logprobs.ts';
import { boolean, either, free, json, list, lone, named, number, object, schema, text, toolInput } from '../shape.ts';
import type { Shape } from '../shape.ts';

/**
 * Items of OpenAI's Responses API, the same in requests and answers (openai-node `resources/responses`; vLLM, SGLang, llama.cpp and Ollama have
 * some of them). A field that is not here is unknown: its strings are lanes by their path.
 */

const mediaUrl: Shape = { read: mediaUrlValue };

/** What a text rests on: each whole, also in a stream. */
export const annotation = object({
  ...named('type url title filename file_id container_id'.split(' '), lone),
  ...named(['index', 'start_index', 'end_index'], number),
});

/** A part of a message, of a reasoning, of what a tool gave. */
export const part = object({
  type: lone,
  text,
  refusal: text,
  annotations: list(annotation),
  logprobs: { items: free, read: readTokenEntries },
  image_url: either(mediaUrl, object({ url: mediaUrl, detail: lone })),
  file_data: mediaUrl,
  file_id: lone,
  file_url: lone,
  filename: text,
  detail: lone,
  input_audio: object({ data: { read: mediaBytes }, format: lone }),
  // Of what a shell gave.
  stdout: text,
  stderr: text,
  outcome: object({ type: lone, exit_code: number }),
  prompt_cache_breakpoint: free,
});

const action = object({
  type: lone,
  query: text,
  queries: list(text),
  url: lone,
  pattern: text,
  sources: list(object({ type: lone, url: lone, name: lone })),
  command: list(text),
  commands: list(text),
  text,
  env: free,
  ...named(['user', 'button'], lone),
  keys: list(lone),
  working_directory: text,
  ...named(['timeout_ms', 'max_output_length', 'x', 'y', 'scroll_x', 'scroll_y'], number),
});

export const tool = object({
  ...named('type name namespace server_label'.split(' '), lone),
  description: text,
  server_description: text,
  ...named(['parameters', 'input_schema', 'output_schema', 'format'], schema),
  ...named(['strict', 'defer_loading'], boolean),
});

export const itemFields: Record<string, Shape> = {
  ...named(
    'id type status role phase call_id name namespace server_label container_id approval_request_id fingerprint created_by'.split(
      ' ',
    ),
    lone,
  ),
  content: either(text, list(part)),
  summary: list(part),
  encrypted_content: lone,
  arguments: either(json, toolInput),
  input: text,
  code: text,
  outputs: list(object({ type: lone, logs: text, url: mediaUrl })),
  queries: list(text),
  results: list(object({ file_id: lone, filename: text, text, score: number, attributes: free })),
  action,
  output: either(text, list(part), part),
  error: either(text, free),
  tools: list(tool),
  // A picture, or what a program came to.
  result: { read: mediaBytes },
  revised_prompt: text,
  ...named(['size', 'quality', 'background', 'output_format', 'execution'], lone),
  reason: text,
  ...named(['approve', 'async'], boolean),
  pending_safety_checks: list(object({ id: lone, code: lone, message: text })),
  max_output_length: number,
  caller: object({ type: lone, caller_id: lone }),
};
export const item = object(itemFields);
