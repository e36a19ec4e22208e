/**
 * The events of a server of OpenAI's Realtime API as data (openai-node `RealtimeServerEvent`; the names of its beta): which field carries what, and
 * where that stands in an item of the conversation.
 */
export interface Carried {
  readonly field: string;
  /** Steps from the item; `content` is followed by the index that the event names. */
  readonly at: readonly (string | { readonly index: string })[];
  /** Clients join it with what came before; else it says again what they have. */
  readonly says: 'more' | 'again';
}

const content = { index: 'content_index' };

const pieces = (names: readonly string[], at: Carried['at'], field: string): [string, Carried][] =>
  names.flatMap((name): [string, Carried][] => [
    [`${name}.delta`, { field: 'delta', at, says: 'more' }],
    [`${name}.done`, { field, at, says: 'again' }],
  ]);

const heard = 'conversation.item.input_audio_transcription';

/** A text of an item. */
export const texts: ReadonlyMap<string, Carried> = new Map([
  ...pieces(['response.output_text', 'response.text'], ['content', content, 'text'], 'text'),
  ...pieces(
    ['response.output_audio_transcript', 'response.audio_transcript'],
    ['content', content, 'transcript'],
    'transcript',
  ),
  ...pieces(['response.function_call_arguments'], ['arguments'], 'arguments'),
  [`${heard}.delta`, { field: 'delta', at: ['content', content, 'transcript'], says: 'more' }],
  [`${heard}.segment`, { field: 'text', at: ['segments'], says: 'more' }],
]);

/** An item of sound is there. */
export const heardFirst = 'input_audio_buffer.committed';

/** The last that is said of what was heard. */
export const heardLast = { completed: `${heard}.completed`, failed: `${heard}.failed` } as const;

/** Sound. */
export const sounds: ReadonlySet<string> = new Set(['response.output_audio.delta', 'response.audio.delta']);

/** An item, as far as it is: `begins`, what follows is joined to it; `told`, it is said again. */
export const items: ReadonlyMap<string, 'begins' | 'told'> = new Map([
  ['response.output_item.added', 'begins'],
  ['conversation.item.added', 'begins'],
  ['conversation.item.created', 'begins'],
  ['response.output_item.done', 'told'],
  ['conversation.item.done', 'told'],
  ['conversation.item.retrieved', 'told'],
]);

/** A part of an item, in the same way. */
export const parts: ReadonlyMap<string, 'begins' | 'told'> = new Map([
  ['response.content_part.added', 'begins'],
  ['response.content_part.done', 'told'],
]);

export const sessions: ReadonlySet<string> = new Set([
  'session.created',
  'session.updated',
  'transcription_session.updated',
]);

/** Events that carry nothing but themselves. An error ends nothing: the session goes on. */
export const bare: ReadonlySet<string> = new Set([
  'error',
  'conversation.created',
  'conversation.item.deleted',
  'conversation.item.truncated',
  ...['cleared', 'committed', 'dtmf_event_received', 'speech_started', 'speech_stopped', 'timeout_triggered'].map(
    (name) => `input_audio_buffer.${name}`,
  ),
  ...['started', 'stopped', 'cleared'].map((name) => `output_audio_buffer.${name}`),
  'response.output_audio.done',
  'response.audio.done',
  'rate_limits.updated',
]);
