import type { JsonNode } from '../../base/index.ts';
import type { Operation, ReasonCode, ServiceSpec } from '../../core/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { AnswerView, Dialect, FrameView, RequestView, Route } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader, maxRequestValues } from '../reader.ts';
import type { Projected, Rpc } from '../rpc.ts';
import { lone, number, object } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { describedMethod } from './described.ts';
import { endEvent, longestId, messageField, rpcFraming, turnField, turnOf } from './framing.ts';
import { project } from './projection.ts';
import { pageShape } from './page-shape.ts';
import { methodOf } from './registry.ts';
import type { MethodType } from './registry.ts';
import { batchRequest, batchResponse, inferRequest, inferResponse } from './shapes.ts';
import { refusalTrailers } from './status.ts';
import { WireError } from './wire.ts';

/**
 * gRPC: KServe v2 with Triton's extensions, the protocol of TGI's shards, gRPC's health checks and server reflection. Messages are read as the
 * JSON that says the same (projection.ts). Methods that no descriptor has are refused, whatever a policy says: nobody could look into them.
 */

interface Method {
  readonly operation: Operation;
  /** Field that names the model: names on the way to it. */
  readonly model?: readonly string[];
  /** Without that field it is about all of the server. */
  readonly ofAll?: true;
  /** Answers name what they answer. */
  readonly turns?: true;
  /** Texts of a stream's messages are each one's own. */
  readonly separate?: boolean;
  /** Absent: the page's. */
  readonly request?: Shape;
  readonly answer?: Shape;
}

const page = (operation: Operation, model?: string): Method => ({
  operation,
  ...(model !== undefined && { model: [model] }),
});
/** Of one model, or of all. */
const anyPage = (operation: Operation, model: string): Method => ({ ...page(operation, model), ofAll: true });
/** Whoever speaks to TGI's shards is its router: it goes on with batches of all callers, and ends them. */
const batch: Method = { operation: 'Admin', request: batchRequest, answer: batchResponse };
const infer: Method = { operation: 'Completions', model: ['model_name'], request: inferRequest, answer: inferResponse };

const kserve = '/inference.GRPCInferenceService/';
const tgi = '/generate.v3.TextGenerationService/';
const methods: ReadonlyMap<string, Method> = new Map([
  [`${kserve}ServerLive`, page('Health')],
  [`${kserve}ServerReady`, page('Health')],
  [`${kserve}ServerMetadata`, page('Health')],
  [`${kserve}ModelReady`, page('ListModels', 'name')],
  [`${kserve}ModelMetadata`, page('ListModels', 'name')],
  [`${kserve}ModelInfer`, infer],
  [`${kserve}ModelStreamInfer`, { ...infer, turns: true }],
  [`${kserve}ModelConfig`, page('Other', 'name')],
  [`${kserve}ModelStatistics`, anyPage('Other', 'name')],
  [`${kserve}RepositoryIndex`, page('Admin')],
  [`${kserve}RepositoryModelLoad`, page('Admin', 'model_name')],
  [`${kserve}RepositoryModelUnload`, page('Admin', 'model_name')],
  ...['System', 'Cuda'].flatMap((kind): [string, Method][] =>
    ['Status', 'Register', 'Unregister'].map((what) => [`${kserve}${kind}SharedMemory${what}`, page('Admin')]),
  ),
  [`${kserve}TraceSetting`, anyPage('Admin', 'model_name')],
  [`${kserve}LogSettings`, page('Admin')],
  [`${tgi}Health`, page('Health')],
  [`${tgi}Info`, page('Health')],
  [`${tgi}ServiceDiscovery`, page('Admin')],
  [`${tgi}ClearCache`, page('Admin')],
  [`${tgi}FilterBatch`, page('Admin')],
  [`${tgi}Warmup`, batch],
  [`${tgi}Prefill`, batch],
  [`${tgi}Decode`, batch],
  ['/grpc.health.v1.Health/Check', page('Health')],
  ['/grpc.health.v1.Health/List', page('Health')],
  ['/grpc.health.v1.Health/Watch', page('Health')],
  // What the server can do is told to whom a rule says so, as other pages about it are.
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', page('Other')],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', page('Other')],
]);

interface Known {
  readonly route: Route;
  readonly rpc: Rpc;
  readonly method: Method;
  readonly requests: Place;
  readonly answers: Place;
}

const known = new Map<string, Known>();
/** Of methods that policies describe for as long as those are in force. */
const byRpc = new WeakMap<Rpc, Known>();

function find(path: string): Known | undefined {
  const found = known.get(path);
  if (found !== undefined) return found;
  const method = methods.get(path);
  const described = method === undefined ? undefined : methodOf(path);
  if (method === undefined || described === undefined) return undefined;
  const made = make(described, method);
  known.set(path, made);
  return made;
}

function make(described: MethodType, method: Method): Known {
  const rpc = rpcOf(described, method.turns ?? false);
  const made: Known = {
    rpc,
    method,
    requests: Place.root(method.request ?? pageShape(described.input)),
    answers: Place.root(method.answer ?? pageShape(described.output)),
    route: {
      dialect: grpc,
      operation: method.operation,
      body: 'rpc',
      model: undefined,
      generates: false,
      streams: [rpcFraming(rpc)],
      rpc,
    },
  };
  byRpc.set(rpc, made);
  return made;
}

function rpcOf({ input, output, methodKind }: MethodType, turns: boolean): Rpc {
  return {
    turns,
    clientStreams: methodKind === 'bidi_streaming' || methodKind === 'client_streaming',
    serverStreams: methodKind === 'bidi_streaming' || methodKind === 'server_streaming',
    request: (message, grown) =>
      projected(
        () =>
          project(input, message, {
            grown(nodes) {
              if (nodes > maxRequestValues) throw new RefusedError('body_too_large', { detail: 'values' });
              grown?.(nodes);
            },
          }),
        'invalid_request',
        'guard_blocked',
      ),
    answer: (message, tellsByNumbers = false) =>
      projected(() => project(output, message, { tellsByNumbers }), 'response_uninspectable', 'response_uninspectable'),
  };
}

/** @param unread why a message is refused that cannot be read. @param unchanged why one that cannot be changed as a rule wants. */
function projected(make: () => Projected, unread: ReasonCode, unchanged: ReasonCode): Projected {
  const refusing = <T>(run: () => T, code: ReasonCode): T => {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof WireError) throw new RefusedError(code, { detail: 'protobuf', cause });
      throw cause;
    }
  };
  const made = refusing(make, unread);
  const { root, nodes, units, numbers } = made;
  return { root, nodes, units, numbers, edited: (edits) => refusing(() => made.edited(edits), unchanged) };
}

const none: readonly never[] = Object.freeze([]);
/** Names are matched, recorded and measured: no server's is longer. */
const longestModel = 512;

const modelNodeOf = (root: JsonNode, { model }: Method): JsonNode | undefined =>
  model?.reduce<JsonNode | undefined>((node, field) => node?.get(field), root);

function modelOf(node: JsonNode | undefined, { model: path, ofAll }: Method): string | undefined {
  if (path === undefined) return undefined;
  const name = node?.string ?? '';
  if (name === '' && ofAll === true) return undefined;
  if (name === '' || name.length > longestModel) throw new RefusedError('invalid_request', { detail: path.join('.') });
  return name;
}

function readRequest(route: Route, root: JsonNode, query = ''): RequestView {
  if (query !== '') throw new RefusedError('invalid_request', { detail: 'query' });
  const { method, requests } = ofRoute(route);
  // Its answers come back with it, and are told apart by it.
  if (method.turns === true && (root.get('id')?.string ?? '').length > longestId)
    throw new RefusedError('invalid_request', { detail: 'id' });
  const reader = new Reader('request', 'none');
  reader.read(root, requests);
  const node = modelNodeOf(root, method);
  return {
    model: modelOf(node, method),
    // Pages of another kind name it in their answers where nothing writes it anew.
    modelNode: method.operation === 'Other' ? undefined : node,
    generates: false,
    stream: route.rpc?.serverStreams ?? false,
    count: 1,
    maxOutputTokens: undefined,
    outputBound: undefined,
    endless: true,
    stops: true,
    usageAsked: false,
    tokenInput: reader.tokenInput,
    lanes: reader.lanes,
    loneValues: reader.loneValues,
    toolInputs: reader.toolInputs,
    opaque: reader.opaque,
    listNumbers: reader.listNumbers,
    limitOutput: () => none,
    askUsage: () => none,
    spellTokens: () => none,
  };
}

function ofRoute({ rpc }: Route): Known {
  const found = rpc === undefined ? undefined : byRpc.get(rpc);
  if (found === undefined) throw new RefusedError('internal_error', { detail: 'rpc' });
  return found;
}

/** One call carries many requests: clients join what answers the same one, by its id. */
const streams = Place.root({ fields: new Map(), rest: inferResponse });
const streamed = Place.root(object({ error_message: lone, infer_response: { read: () => true } }));

function readMessage({ rpc, method, answers }: Known, root: JsonNode): FrameView {
  const reader = new Reader('answer');
  if (!rpc.turns) {
    reader.read(root, answers);
    const view = viewOf(reader);
    // The one message must not be forced out in two, and one of its own is whole: its texts end with it.
    if (rpc.serverStreams && method.separate !== true) return { ...view, kind: 'data' };
    return { ...view, lanes: view.lanes.map((lane) => ({ ...lane, whole: 'cut' as const })), kind: 'data' };
  }
  const message = root.get(messageField) ?? root;
  reader.read(message, streamed);
  const response = message.get('infer_response');
  if (response === undefined) return { ...viewOf(reader), kind: 'data' };
  const { id, last } = turnOf(message);
  const place = streams.stranger(`${id}~${root.get(turnField)?.text ?? ''}`);
  reader.read(response, place);
  return {
    ...viewOf(reader),
    kind: 'data',
    // What comes with its id from here on is of another answer.
    ends: last ? [{ prefix: `${place.id}.`, end: 'cut', gone: true }] : none,
  };
}

/** How the call ended: the model's own words are a text by themselves. */
function readEnd(root: JsonNode): FrameView {
  const reader = new Reader('answer');
  reader.read(root, ends);
  return { ...viewOf(reader), kind: root.get('status')?.number === 0 ? 'done' : 'error' };
}
const ends = Place.root(object({ status: number, message: lone }));

function viewOf({ lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, joined }: Reader): AnswerView {
  const view = {
    lanes,
    loneValues,
    toolInputs,
    tokenLanes,
    integerArrays,
    opaque,
    ends: none,
    usage: undefined,
    models: none,
  };
  return joined.length === 0 ? view : { ...view, joined };
}

function readFrame(route: Route, event: string | undefined, root: JsonNode | undefined): FrameView {
  if (root === undefined) throw new RefusedError('response_uninspectable', { detail: 'body' });
  return event === endEvent ? readEnd(root) : readMessage(ofRoute(route), root);
}

export const grpc: Dialect = {
  name: 'grpc',
  // What does not come as gRPC is none of its calls, whatever its path.
  route: () => undefined,
  request: readRequest,
  answer: (route, root) => readMessage(ofRoute(route), root),
  frame: (route, event, _data, root) => readFrame(route, event, root),
  endMarker: () => false,
  errorEvent: undefined,
  refusal: (text) => refusalTrailers(text).toString('latin1'),
};

/** A call of a method that nobody can read: it is refused, whatever a policy says. */
const unknown: Route = {
  dialect: grpc,
  operation: 'Other',
  body: 'rpc',
  model: undefined,
  generates: false,
  streams: [],
  rpc: undefined,
};

/** Services that a policy describes, which are read as it says. */
export interface DescribedServices {
  /** Undefined: no policy describes it. */
  route(path: string): Route | undefined;
}

/** @param services what is not as its descriptor set says is not described. */
export function describedServices(services: readonly ServiceSpec[]): DescribedServices {
  const routes = new Map<string, Route | undefined>();
  const find = (path: string): Route | undefined => {
    const [, name = '', method = '', ...more] = path.split('/');
    const spec = more.length > 0 ? undefined : services.find((one) => one.service === name);
    const said = spec?.methods.find((one) => one.name === method);
    const described = spec === undefined || said === undefined ? undefined : describedMethod(spec, said);
    if (described === undefined || said === undefined) return undefined;
    const { operation, model, response } = said;
    return make(described.type, {
      operation,
      ...(model !== undefined && { model: model.split('.') }),
      separate: response.messages === 'Separate',
      request: described.request,
      answer: described.answer,
    }).route;
  };
  return {
    route(path) {
      if (services.length === 0) return undefined;
      const known = routes.get(path);
      if (known !== undefined) return known;
      const route = find(path);
      // Of what is described, and nothing that callers make up.
      if (route !== undefined) routes.set(path, route);
      return route;
    },
  };
}

/** What a request is that comes as gRPC. `path` is normalised and has no query. */
export function recogniseRpc(method: string, path: string, services?: DescribedServices): Route {
  if (method !== 'POST') return unknown;
  return find(path)?.route ?? services?.route(path) ?? unknown;
}
