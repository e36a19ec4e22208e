import { blocked, blockedInvoke } from './invoke-shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, free, list, lone, named, number, object, schema, text, unlisted } from '../shape.ts';
import { cachePoint, sentBlock } from './block-shape.ts';

/** Fields of a Converse request (API reference, Converse; CountTokens). A field that is not here passes as unknown. */

const tool = object(
  {
    toolSpec: object({ name: lone, description: text, inputSchema: object({ json: schema }), strict: boolean }),
    systemTool: object({ name: lone }),
    cachePoint,
  },
  { rest: refused },
);

export const inferenceConfig = object({
  ...named(['maxTokens', 'temperature', 'topP'], number),
  stopSequences: list(text),
});

/** The path names it. */
const modelNames = named(['modelId', 'model', 'model_id', 'modelIdentifier'], refused);

const converseFields = {
  ...refusedFields,
  ...modelNames,
  // Of a prompt that the server keeps.
  promptVariables: refused,
  messages: list(object({ role: lone, content: list(sentBlock) })),
  system: list(
    object(
      { text, guardContent: object({ text: object({ text, qualifiers: list(lone) }) }), cachePoint },
      { rest: refused },
    ),
  ),
  inferenceConfig,
  toolConfig: object({
    tools: list(tool),
    toolChoice: object({ ...named(['auto', 'any'], unlisted), tool: object({ name: lone }) }),
  }),
  guardrailConfig: object(named(['guardrailIdentifier', 'guardrailVersion', 'trace', 'streamProcessingMode'], lone)),
  // The model's own words: none that set another limit, model, server or store.
  additionalModelRequestFields: object({
    ...blockedInvoke,
    // Amazon's own models take one more setting there.
    inferenceConfig: object({ topK: number }, { rest: refused }),
  }),
  additionalModelResponseFieldPaths: list(lone),
  requestMetadata: free,
  performanceConfig: object({ latency: lone }),
  serviceTier: object({ type: lone }),
  outputConfig: unlisted,
};

/** In which the model reads them. */
const order: readonly string[] = ['system', 'messages'];
export const converseRequest = object(converseFields, { order });

/** What is to be counted: a request of Converse. The body of an `invoke` stands there in base64, which nobody reads. */
export const countRequest = object({
  ...refusedFields,
  ...modelNames,
  input: object({ converse: object(converseFields, { order, strict: true }) }, { rest: refused, strict: true }),
});

/** A body for Amazon's Nova at `invoke`: Converse's, with one more setting, and a limit that has one name. */
export const novaRequest = object(
  {
    ...refusedFields,
    ...blocked(['messages', 'inferenceConfig', 'schemaVersion']),
    schemaVersion: lone,
    ...{ messages: converseFields.messages, system: converseFields.system, toolConfig: converseFields.toolConfig },
    inferenceConfig: object({
      ...Object.fromEntries(inferenceConfig.fields ?? []),
      topK: number,
      ...named(['max_new_tokens', 'max_tokens', 'maxTokenCount', 'stop_sequences', 'stop'], refused),
    }),
  },
  { order: order },
);
