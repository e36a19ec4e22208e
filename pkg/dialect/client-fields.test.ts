import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { fieldsOfClient, probe } from '../../test/support/client-fields.ts';
import type { ClientField } from '../../test/support/client-fields.ts';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise, recogniseSocket } from './index.ts';

/**
 * Each field that the vendors' own clients can send and whose name may refer to something: an id, a URL, a file, a model, a server, a key, a token. By
 * their types, a body with it is made; it is refused, or it is among those that pass, each with the reason. What a new version of a client brings makes
 * this fail until somebody has decided.
 */

const folder = new URL('../../node_modules/', import.meta.url).pathname;
const files = {
  responses: `${folder}openai/resources/responses/responses.d.ts`,
  chat: `${folder}openai/resources/chat/completions/completions.d.ts`,
  completions: `${folder}openai/resources/completions.d.ts`,
  embeddings: `${folder}openai/resources/embeddings.d.ts`,
  speech: `${folder}openai/resources/audio/speech.d.ts`,
  images: `${folder}openai/resources/images.d.ts`,
  realtime: `${folder}openai/resources/realtime/realtime.d.ts`,
  anthropic: `${folder}@anthropic-ai/sdk/resources/beta/messages/messages.d.ts`,
  google: `${folder}@google/genai/dist/genai.d.ts`,
  cohereChat: `${folder}cohere-ai/api/resources/v2/client/requests/V2ChatRequest.d.ts`,
  cohereEmbed: `${folder}cohere-ai/api/resources/v2/client/requests/V2EmbedRequest.d.ts`,
  cohereRerank: `${folder}cohere-ai/api/resources/v2/client/requests/V2RerankRequest.d.ts`,
  bedrock: `${folder}@aws-sdk/client-bedrock-runtime/dist-types/models/models_0.d.ts`,
  ollama: `${folder}ollama/dist/browser.d.ts`,
};
const program = ts.createProgram(Object.values(files), {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  types: [],
});

const snake = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase();
const referring = new RegExp(
  [
    '(?:^|_)(?:ids?|ur[il]s?|arns?|keys?|tokens?|endpoints?|hosts?|connectors?|containers?|caches?|stores?|voices?|secrets?|credentials?)$',
    '(?:^|_)(?:files?|models?|servers?)(?:_|$)',
    '^prompt_cache|^cached_|^previous_|^(?:prompt|conversation|session|thread|deployment|project|organization|workspace)$',
  ].join('|'),
);
const wanted = (name: string): boolean => referring.test(snake(name)) && !/^(?:max|min|n)_|_tokens$|logprobs/.test(snake(name));

interface Client {
  readonly name: string;
  readonly file: string;
  readonly type: string;
  readonly path: string;
  readonly wrap?: (value: unknown) => unknown;
  readonly spell?: (name: string) => string;
  /** `Type.field`, and why it passes. */
  readonly passes: Readonly<Record<string, string>>;
}

const clients: readonly Client[] = [];

/** What becomes of a body: undefined, it passes. */
function refusalOf(path: string, body: unknown): string | undefined {
  const route = path.startsWith('ws:') ? recogniseSocket(path.slice(3)) : recognise('POST', path);
  try {
    const view = route.dialect.request(route, parseJson(JSON.stringify(body)), '');
    return view.links?.includes(probe) === true ? 'link' : undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.detail ?? error.code;
    throw error;
  }
}

/** `refused`: for the field itself. `around`: for what stands around it. */
function fateOf({ path, wrap = (value) => value }: Client, { body, without }: ClientField): string {
  const refused = refusalOf(path, wrap(body));
  if (refused === undefined) return 'passes';
  return refusalOf(path, wrap(without)) === refused ? `around: ${refused}` : 'refused';
}

describe.each(clients)('$name', (client) => {
  const { file, type, spell } = client;
  const fields = fieldsOfClient({ program, file, type, wanted, ...(spell && { spell }) });

  test('has no field that refers to something and of which nobody has decided', () => {
    expect(fields.length).toBeGreaterThan(0);
    const fates = fields.map((field) => `${field.name} ${fateOf(client, field)}`);
    expect(fates).toEqual([]);
  });
});
