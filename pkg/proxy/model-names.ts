import { lenientParameters } from '../base/index.ts';
import type { JsonEdit, JsonNode } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import type { Snapshot } from '../core/index.ts';
import type { AnswerView } from '../dialect/index.ts';

/** What a hosted endpoint calls a model, and what callers, rules and the record call it. */
export interface ModelName {
  readonly name: string;
  readonly as: string;
}

/** Parameters of a query by which servers are told a model: OpenAI's, Azure's. */
const telling = /^(?:model|deployment)(?:[_-]?(?:name|id))?$/;

/**
 * The path and query of a WebSocket, and of a route that nobody knows, go on as they came: what they name would be another model there. A name is a part
 * of a path by itself, or before a verb (`:predict`); one with slashes is several.
 *
 * @param path normalised.
 * @throws RefusedError upstream_unsupported for a model that a hosted endpoint calls otherwise
 */
export function refuseRenamed({ upstream }: Pick<Snapshot, 'upstream'>, path: string, query: string): void {
  const models = upstream?.hosted?.models ?? [];
  if (models.length === 0) return;
  // A normalised path has no escapes that do not decode.
  const parts = `${path.includes('%') ? decodeURIComponent(path) : path}/`;
  const told = lenientParameters(query).filter(({ name }) => telling.test(name));
  for (const { name } of models)
    if (['/', ':', ';'].some((end) => parts.includes(`/${name}${end}`)) || told.some(({ value }) => value === name))
      throw new RefusedError('upstream_unsupported', { detail: 'models' });
}

/** Where an answer, or an event of one, says which model wrote it: OpenAI, Ollama, KServe, Gemini, Anthropic's first event, Responses' events, KServe's streams. */
const places: readonly (readonly string[])[] = [
  ['model'],
  ['model_name'],
  ['modelVersion'],
  ['message', 'model'],
  ['response', 'model'],
  ['infer_response', 'model_name'],
  ['message', 'infer_response', 'model_name'],
];

/** Gemini's names of models have it before them. */
const resource = 'models/';
const none: readonly JsonEdit[] = [];

/** @returns what writes the caller's name of the model in place of the endpoint's; nothing where the endpoint says another (a version of it). */
export function namedAsAsked(root: JsonNode, model: ModelName | undefined): readonly JsonEdit[] {
  if (model === undefined) return none;
  return places.flatMap((path) => {
    let node: JsonNode | undefined = root;
    for (const step of path) node = node?.kind === 'object' ? node.get(step) : undefined;
    return node === undefined ? none : rename(node, model);
  });
}

/** Names of the endpoint's in an entry of a list, or a page, of a model. */
export const renamedEntry = (entry: JsonNode, model: ModelName): readonly JsonEdit[] =>
  entry.kind === 'object' ? entry.items.flatMap((node) => rename(node, model)) : none;

function rename(node: JsonNode, { name, as }: ModelName): readonly JsonEdit[] {
  if (node.kind !== 'string') return none;
  const said = node.text === as ? name : node.text === resource + as ? resource + name : undefined;
  return said === undefined ? none : [{ start: node.start, end: node.end, text: JSON.stringify(said) }];
}

/** Who may see which model, by the names of a policy. */
export interface Listing {
  readonly mayUse: (model: string) => boolean;
  readonly names: readonly ModelName[];
}

/**
 * What a caller sees of a list of models: those that they may use, by the name by which they may use them. One that goes by another name is called so even
 * where its own would do.
 *
 * @returns entries that are hidden, and edits of those that are not
 */
export function listed(
  { models }: AnswerView,
  { mayUse, names }: Listing,
): { readonly hidden: ReadonlySet<JsonNode>; readonly edits: readonly JsonEdit[] } {
  const hidden = new Set<JsonNode>();
  const edits: JsonEdit[] = [];
  for (const { id, node } of models) {
    const called = names.find(({ name, as }) => as === id && mayUse(name));
    if (called !== undefined) edits.push(...renamedEntry(node, called));
    else if (!mayUse(id)) hidden.add(node);
  }
  return { hidden, edits };
}

/** Anthropic's: what stands first and last in a page, by which the caller asks for the one before it or behind it. */
const pageEnds = ['first_id', 'last_id'] as const;

/**
 * The ends of a page of models are those of what a caller sees of it. They go back to the endpoint, so that they say its own names; where nothing is left,
 * none.
 */
export function pageEndEdits(
  root: JsonNode,
  { models }: AnswerView,
  hidden: ReadonlySet<JsonNode>,
): readonly JsonEdit[] {
  const ends = pageEnds.map((name) => root.get(name));
  if (ends.every((node) => node === undefined)) return none;
  const shown = models.filter(({ node }) => !hidden.has(node));
  return ends.flatMap((node, at): JsonEdit[] => {
    const id = shown.at(at === 0 ? 0 : -1)?.id;
    if (node === undefined || node.kind === 'null' || (id !== undefined && node.string === id)) return [];
    return [{ start: node.start, end: node.end, text: id === undefined ? 'null' : JSON.stringify(id) }];
  });
}
