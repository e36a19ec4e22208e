import type { JsonNode } from '../../base/index.ts';
import { fileType, headBytes } from '../file-type.ts';
import type { FormShape } from '../form/form.ts';
import { metadataWith, refused, refusedFields } from '../refused-fields.ts';
import { boolean, list, lone, named, number, object, text } from '../shape.ts';
import type { Shape, ShapePlace, ShapeReader } from '../shape.ts';

/**
 * Fields of OpenAI's audio and image requests, and of what vLLM adds to them. Sources: OpenAI API reference; openai-node `resources/audio`,
 * `resources/images.ts`; vLLM `entrypoints/openai/speech_to_text/protocol.py`. In a form every value is a string, and a field that is not here is
 * refused: servers read names of forms in ways of their own. In JSON it passes as unknown, as everywhere.
 */

/** Spelled as every server reads it: Python takes ` 1`, `1_000` and `nan` for numbers too. */
const plainNumber = /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/;

const spelled = (form: RegExp): Shape => ({
  read(reader, node, place) {
    if (node.kind !== 'string' || !form.test(node.text)) reader.refuse(place);
    reader.lone(node, place);
    return true;
  },
});

const numeral = spelled(plainNumber);
/** Others are true to one server and false to the next. */
const truth = spelled(/^(?:true|false)$/);
const word = spelled(/^[A-Za-z0-9_.:-]{1,64}$/);
/** In a form, where some servers cut white space off: the name that access is decided for must be the one that is taken. */
const model = spelled(/^[^\s\p{C}]{1,512}$/u);

/** A file of a form. What of it is text is its name. */
const upload: Shape = {
  fields: new Map(Object.entries({ filename: text, type: lone, bytes: number })),
  read(reader, node) {
    const type = node.get('type')?.string;
    const bytes = node.get('bytes')?.number;
    if (type !== undefined && bytes !== undefined) reader.file({ type, bytes });
    return false;
  },
};

const dataUrl = /^data:(audio\/[a-z0-9.+-]{1,64});base64,([A-Za-z0-9+/]{16,}={0,2})$/;

/** A voice that is to be known again, as a `data:` URL. */
function readVoice(reader: ShapeReader, node: JsonNode, place: ShapePlace): boolean {
  const [, declared = '', data = ''] = dataUrl.exec(node.string ?? '') ?? [];
  const head = Buffer.from(data.slice(0, 16), 'base64').subarray(0, headBytes);
  const type = fileType(head, declared, '');
  if (type === undefined) reader.refuse(place);
  reader.file({ type, bytes: Buffer.byteLength(data, 'base64'), content: () => Buffer.from(data, 'base64') });
  reader.hide(node);
  return true;
}

const speechToText: Readonly<Record<string, Shape>> = {
  file: upload,
  model,
  prompt: text,
  response_format: word,
  temperature: numeral,
  ...named(['hotwords', 'user'], text),
  // vLLM's.
  ...named('seed top_p top_k min_p frequency_penalty presence_penalty repetition_penalty'.split(' '), numeral),
  ...named(['language', 'to_language'], word),
  ...named(['max_completion_tokens'], numeral),
  ...named(['stream', 'stream_include_usage', 'stream_continuous_usage_stats'], truth),
};

export const transcriptionForm = object({
  ...speechToText,
  'languages[]': list(word),
  'keywords[]': list(text),
  'include[]': list(word),
  'timestamp_granularities[]': list(word),
  'known_speaker_names[]': list(text),
  'known_speaker_references[]': list({ read: readVoice }),
  chunking_strategy: word,
  'chunking_strategy[type]': word,
  ...named(
    ['prefix_padding_ms', 'silence_duration_ms', 'threshold'].map((name) => `chunking_strategy[${name}]`),
    numeral,
  ),
});

export const translationForm = object(speechToText);

const pictureForm: Readonly<Record<string, Shape>> = {
  image: upload,
  model,
  ...named(['n'], numeral),
  ...named(['response_format', 'size'], word),
  user: text,
};

export const variationForm = object(pictureForm);

export const editForm = object({
  ...pictureForm,
  'image[]': list(upload),
  ...named(['mask', 'markup'], upload),
  prompt: text,
  ...named(['background', 'quality', 'output_format', 'input_fidelity', 'complexity', 'moderation'], word),
  ...named(['output_compression', 'partial_images', 'frame_count', 'frame_duration_ms'], numeral),
  safety_identifier: text,
  stream: truth,
});

/** Files of such a form may be of these types, or begin with them. */
const sound = ['audio/', 'video/mp4', 'video/webm', 'video/mpeg', 'video/ogg', 'application/ogg'];
const picture = ['image/'];

/** The parts that such a form may have. */
function partsOf(shape: Shape, files: readonly string[]): FormShape {
  const names = [...(shape.fields?.keys() ?? [])];
  const isFile = (name: string): boolean => {
    const field = shape.fields?.get(name);
    return field === upload || field?.items === upload;
  };
  return {
    fields: new Set(names.filter((name) => !isFile(name))),
    files: new Map(names.filter(isFile).map((name) => [name, files])),
  };
}

export const transcriptionParts = partsOf(transcriptionForm, sound);
export const translationParts = partsOf(translationForm, sound);
export const variationParts = partsOf(variationForm, picture);
export const editParts = partsOf(editForm, picture);

const common: Readonly<Record<string, Shape>> = {
  model: lone,
  user: text,
  safety_identifier: text,
  metadata: metadataWith(),
  ...refusedFields,
  // Sound and pictures that the server would fetch, or that it keeps for somebody.
  ...named(
    [
      'file files file_id image images image_url mask ref_image ref_images ref_audio reference_audio audio_prompt prompt_audio',
      'speaker_wav voice_id voice_file speaker_embedding',
    ]
      .join(' ')
      .split(' '),
    refused,
  ),
};

export const speechRequest = object({
  ...common,
  input: text,
  instructions: text,
  /** One that an account keeps by its id is refused: it may be another caller's. */
  voice: lone,
  ...named(['response_format', 'stream_format', 'language', 'lang_code'], lone),
  ...named(['speed', 'seed', 'max_new_tokens', 'volume_multiplier'], number),
  stream: boolean,
});

export const generationRequest = object({
  ...common,
  prompt: text,
  negative_prompt: text,
  ...named('background quality size style moderation output_format response_format complexity'.split(' '), lone),
  ...named(
    'n output_compression partial_images frame_count frame_duration_ms seed num_inference_steps guidance_scale'.split(
      ' ',
    ),
    number,
  ),
  stream: boolean,
  svg: refused,
});
