import { blockedInvoke } from './invoke-shape.ts';
import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, free, list, lone, named, number, object, schema, text, unlisted } from '../shape.ts';
import { cachePoint, sentBlock } from './block-shape.ts';

/** Fields of a Converse request (API reference, Converse). A field that is not here passes as unknown. */

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

export const converseRequest = object({
  ...refusedFields,
  ...named(['modelId', 'model', 'model_id', 'modelIdentifier'], refused),
  // Of a prompt that the server keeps.
  promptVariables: refused,
  messages: list(object({ role: lone, content: list(sentBlock) })),
  system: list(object({ text, guardContent: object({ text: object({ text, qualifiers: list(lone) }) }), cachePoint })),
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
});
