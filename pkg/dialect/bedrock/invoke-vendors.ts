import type { JsonNode } from '../../base/index.ts';
import { readAnswer as readMessage, readFrame as readMessageEvent } from '../anthropic/answer.ts';
import { readMessages } from '../anthropic/request.ts';
import {
  readAnswer as readCohereAnswer,
  readFrame as readCohereEvent,
  readMessage as readCohereMessage,
} from '../cohere/first-chat.ts';
import type { AnswerView, FrameView, RequestView } from '../dialect.ts';
import { readAnswer as readChatAnswer, readFrame as readChatFrame } from '../openai/answer.ts';
import { readRequest as readChat } from '../openai/request.ts';
import { Place } from '../place.ts';
import { refuse } from '../request-fields.ts';
import { readAnswer } from './answer.ts';
import { readNovaChunk } from './invoke-nova.ts';
import { metricsUsage } from './invoke-metrics.ts';
import { cohereRequest, invokeRequest, refuseOthers } from './invoke-shape.ts';
import { llama, mistral, readTextAnswer, readTextChunk, readTextRequest, titan } from './invoke-texts.ts';
import type { TextVendor } from './invoke-texts.ts';
import { readConverse } from './read-converse.ts';
import { novaRequest } from './request-shape.ts';

/** How the models of one vendor are asked by `invoke`, and what they answer. */
export interface InvokeVendor {
  /** @throws RefusedError `invalid_request` */
  request(model: string, root: JsonNode): RequestView;
  /** Of a success. @throws RefusedError `response_uninspectable` */
  answer(root: JsonNode): AnswerView;
  /** @throws RefusedError `response_uninspectable` */
  chunk(root: JsonNode): FrameView;
}

const texts = (vendor: TextVendor): InvokeVendor => ({
  request: (model, root) => readTextRequest(vendor, model, root),
  answer: (root) => readTextAnswer(vendor, root),
  chunk: (root) => readTextChunk(vendor, root),
});

const isAnthropic = (root: JsonNode): boolean => /^bedrock-/.test(root.get('anthropic_version')?.string ?? '');
const messages = Place.root(invokeRequest);
export const anthropicModels: InvokeVendor = {
  request(model, root) {
    if (!isAnthropic(root)) refuse('anthropic_version');
    return readMessages(messages, root, true, () => model);
  },
  answer: (root) => readMessage(true, root, 200),
  chunk: (root) => readMessageEvent(undefined, root),
};

const converse = Place.root(novaRequest);
const nova: InvokeVendor = {
  request: (model, root) => readConverse(converse, model, root, false),
  answer: (root) => readAnswer(root, 200),
  chunk: readNovaChunk,
};

const chat = Place.root(cohereRequest);
const cohere: InvokeVendor = {
  request: (model, root) => readCohereMessage(chat, root, () => model),
  answer: (root) => readCohereAnswer(root, 200),
  chunk: readCohereEvent,
};

/** AI21's take and write what OpenAI's chats do; the path says the model, and whether it streams. */
const jamba: InvokeVendor = {
  request(model, root) {
    refuseOthers(root, ['messages', 'max_tokens', 'n', 'stop']);
    return readChat('Chat', root, '', model);
  },
  answer: (root) => readChatAnswer('Chat', root, 200),
  chunk(root) {
    const view = readChatFrame(undefined, '', root);
    const usage = metricsUsage(root);
    return usage === undefined ? view : { ...view, usage };
  },
};

/** By the beginning of a model's name, behind the region of an inference profile. */
const byName: readonly (readonly [RegExp, InvokeVendor])[] = [
  [/^anthropic\./, anthropicModels],
  [/^meta\.llama/, texts(llama)],
  [/^mistral\./, texts(mistral)],
  [/^amazon\.titan-t/, texts(titan)],
  [/^amazon\.nova-/, nova],
  [/^cohere\.command-r/, cohere],
  [/^ai21\.jamba/, jamba],
];
const region = /^(?:us|us-gov|eu|apac|global|jp|au|ca)\.(?=[a-z0-9]+\.)/;

/** By what only one vendor's bodies say, of models whose names tell no vendor. */
const byMark: readonly (readonly [(root: JsonNode) => boolean, InvokeVendor])[] = [
  [isAnthropic, anthropicModels],
  [(root) => root.get('schemaVersion')?.string === 'messages-v1', nova],
  [(root) => root.get('inputText') !== undefined, texts(titan)],
];

/** Undefined: none that is known. */
export function vendorOf(model: string, root: JsonNode): InvokeVendor | undefined {
  const name = model.replace(region, '');
  const named = byName.find(([begins]) => begins.test(name));
  return named?.[1] ?? byMark.find(([has]) => has(root))?.[1];
}
