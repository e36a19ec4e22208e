import type { Dialect, Route } from '../dialect.ts';
import { formBody } from '../form/form.ts';
import type { FormBody } from '../form/form.ts';
import { sounds } from '../framing/sound.ts';
import { sse } from '../framing/sse.ts';
import { endMarker } from '../openai/answer.ts';
import { refusalBody } from '../openai/refusal.ts';
import { readAnswer, readFrame } from './answer.ts';
import type { MediaStream } from './answer.ts';
import { captions } from './captions.ts';
import { editParts, transcriptionParts, translationParts, variationParts } from './request-shape.ts';
import { readRequest } from './request.ts';
import type { Asked } from './request.ts';
import { mediaRoute } from './routes.ts';
import type { MediaKind, MediaRoute } from './routes.ts';

const events = [sse];
const none: Route['streams'] = [];

const forms: Partial<Record<MediaKind, FormBody>> = {
  transcription: formBody(transcriptionParts),
  translation: formBody(translationParts),
  edit: formBody(editParts),
  variation: formBody(variationParts),
};

interface Known extends Route {
  readonly media: MediaRoute;
  /** Of one request's answer. */
  readonly heard: MediaStream;
}

const known = (route: Route): Known => route as Known;

/** Before a request says what it asks for. */
const unasked = (kind: MediaKind): MediaStream => ({ kind, type: undefined, heard: 0, segment: undefined });

function answers(route: Route, { kind, stream, type }: Asked): Known {
  const streams = stream ? events : kind === 'speech' ? sounds : none;
  return { ...known(route), streams, heard: { kind, type, heard: 0, segment: undefined } };
}

/** OpenAI's audio and image routes, as OpenAI, Azure, vLLM, whisper.cpp and others speak them. */
export const openAiMedia: Dialect = {
  name: 'openai-media',
  route(method, path): Known | undefined {
    const media = mediaRoute(method, path);
    if (media === undefined) return undefined;
    const { kind, model, renamed } = media;
    const form = forms[kind];
    return {
      dialect: openAiMedia,
      operation: 'Completions',
      body: form === undefined ? 'json' : 'form',
      model,
      ...(renamed !== undefined && { renamed }),
      generates: false,
      streams: none,
      ...(form !== undefined && { form }),
      ...((kind === 'transcription' || kind === 'translation') && { document: captions }),
      media,
      heard: unasked(kind),
    };
  },
  request: (route, root, query = '') => readRequest(known(route).media, root, query, (asked) => answers(route, asked)),
  answer: (route, root, status) => readAnswer(known(route).media.kind, root, status),
  frame: (route, event, data, root) => readFrame(known(route).heard, event, data, root),
  endMarker,
  // OpenAI's clients raise an error for any event with `error` in it.
  errorEvent: undefined,
  refusal: refusalBody,
};
