import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, Dialect, RequestView, Route } from '../dialect.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, modelNamed, refuse } from '../request-fields.ts';
import { usageOf } from '../usage.ts';
import { serverRoutes } from './routes.ts';
import type { ServerRoute } from './routes.ts';

/**
 * Requests that read texts and have nothing written, and their answers.
 *
 * Promise: every string is in exactly one list (see {@link Reader}); a request without any of the texts that its route reads is refused, and so
 * is a success that is none of its answers. Token ids to be made a text of cannot be read, the text that they are is.
 */

interface Known extends Route {
  readonly server: ServerRoute;
  readonly requests: Place;
  readonly answers: Place;
  readonly lists: Place | undefined;
}

const none: readonly never[] = Object.freeze([]);

const known = (route: Route): Known => route as Known;

const isThere = (node: JsonNode | undefined): boolean => node !== undefined && node.kind !== 'null';

function readRequest({ server, requests }: Known, root: JsonNode, query: string): RequestView {
  if (query !== '') refuse('query');
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('request', 'none');
  reader.read(root, requests);
  const fields = fieldsOf(root);
  const [first] = server.prompts;
  if (!server.prompts.some((name) => given(fields, name) !== undefined)) refuse(first ?? 'body');
  if (given(fields, 'messages') !== undefined) checkMessages(fields);
  return {
    model: given(fields, 'model') === undefined ? undefined : modelNamed(fields),
    generates: false,
    stream: false,
    count: 1,
    maxOutputTokens: undefined,
    outputBound: undefined,
    stops: false,
    usageAsked: false,
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    opaque: reader.opaque,
    documents: reader.documents,
    media: reader.media,
    links: reader.links,
    listNumbers: reader.listNumbers,
    limitOutput: () => none,
    askUsage: () => none,
    spellTokens: () => none,
  };
}

function refuseAnswer(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/** Errors of each of these servers: `error`, or a status that says so. */
const isFailure = (root: JsonNode, status: number): boolean => status >= 400 || isThere(root.get('error'));

function readAnswer({ server, answers, lists }: Known, root: JsonNode, status: number): AnswerView {
  const place = root.kind === 'array' ? lists : root.kind === 'object' ? answers : undefined;
  if (place === undefined) refuseAnswer('body');
  const reader = new Reader('answer');
  reader.read(root, place);
  if (root.kind === 'object' && !isFailure(root, status) && !server.answers.some((name) => isThere(root.get(name))))
    refuseAnswer(server.answers[0] ?? 'body');
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return {
    lanes,
    loneValues,
    toolInputs,
    tokenLanes,
    integerArrays,
    opaque,
    ends: none,
    usage: usageOf(root),
    models: none,
  };
}

export const modelServer: Dialect = {
  name: 'model-server',
  route: (method, path) => (method === 'POST' ? routes.get(path) : undefined),
  request: (route, root, query = '') => readRequest(known(route), root, query),
  answer: (route, root, status) => readAnswer(known(route), root, status),
  frame: () => refuseAnswer('stream'),
  endMarker,
  errorEvent: undefined,
  refusal: refusalBody,
};

/** Made once: what a path is never changes. */
const routes: ReadonlyMap<string, Known> = new Map(
  [...serverRoutes].map(([path, server]): [string, Known] => [
    path,
    {
      dialect: modelServer,
      operation: 'Embeddings',
      body: 'json',
      model: undefined,
      generates: false,
      streams: none,
      server,
      requests: Place.root(server.request),
      answers: Place.root(server.answer),
      lists: server.listed === undefined ? undefined : Place.root(server.listed),
    },
  ]),
);
