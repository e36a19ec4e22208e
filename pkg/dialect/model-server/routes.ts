import type { Shape } from '../shape.ts';
import {
  classified,
  detokenized,
  pooled,
  rankedList,
  reranked,
  scored,
  templated,
  tokenList,
  tokenized,
} from './answer-shape.ts';
import {
  classifyRequest,
  detokenizeRequest,
  poolingRequest,
  rerankRequest,
  scoreRequest,
  templateRequest,
  tokenizeRequest,
} from './request-shape.ts';

/**
 * Routes by which several servers read texts and write none: vLLM, SGLang, llama.cpp, TGI, text-embeddings-inference. Who may use
 * `Embeddings` may use them. What changes such a server is `Admin` ({@link managementRoute}).
 */
export interface ServerRoute {
  readonly request: Shape;
  /** Names of what is read, of which one must be there. */
  readonly prompts: readonly string[];
  readonly answer: Shape;
  /** Names of what an answer has, of which one must be there. */
  readonly answers: readonly string[];
  /** An answer that is a list itself; absent: none is. */
  readonly listed?: Shape;
}

const tokenize: ServerRoute = {
  request: tokenizeRequest,
  prompts: ['prompt', 'content', 'inputs', 'messages'],
  answer: tokenized,
  answers: ['tokens', 'tokenize_response'],
  listed: tokenList,
};
const detokenize: ServerRoute = {
  request: detokenizeRequest,
  prompts: ['tokens'],
  answer: detokenized,
  answers: ['prompt', 'text', 'content'],
};
const template: ServerRoute = {
  request: templateRequest,
  prompts: ['messages'],
  answer: templated,
  answers: ['prompt'],
};
const rerank: ServerRoute = {
  request: rerankRequest,
  prompts: ['documents', 'texts'],
  answer: reranked,
  answers: ['results'],
  listed: rankedList,
};
const score: ServerRoute = {
  request: scoreRequest,
  prompts: ['text_1', 'data_1', 'queries', 'query', 'items'],
  answer: scored,
  answers: ['data', 'scores'],
};
const pooling: ServerRoute = {
  request: poolingRequest,
  prompts: ['input', 'messages'],
  answer: pooled,
  answers: ['data'],
};
const classify: ServerRoute = {
  request: classifyRequest,
  prompts: ['input', 'messages'],
  answer: classified,
  answers: ['data'],
};

/** By exact path; all are `POST`. */
export const serverRoutes: ReadonlyMap<string, ServerRoute> = new Map([
  ['/tokenize', tokenize],
  ['/v1/tokenize', tokenize],
  ['/chat_tokenize', tokenize],
  ['/detokenize', detokenize],
  ['/v1/detokenize', detokenize],
  ['/apply-template', template],
  ['/rerank', rerank],
  ['/v1/rerank', rerank],
  ['/v2/rerank', rerank],
  ['/reranking', rerank],
  ['/v1/reranking', rerank],
  ['/score', score],
  ['/v1/score', score],
  ['/pooling', pooling],
  ['/classify', classify],
  ['/v1/classify', classify],
]);
