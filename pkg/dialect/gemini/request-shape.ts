import { refused, refusedFields } from '../refused-fields.ts';
import { boolean, either, list, lone, named, number, object, schema, text, unlisted } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { sentContent } from './part-shape.ts';
import { bothNames, some } from './spellings.ts';

/** Fields of Gemini's requests (ai.google.dev/api/generate-content, embeddings, tokens). A field that is not here passes as unknown. */

const declaration = object(
  bothNames({
    name: lone,
    description: text,
    behavior: lone,
    ...named(['parameters', 'parametersJsonSchema', 'response', 'responseJsonSchema'], schema),
  }),
);

/** The server is told to look into what it keeps, or to send texts elsewhere, by some, and by others nobody knows what. */
const tool = object(
  bothNames({
    functionDeclarations: some(declaration),
    ...named(
      ['googleSearch', 'googleSearchRetrieval', 'googleMaps', 'enterpriseWebSearch', 'codeExecution', 'computerUse'],
      unlisted,
    ),
    // Of `urlContext`: any address that stands in the prompt, whatever hosts a policy names.
    ...named(['urlContext', 'retrieval', 'fileSearch', 'mcpServers', 'exaAiSearch'], refused),
  }),
  { rest: refused },
);

/** Arguments that come in pieces could not be read. */
const notTrue: Shape = {
  boolean: true,
  read(reader, node, place) {
    if (node.kind === 'true') reader.refuse(place);
    return false;
  },
};

const toolConfig = object(
  bothNames({
    functionCallingConfig: object(
      bothNames({ mode: lone, allowedFunctionNames: some(lone), streamFunctionCallArguments: notTrue }),
    ),
    retrievalConfig: unlisted,
  }),
);

/** What a model is told for its output. */
export const generationConfig = object(
  bothNames({
    ...named(
      ['maxOutputTokens candidateCount temperature topP topK seed presencePenalty frequencyPenalty logprobs']
        .join(' ')
        .split(' '),
      number,
    ),
    ...named(['responseLogprobs', 'enableEnhancedCivicAnswers', 'audioTimestamp'], boolean),
    stopSequences: either(text, list(text)),
    responseMimeType: lone,
    ...named(['responseSchema', 'responseJsonSchema', '_responseJsonSchema'], schema),
    responseModalities: some(lone),
    mediaResolution: lone,
    ...named(['speechConfig', 'imageConfig'], unlisted),
    thinkingConfig: object(bothNames({ includeThoughts: boolean, thinkingBudget: number, thinkingLevel: lone })),
    // They choose another model.
    ...named(['routingConfig', 'modelSelectionConfig', 'modelConfig'], refused),
  }),
);

const generated: Record<string, Shape> = {
  ...refusedFields,
  ...bothNames({
    model: lone,
    contents: some(sentContent),
    systemInstruction: either(text, sentContent),
    tools: some(tool),
    toolConfig,
    safetySettings: some(object({ category: lone, threshold: lone, method: lone })),
    generationConfig,
    // What the server keeps cannot be looked at here, and may be another caller's.
    ...named(['cachedContent', 'continuationToken'], refused),
    serviceTier: lone,
  }),
};

/** In which the model reads them. */
const order: readonly string[] = ['systemInstruction', 'system_instruction', 'contents'];
export const generateRequest = object(generated, { order });
export const countRequest = object(
  { ...generated, ...bothNames({ generateContentRequest: object(generated, { order }) }) },
  { order },
);

const embedded: Record<string, Shape> = bothNames({
  model: lone,
  content: either(text, sentContent),
  taskType: lone,
  title: text,
  outputDimensionality: number,
  autoTruncate: boolean,
});
export const embedRequest = object({ ...refusedFields, ...embedded });
export const embedManyRequest = object({ ...refusedFields, model: lone, requests: some(object(embedded)) });
