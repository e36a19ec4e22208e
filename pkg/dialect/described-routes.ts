import { lenientParameters } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { BodySpec, Joining, Operation, RouteSpec } from '../core/index.ts';
import type { AnswerView, Dialect, FrameView, Lane, RequestView, Route } from './dialect.ts';
import { elementNames, piecesOf } from './elements.ts';
import { ndjson } from './framing/ndjson.ts';
import { plainText } from './framing/plain-text.ts';
import { sse } from './framing/sse.ts';
import { generic } from './generic.ts';
import { describedSocket } from './generic-socket.ts';
import type { DescribedSockets } from './generic-socket.ts';
import { plainQuery } from './openai/request.ts';
import { Place } from './place.ts';
import { Reader } from './reader.ts';
import { refusedFields } from './refused-fields.ts';
import { free, object, text, unlisted } from './shape.ts';
import type { Shape, ShapePlace, ShapeReader } from './shape.ts';
import { areIds, asksByIds, isSpelledId, tellsByIds } from './token-ids.ts';
import { usageOf } from './usage.ts';

/**
 * Routes that a policy describes, of frameworks that no dialect knows: which operation they are, where texts stand in JSON, and whether bodies
 * are text. What a dialect or the table of management routes knows stays what it is.
 *
 * Promise: as that of the generic dialect, each string of a body is a lane, a value, a key that is looked at, or the body is refused.
 */
export interface DescribedRoutes extends DescribedSockets {
  /** Undefined: no policy describes it. `path` is normalised and has no query. */
  route(method: string, path: string): Route | undefined;
}

export function describedRoutes(specs: readonly RouteSpec[]): DescribedRoutes {
  const http = new Map<string, Route>();
  const sockets = new Map<string, Route>();
  for (const spec of specs) {
    if (spec.webSocket) sockets.set(spec.path, describedSocket(spec.operation, new Described(spec).dialect()));
    else http.set(spec.path, httpRoute(spec));
  }
  return {
    route: (method, path) => (method === 'POST' ? http.get(path) : undefined),
    socket: (path) => sockets.get(path),
  };
}

function httpRoute(spec: RouteSpec): Route {
  const isText = spec.response.format === 'Text';
  return {
    dialect: new Described(spec).dialect(),
    operation: spec.operation,
    body: 'json',
    described: spec.request.format,
    model: undefined,
    generates: false,
    streams: isText ? [plainText, sse, ndjson] : [sse, ndjson],
  };
}

const none: readonly never[] = Object.freeze([]);
const asking: ReadonlySet<Operation> = new Set(['Chat', 'Completions', 'Embeddings']);
/** Names are matched, recorded and measured: no server's is longer. */
const longestModel = 512;
/** Where the text of a body or of a stream stands that is nothing but text. */
const bare = Place.root(object({ text })).known('text');

class Described {
  readonly #spec: RouteSpec;
  readonly #model: readonly string[] | undefined;
  readonly #request: Place;
  readonly #answer: Place;
  /** Of messages whose texts go on in the next. */
  readonly #streamed: Place;

  constructor(spec: RouteSpec) {
    this.#spec = spec;
    const { model, request, response } = spec;
    this.#model = model === undefined ? undefined : stepsOf(model);
    // The name of a model is a value, said so or not.
    this.#request = Place.root(shapeOf({ side: 'request', names: model === undefined ? [] : [model] }, request));
    const { elements } = response;
    const place = (joins: ElementsSpec): Place => Place.root(shapeOf({ side: 'answer', names: [], joins }, response));
    this.#answer = place({ elements, streamed: false });
    this.#streamed = place({ elements, streamed: true });
  }

  dialect(): Dialect {
    return {
      ...generic,
      request: (_route, root, query) => this.#readRequest(root, query),
      answer: (_route, root) => this.#read(root, this.#answer),
      frame: (_route, event, data, root) => this.#readFrame(event, data, root),
    };
  }

  #readRequest(root: JsonNode, query = ''): RequestView {
    if (query !== '') this.#checkQuery(query);
    const reader = new Reader('request', 'none');
    if (this.#spec.request.format === 'Text' && bare !== undefined) reader.read(root, bare);
    else reader.read(root, this.#request);
    return {
      model: this.#modelOf(root),
      generates: false,
      countsInput: true,
      stream: false,
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

  /**
   * What asks a model is said in the body alone, as of the dialects' own routes: servers and gateways take a model, an adapter and more from a query. Of
   * others it may not name the model that the body names: servers may prefer either.
   */
  #checkQuery(query: string): void {
    const name = this.#model?.at(-1)?.toLowerCase();
    const isBad = asking.has(this.#spec.operation)
      ? !plainQuery.test(query)
      : lenientParameters(query).some((one) => one.name === name);
    if (isBad) throw new RefusedError('invalid_request', { detail: 'query' });
  }

  #modelOf(root: JsonNode): string | undefined {
    if (this.#model === undefined) return undefined;
    const name = this.#model.reduce<JsonNode | undefined>((node, step) => node?.get(step), root)?.string ?? '';
    if (name === '' || name.length > longestModel)
      throw new RefusedError('invalid_request', { detail: this.#model.join('.') });
    return name;
  }

  #read(root: JsonNode, place: Place): AnswerView {
    const reader = new Reader('answer');
    const isText = this.#spec.response.format === 'Text' && root.kind === 'string';
    if (isText && bare !== undefined) reader.read(root, bare);
    else reader.read(root, place);
    const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque, joined } = reader;
    const view = {
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
    return joined.length === 0 ? view : { ...view, joined };
  }

  #readFrame(event: string | undefined, data: string, root: JsonNode | undefined): FrameView {
    // Its end marker.
    if (root === undefined) return generic.frame(undefined as never, event, data, root);
    // Chunks of plain text are no messages: wherever they are cut, every client joins them.
    const isText = this.#spec.response.format === 'Text' && root.kind === 'string';
    const messages = isText ? 'Joined' : this.#spec.response.messages;
    const view = this.#read(root, messages === 'Separate' ? this.#answer : this.#streamed);
    const lanes = messages === 'Growing' ? growing(view.lanes) : view.lanes;
    const told = messages === 'Separate' ? lanes.map((lane): Lane => ({ ...lane, whole: 'cut' })) : lanes;
    return { ...view, lanes: told, kind: event === 'error' ? 'error' : 'data' };
  }
}

/**
 * What the policy does not list as well: joined, a text so far would stand right behind the one before it. A message that says one of them twice is none.
 *
 * @throws RefusedError response_uninspectable
 */
function growing(lanes: readonly Lane[]): readonly Lane[] {
  if (new Set(lanes.map(({ id }) => id)).size < lanes.length)
    throw new RefusedError('response_uninspectable', { detail: 'elements' });
  return lanes.map((lane) => ({ ...lane, grows: true }));
}

/** `$.turns[*].content` as the names on the way, `*` for each element. */
function stepsOf(path: string): readonly string[] {
  return path.slice(1).replaceAll('[*]', '.*').split('.').slice(1);
}

interface Tree {
  role?: 'text' | 'lone';
  readonly below: Map<string, Tree>;
}

type Side = 'request' | 'answer';

/** How elements on the way to a text are read. */
interface ElementsSpec extends Pick<Joining, 'elements'> {
  /** Texts go on in the next message. */
  readonly streamed: boolean;
}

interface Body {
  readonly side: Side;
  /** Values beside those that the policy lists. */
  readonly names: readonly string[];
  /** Absent: by their position. */
  readonly joins?: ElementsSpec;
}

function shapeOf({ side, names, joins }: Body, { texts, values, others }: BodySpec): Shape {
  const root: Tree = { below: new Map() };
  const add = (path: string, role: NonNullable<Tree['role']>): void => {
    let tree = root;
    for (const step of stepsOf(path)) {
      const next: Tree = tree.below.get(step) ?? { below: new Map() };
      tree.below.set(step, next);
      tree = next;
    }
    tree.role = role;
  };
  for (const path of [...names, ...values]) add(path, 'lone');
  for (const path of texts) add(path, 'text');
  // In a request what refers to something that is not in it is refused, however deep, where the policy does not list it by its name.
  const rest = others === 'Refused' ? closed : side === 'request' ? unlisted : free;
  const shape = shapeFor({ side, tree: root, rest, name: '', way: [], joins });
  if (side === 'answer') return shape;
  // Servers that take a list of bodies read each as a body.
  return asBody({ ...shape, items: asBody(shape.items ?? rest) });
}

/** Whatever the policy says of a body, what names another model or server is refused where the policy does not list it by its name. */
const asBody = (shape: Shape): Shape => ({
  ...shape,
  fields: new Map([...Object.entries(refusedFields), ...(shape.fields ?? [])]),
});

interface Spot {
  readonly side: Side;
  readonly tree: Tree;
  /** What stands where the policy says nothing. */
  readonly rest: Shape;
  /** Of the field. */
  readonly name: string;
  /** To it, as the policy spells it. */
  readonly way: readonly string[];
  readonly joins: ElementsSpec | undefined;
}

/** Whether something below it is a text. */
const holdsText = ({ role, below }: Tree): boolean => role === 'text' || [...below.values()].some(holdsText);

/** What may stand where the policy says something, or below which it does. */
function shapeFor(here: Spot): Shape {
  const { tree, rest } = here;
  const below = (step: string, one: Tree): Shape =>
    shapeFor({ ...here, tree: one, name: step === '*' ? here.name : step, way: [...here.way, step] });
  const items = tree.below.get('*');
  const names =
    here.joins === undefined || items === undefined || !holdsText(items)
      ? undefined
      : elementNames(here.joins, here.joins.streamed);
  return {
    ...(names !== undefined && { names }),
    string: tree.role ?? 'text',
    number: true,
    boolean: true,
    unknown: true,
    fields: new Map([...tree.below].filter(([step]) => step !== '*').map(([step, one]) => [step, below(step, one)])),
    rest,
    items: items === undefined ? rest : below('*', items),
    read: (reader, node, place) =>
      readsTokens(here, reader, node) ||
      (tree.role === undefined && refuses(here, reader, node, place)) ||
      (tree.role === 'text' && readsPiece(here, reader, node, place)),
  };
}

/** Texts told by the numbers of their tokens, by the names that the dialects know, and in place of what the policy calls a text. */
function readsTokens({ side, tree, name }: Spot, reader: ShapeReader, node: JsonNode): boolean {
  const inPlace = tree.role !== undefined && areIds(node) && node.kind === 'array';
  if (side === 'request') {
    if (inPlace || asksByIds(name, node)) reader.tokens();
    return false;
  }
  if (!inPlace && !tellsByIds(name, node, node)) return false;
  reader.tokens(node);
  return true;
}

/** A text below a list, in a message that is read as a whole. */
function readsPiece({ joins, way }: Spot, reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (joins === undefined || joins.streamed || !way.includes('*')) return false;
  const pieces = piecesOf(joins);
  if (pieces === undefined || node.kind !== 'string' || isSpelledId(node.text)) return false;
  // Told by a field of theirs, those of one name are pieces of one.
  const id = joins.elements?.startsWith('.') === true ? place.id : way.join('.').replaceAll('.*', '[*]');
  reader.join(id, node, pieces.each);
  return true;
}

/** Whether it is a string that may not be there. */
function refuses({ rest }: Spot, reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  return rest.read?.(reader, node, place) === true;
}

/** A string that the policy does not list: nothing of it passes. */
const closed: Shape = {
  number: true,
  boolean: true,
  unknown: true,
  fields: new Map(),
  read(reader, node, place) {
    if (node.kind !== 'string') return false;
    if (node.string !== '') reader.refuse(place);
    return true;
  },
  get items() {
    return closed;
  },
  get rest() {
    return closed;
  },
};
