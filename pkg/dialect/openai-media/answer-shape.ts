import type { JsonNode } from '../../base/index.ts';
import { headBytes, sniffedType } from '../file-type.ts';
import { isMedia, soundBytes } from '../media.ts';
import { refused } from '../refused-fields.ts';
import { error, usage } from '../openai/answer-shape.ts';
import { readTokenEntries } from '../openai/logprobs.ts';
import { either, free, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';

/** Fields of the answers and events of OpenAI's audio and image routes, and of what vLLM adds to them. Anything else is unknown. */

/** A piece of a text that is told in pieces beside the whole: read as one with the others. */
const piece = (id: string, each = false): Shape => ({
  read(reader, node) {
    if (node.kind !== 'string') return false;
    reader.join(id, node, each);
    return true;
  },
});

/** A picture in base64: a file of the type that its first bytes say, however short. */
function pictureBytes(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  if (node.kind === 'null') return true;
  if (node.kind !== 'string') reader.refuse(place);
  readPicture(reader, node, place, node.text);
  return true;
}

/** A link is a value of its own; a picture that stands in it, a picture. */
function pictureUrl(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  const url = node.string ?? '';
  if (!/^data:/i.test(url)) return false;
  const head = /^data:image\/[a-z0-9.+-]{1,64};base64,/.exec(url.slice(0, 128))?.[0];
  if (head === undefined) reader.refuse(place);
  readPicture(reader, node, place, url.slice(head.length));
  return true;
}

function readPicture(reader: ShapeReader, node: JsonNode, place: ShapePlace, data: string): void {
  const type = sniffedType(Buffer.from(data.slice(0, 16), 'base64').subarray(0, headBytes));
  if (type?.startsWith('image/') !== true || !isMedia(data, false)) reader.refuse(place);
  reader.file({ type, bytes: Buffer.byteLength(data, 'base64'), content: () => Buffer.from(data, 'base64') });
  reader.hide(node);
}

/** Token ids that spell the segment again. */
const tokens: Shape = {
  items: number,
  read(reader, node) {
    if (node.kind !== 'array') return false;
    reader.tokens(node);
    return true;
  },
};

/** @param id what they are joined as: they tell the text once more. */
const words = (id: string): Shape =>
  list(
    object({
      word: piece(id),
      text: piece(`${id}.text`),
      ...named(['start', 'end', 'probability', 'score', 't_dtw'], number),
    }),
  );

const segment = object({
  id: either(number, lone),
  ...named('seek start end temperature avg_logprob compression_ratio no_speech_prob'.split(' '), number),
  type: lone,
  speaker: lone,
  text: piece('segments'),
  tokens,
  words: words('segments.words'),
  // WhisperX's.
  chars: list(object({ char: piece('segments.chars'), ...named(['start', 'end', 'score'], number) })),
});

const logprobs: Shape = { items: free, read: readTokenEntries };

const duration = either(number, lone);

const used: Shape = either(
  object({
    ...Object.fromEntries(usage.fields ?? []),
    type: lone,
    seconds: number,
    input_token_details: object(named(['audio_tokens', 'text_tokens'], number)),
  }),
);

const envelope: Readonly<Record<string, Shape>> = {
  error,
  usage: used,
  message: text,
  type: lone,
  param: lone,
  code: either(lone, number),
  object: lone,
};

/** A transcript or a translation; of captions, their cues as `segments`, what each is called and how it is shown, and what stands between them as `notes`. */
export const transcript = object({
  ...envelope,
  text,
  task: lone,
  language: lone,
  languages: list(either(lone, object({ code: lone }))),
  duration,
  segments: list(segment),
  words: words('words'),
  word_segments: words('word_segments'), // WhisperX's
  // Each says something, and nobody says whether it goes on in the next.
  ...Object.fromEntries(['names', 'settings', 'notes'].map((name) => [name, list(piece(name, true))])),
  logprobs,
});

const picture: Readonly<Record<string, Shape>> = {
  b64_json: { read: pictureBytes, strict: true },
  url: { ...lone, read: pictureUrl },
  revised_prompt: text,
};

const pictureFields: Readonly<Record<string, Shape>> = {
  ...named(['created', 'created_at', 'partial_image_index', 'sequence_number'], number),
  ...named(['background', 'output_format', 'quality', 'size', 'safety_identifier'], lone),
};

export const pictures = object({
  ...envelope,
  ...pictureFields,
  id: lone,
  model: lone,
  data: list(object(picture, { strict: true }), { strict: true }),
});

/** Of what answers with sound: what it says where it has none. */
export const failure = object(envelope);

/** Events tell a text, not its words: nothing joins those over events. */
const untold = named(['segments', 'words', 'word_segments'], refused);

/** What somebody said, once it is whole: the event of a diarized transcript. */
export const segmentEvent = object({
  ...envelope,
  ...untold,
  ...named(['id', 'speaker'], lone),
  ...named(['start', 'end'], number),
  text,
  tokens,
});

/** Events of other types. */
export const transcriptEvent = object({
  ...envelope,
  ...untold,
  ...named(['delta', 'text'], text),
  segment_id: lone,
  obfuscation: lone,
  languages: list(either(lone, object({ code: lone }))),
  logprobs,
});

export const pictureEvent = object({ ...envelope, ...pictureFields, ...picture });

/** @param type of the sound that was asked for */
export const speechEvent = (type: string): Shape =>
  object({ ...envelope, audio: { read: soundBytes(type), strict: true }, obfuscation: lone });
