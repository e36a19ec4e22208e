import { embeddingValue } from '../media.ts';
import { error, usage } from '../openai/answer-shape.ts';
import { either, free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { spelledTokens } from '../spelled-tokens.ts';

/** Fields of the answers to them. Anything else is unknown: its strings are lanes by their path. */

const envelope: Readonly<Record<string, Shape>> = {
  ...named(['id', 'object', 'model', 'type', 'param', 'error_type'], lone),
  ...named(['created', 'index', 'status'], number),
  code: either(lone, number),
  message: text,
  usage,
  error,
  meta: free,
};

export const tokenized = object({
  ...envelope,
  ...named(['tokens', 'token_strs', 'tokenize_response'], spelledTokens),
  ...named(['count', 'max_model_len'], either(number, list(number))),
  templated_text: text,
});
/** TGI's whole answer. */
export const tokenList = spelledTokens;

const texts: Shape = either(text, list(text));
export const detokenized = object({ ...envelope, ...named(['prompt', 'text', 'content'], texts) });

export const templated = object({ ...envelope, prompt: text });

const ranked = object({
  index: number,
  document: either(text, object({ text, multi_modal: free })),
  text,
  ...named(['relevance_score', 'score'], number),
  meta_info: free,
});
export const reranked = object({ ...envelope, results: list(ranked) });
export const rankedList = list(ranked);

/** A number, or one for each label. */
const scores: Shape = { number: true, items: { number: true, items: number } };
export const scored = object({
  ...envelope,
  scores,
  data: list(object({ index: number, object: lone, score: scores })),
});

const vector: Shape = { number: true, items: free, read: embeddingValue };
/** Of the text, or of each of its tokens. */
const vectors: Shape = {
  number: true,
  items: { number: true, items: vector, read: embeddingValue },
  read: embeddingValue,
};
export const pooled = object({ ...envelope, data: list(object({ index: number, object: lone, data: vectors })) });

const classes: Shape = { number: true, items: number };
export const classified = object({
  ...envelope,
  data: list(object({ index: number, object: lone, label: text, probs: classes, num_classes: number })),
});
