import { embeddingValue } from '../media.ts';
import { boolean, either, free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { spelledTokens } from '../spelled-tokens.ts';
import { safetyRatings, saidContent } from './part-shape.ts';

/** Fields of Gemini's answers, whole or by chunks (ai.google.dev/api/generate-content). Anything else is unknown: its strings are lanes by their path. */

const details = list(object({ modality: lone, tokenCount: number }));

const usage = object({
  ...named(
    [
      'promptTokenCount candidatesTokenCount totalTokenCount thoughtsTokenCount toolUsePromptTokenCount cachedContentTokenCount',
    ]
      .join(' ')
      .split(' '),
    number,
  ),
  ...named(
    'promptTokensDetails candidatesTokensDetails cacheTokensDetails toolUsePromptTokensDetails'.split(' '),
    details,
  ),
  trafficType: lone,
  serviceTier: lone,
});

/** `code` is of HTTP, `status` of google.rpc.Code. */
const error = either(text, object({ code: number, message: text, status: lone, details: list(free) }));

const source = object({
  startIndex: number,
  endIndex: number,
  uri: lone,
  title: lone,
  license: lone,
  publicationDate: free,
});

const place = object({
  ...named(['uri', 'title', 'domain', 'placeId', 'documentName', 'imageUri', 'fileSearchStore'], lone),
  text: lone,
  placeAnswerSources: free,
});
const segment = object({ partIndex: number, startIndex: number, endIndex: number, text: lone });

const grounding = object({
  groundingChunks: list(object(named(['web', 'maps', 'retrievedContext', 'image'], place))),
  groundingSupports: list(
    object({
      segment,
      groundingChunkIndices: list(number, { noTokens: true }),
      confidenceScores: list(number, { noTokens: true }),
    }),
  ),
  webSearchQueries: list(lone),
  imageSearchQueries: list(lone),
  retrievalQueries: list(lone),
  searchEntryPoint: object({ renderedContent: lone, sdkBlob: lone }),
  retrievalMetadata: object({ googleSearchDynamicRetrievalScore: number }),
  googleMapsWidgetContextToken: lone,
});

/** The answer again, token by token. */
const probabilities: Shape = {
  fields: new Map(Object.entries(named(['topCandidates', 'chosenCandidates'], spelledTokens))),
};

const candidate = object({
  index: number,
  content: saidContent,
  finishReason: lone,
  finishMessage: text,
  safetyRatings,
  citationMetadata: object(named(['citationSources', 'citations'], list(source))),
  groundingMetadata: grounding,
  urlContextMetadata: object({ urlMetadata: list(object(named(['retrievedUrl', 'urlRetrievalStatus'], lone))) }),
  groundingAttributions: free,
  avgLogprobs: number,
  logprobsResult: probabilities,
  tokenCount: number,
});

export const generated = object({
  candidates: list(candidate, { byIndex: true, strict: true }),
  promptFeedback: object({ blockReason: lone, blockReasonMessage: text, safetyRatings }),
  usageMetadata: usage,
  ...named(['modelVersion', 'responseId', 'createTime'], lone),
  modelStatus: free,
  error,
});
export const chunks = list(generated);

export const counted = object({
  ...named(['totalTokens', 'cachedContentTokenCount', 'totalBillableCharacters'], number),
  ...named(['promptTokensDetails', 'cacheTokensDetails'], details),
  error,
});

const vector = object({
  values: { items: free, read: embeddingValue },
  shape: list(number, { noTokens: true }),
  statistics: object({ tokenCount: number, truncated: boolean }),
});
export const embedded = object({ embedding: vector, embeddings: list(vector), usageMetadata: usage, error });

const model = object({
  ...named(['name', 'baseModelId', 'version', 'displayName'], lone),
  description: text,
  ...named(['inputTokenLimit', 'outputTokenLimit', 'temperature', 'maxTemperature', 'topP', 'topK'], number),
  supportedGenerationMethods: list(lone),
  thinking: boolean,
});
export const models = object({ models: list(model, { strict: true }), nextPageToken: lone, error });
export const page = object({ ...Object.fromEntries(model.fields ?? []), error });
