import type { JsonEdit, JsonNode } from '../../base/index.ts';
import type { ConversationChange, RequestView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { fieldsOf, insert, refuse, replace } from '../request-fields.ts';
import type { Shape } from '../shape.ts';
import { limitNames } from './told-limit.ts';
import type { ToldLimit } from './told-limit.ts';
import { clientEvents, ofResponse, session as sessionShape } from './shapes.ts';

/**
 * What a caller sends on OpenAI's Realtime API, event by event.
 *
 * Promise: as that of OpenAI's requests ({@link Reader}); an event of a type that is not among its own is refused. Texts are read
 * event by event; who inspects them joins them. Where output is limited, sound goes on only in a session of which the server
 * itself said that its answers are: what a caller set the server may have refused.
 */

const places: ReadonlyMap<string, Place> = new Map([...clientEvents].map(([type, shape]) => [type, Place.root(shape)]));

/** By it an item comes before others that were sent first. */
const placing = 'previous_item_id';

const none: readonly never[] = Object.freeze([]);

/** Sound comes in many events a second: a run of them is one request. */
const continuing: ReadonlySet<string> = new Set(['input_audio_buffer.append', 'input_audio_buffer.commit']);
/** After which the model may answer, and each of what it answers with: a session decides that by itself. */
const answered: ReadonlySet<string> = new Set(['session.update', 'response.create', ...continuing]);

export class RealtimeRequests {
  readonly #told: () => ToldLimit;
  readonly #isForeign: (id: string) => boolean;
  /** The caller set what no one here knows, so that it may have chosen where answers end. */
  stops = false;
  /** The handshake named no model, and asked for a session that answers nothing: no other kind may come of it. */
  transcribesOnly = false;

  /**
   * @param told what the server last said of its session.
   * @param isForeign whether the server said of an item of this name that no text of the caller's is in it.
   */
  constructor(told: () => ToldLimit, isForeign: (id: string) => boolean) {
    this.#told = told;
    this.#isForeign = isForeign;
  }

  /** @throws RefusedError `invalid_request` */
  read(root: JsonNode): RequestView {
    if (root.kind !== 'object') refuse('body');
    const type = root.get('type')?.string ?? '';
    const place = places.get(type);
    if (place === undefined) refuse('type');
    const reader = new Reader('request');
    reader.read(root, place);
    const settings = settingsOf(type, root);
    const transcribes = type === 'transcription_session.update' || settings?.get('type')?.string === 'transcription';
    this.#checkKind(type, settings, transcribes);
    const limit = transcribes ? undefined : limitOf(settings);
    if (reader.strangers || hasStrangers(type, settings)) this.stops = true;
    checkConversation(settings);
    const change = this.#change(type, root, settings);
    return {
      model: nameIn(settings, 'model'),
      others: [settings?.get('audio')?.get('input')?.get('transcription'), settings?.get('input_audio_transcription')]
        .map((one) => nameIn(one, 'model'))
        .filter((name) => name !== undefined),
      generates: answered.has(type) && !transcribes,
      continues: continuing.has(type),
      stream: false,
      count: 1,
      maxOutputTokens: limit,
      outputBound: limit,
      stops: this.stops,
      ...((root.get(placing)?.kind ?? 'null') !== 'null' && { placedBy: placing }),
      ...(change !== undefined && { conversation: change }),
      usageAsked: true,
      tokenInput: reader.tokenInput,
      lanes: reader.lanes,
      loneValues: reader.loneValues,
      toolInputs: reader.toolInputs,
      opaque: reader.opaque,
      documents: reader.documents,
      media: reader.media,
      links: reader.links,
      files: reader.files,
      listNumbers: reader.listNumbers,
      limitOutput: (most) => this.#limit(type, root, settings, most),
      askUsage: () => none,
      spellTokens: () => none,
    };
  }

  #change(type: string, root: JsonNode, settings: JsonNode | undefined): ConversationChange | undefined {
    const leading = settings?.get('instructions');
    if (leading?.kind === 'string') return { leads: { node: leading, stays: type !== 'response.create' } };
    const id = root.get('item_id')?.string;
    switch (type) {
      case 'conversation.item.create':
        return { adds: { id: root.get('item')?.get('id')?.string } };
      case 'conversation.item.delete':
        if (id === undefined) refuse('item_id');
        return this.#isForeign(id) ? undefined : { removes: id };
      default:
        return undefined;
    }
  }

  #checkKind(type: string, settings: JsonNode | undefined, transcribes: boolean): void {
    const answers = type === 'response.create' || (settings !== undefined && !transcribes);
    if (this.transcribesOnly && answers) refuse('type');
    // Nothing is answered there: what has a limit is another kind of session.
    if (transcribes) for (const name of limitNames) if (settings?.get(name) !== undefined) refuse(name);
  }

  #limit(type: string, root: JsonNode, settings: JsonNode | undefined, most: number): readonly JsonEdit[] {
    if (continuing.has(type)) {
      // The server answers what it hears by itself, at whatever length its session says.
      if (this.#told().most > most) refuse(limitNames[0]);
      return none;
    }
    const { name: own } = this.#told();
    const member = `"${own}":${most}`;
    if (settings === undefined) {
      const node = root.get('response');
      return [node === undefined ? insert(root, `"response":{${member}}`) : replace(node, `{${member}}`)];
    }
    const fields = fieldsOf(settings);
    const edits = limitNames.flatMap((name) => {
      const node = fields.get(name);
      return node === undefined || (node.number ?? Number.POSITIVE_INFINITY) <= most
        ? []
        : [replace(node, String(most))];
    });
    return fields.has(own) ? edits : [insert(settings, member), ...edits];
  }
}

/** Of a session, or of one answer. */
function settingsOf(type: string, root: JsonNode): JsonNode | undefined {
  const isSession = type.endsWith('session.update');
  const node = root.get(isSession ? 'session' : 'response');
  if (type === 'response.create' && (node === undefined || node.kind === 'null')) return undefined;
  if (isSession && node?.kind !== 'object') refuse('session');
  return node?.kind === 'object' ? node : undefined;
}

function nameIn(node: JsonNode | undefined, field: string): string | undefined {
  const name = node?.get(field)?.string;
  if (name === undefined) return undefined;
  if (name === '' || name.length > longestModel || name.includes(',')) refuse(field);
  return name;
}
/** Names are matched, recorded and measured: no server's is longer. */
const longestModel = 512;

/** The most that any of the two names asks for; undefined: as much as the server gives. */
function limitOf(settings: JsonNode | undefined): number | undefined {
  let limit: number | undefined;
  for (const name of limitNames) {
    const node = settings?.get(name);
    if (node === undefined || node.kind === 'null' || node.string === 'inf') continue;
    const value = node.number;
    if (value === undefined || !/^[0-9]{1,15}$/.test(node.text) || value < 1) refuse(name);
    limit = Math.max(limit ?? 0, value);
  }
  return limit;
}

function hasStrangers(type: string, settings: JsonNode | undefined): boolean {
  const shape: Shape = type === 'response.create' ? ofResponse : sessionShape;
  return settings?.keys.some((key) => shape.fields?.has(key.text) !== true) ?? false;
}

/** Beside its own an answer may go to no conversation. */
function checkConversation(settings: JsonNode | undefined): void {
  const node = settings?.get('conversation');
  if (node === undefined || node.kind === 'null') return;
  if (node.string !== 'auto' && node.string !== 'none') refuse('conversation');
}
