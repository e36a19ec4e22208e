import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise } from './index.ts';

/**
 * Each kind of item, part, block and tool that the vendors' own clients can send, by their types: it is known here, or among those that are refused.
 * What a new version of a client brings makes this fail until somebody has decided.
 */

const folder = new URL('../../node_modules/', import.meta.url).pathname;
const files = {
  responses: `${folder}openai/resources/responses/responses.d.ts`,
  chat: `${folder}openai/resources/chat/completions/completions.d.ts`,
  anthropic: `${folder}@anthropic-ai/sdk/resources/beta/messages/messages.d.ts`,
  google: `${folder}@google/genai/dist/genai.d.ts`,
  bedrock: `${folder}@aws-sdk/client-bedrock-runtime/dist-types/models/models_0.d.ts`,
  cohere: `${folder}cohere-ai/api/types/index.d.ts`,
};
const program = ts.createProgram(Object.values(files), {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  types: [],
});
const checker = program.getTypeChecker();

function typeNamed(file: string, name: string): { readonly type: ts.Type; readonly source: ts.SourceFile } {
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  const found = module === undefined ? [] : checker.getExportsOfModule(module);
  const symbol = found.find((one) => one.name === name);
  if (symbol === undefined || source === undefined) throw new Error(`${file} has no ${name}`);
  const resolved = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
  return { type: checker.getDeclaredTypeOfSymbol(resolved), source };
}

/** The words that the `type` of a union's members may be. */
function kindsOf(file: string, name: string): readonly string[] {
  const { type, source } = typeNamed(file, name);
  const members = type.isUnion() ? type.types : [type];
  const words = members.flatMap((member) => {
    const field = member.getProperty('type');
    if (field === undefined) return [];
    const said = checker.getTypeOfSymbolAtLocation(field, source);
    return (said.isUnion() ? said.types : [said]).flatMap((one) => (one.isStringLiteral() ? [one.value] : []));
  });
  return [...new Set(words)].sort();
}

/** Whether a body is refused for the kind of what is in it. */
function isRefused(path: string, body: unknown): boolean {
  const route = recognise('POST', path);
  try {
    route.dialect.request(route, parseJson(JSON.stringify(body)), '');
    return false;
  } catch (error) {
    if (error instanceof RefusedError) return error.detail?.endsWith('.type') === true;
    throw error;
  }
}

const say = (content: unknown): object[] => [{ role: 'user', content }];
const responses = (more: object): [string, object] => ['/v1/responses', { model: 'm', input: 'a', ...more }];
const chat = (more: object): [string, object] => ['/v1/chat/completions', { model: 'm', messages: say('a'), ...more }];
const messages = (more: object): [string, object] => [
  '/v1/messages',
  { model: 'm', max_tokens: 9, messages: say('a'), ...more },
];

const cohere = (content: unknown): [string, object] => ['/v2/chat', { model: 'm', messages: say(content) }];

describe.each<[string, string, string, (type: string) => [string, object], readonly string[]]>([
  ['items of Responses', files.responses, 'ResponseInputItem', (type) => responses({ input: [{ type }] }), []],
  ['parts', files.responses, 'ResponseInputContent', (type) => responses({ input: say([{ type }]) }), []],
  ['tools', files.responses, 'Tool', (type) => responses({ tools: [{ type }] }), ['file_search', 'mcp']],
  ['parts of Chat', files.chat, 'ChatCompletionContentPart', (type) => chat({ messages: say([{ type }]) }), []],
  ['tools of Chat', files.chat, 'ChatCompletionTool', (type) => chat({ tools: [{ type }] }), []],
  [
    'blocks of Anthropic',
    files.anthropic,
    'BetaContentBlockParam',
    (type) => messages({ messages: say([{ type }]) }),
    ['container_upload', 'fallback'],
  ],
  ['parts of Cohere', files.cohere, 'Content', (type) => cohere([{ type }]), []],
  ['results of tools of Cohere', files.cohere, 'ToolContent', (type) => cohere([{ type }]), []],
  ['what Cohere said', files.cohere, 'AssistantMessageV2ContentOneItem', (type) => cohere([{ type }]), []],
  [
    'tools of Anthropic',
    files.anthropic,
    'BetaToolUnion',
    (type) => messages({ tools: [{ type }] }),
    ['mcp_toolset', 'web_fetch_20250910', 'web_fetch_20260209', 'web_fetch_20260309', 'web_fetch_20260318'],
  ],
])('%s', (_, file, name, bodyOf, refused) => {
  test('are known, or refused by their kind', () => {
    const kinds = kindsOf(file, name);
    expect(kinds.length).toBeGreaterThan(1);
    expect(kinds.filter((type) => isRefused(...bodyOf(type)))).toEqual(refused);
    expect(isRefused(...bodyOf('of_tomorrow'))).toBe(true);
  });
});

/** Names of which one says what a part is. */
function namesOf(file: string, name: string): readonly string[] {
  const { type, source } = typeNamed(file, name);
  const members = type.isUnion() ? type.types : [type];
  const names = members.flatMap((member) =>
    checker
      .getPropertiesOfType(member)
      .filter((field) => {
        const said = checker.getNonNullableType(checker.getTypeOfSymbolAtLocation(field, source));
        return (said.flags & ts.TypeFlags.Never) === 0;
      })
      .map((field) => field.name),
  );
  return [...new Set(names)].filter((one) => !one.startsWith('$')).sort();
}

/** Where a body is refused; undefined: it passes. */
function refusedAt([path, body]: readonly [string, unknown]): string | undefined {
  const route = recognise('POST', path);
  try {
    route.dialect.request(route, parseJson(JSON.stringify(body)), '');
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.detail;
    throw error;
  }
}

const gemini = (more: object): [string, object] => [
  '/v1beta/models/m:generateContent',
  { contents: [{ role: 'user', parts: [{ text: 'a' }] }], ...more },
];
const converse = (more: object): [string, object] => ['/model/m/converse', { messages: say([{ text: 'a' }]), ...more }];

describe.each<[string, string, string, (name: string) => [string, object], readonly string[]]>([
  [
    'parts of Gemini',
    files.google,
    'Part',
    (name) => gemini({ contents: [{ role: 'user', parts: [{ [name]: {} }] }] }),
    'audioTranscription mediaProcessing partMetadata speechMetadata toolCall toolResponse'.split(' '),
  ],
  ['tools of Gemini', files.google, 'Tool', (name) => gemini({ tools: [{ [name]: {} }] }), ['parallelAiSearch']],
  [
    'blocks of Converse',
    files.bedrock,
    'ContentBlock',
    (name) => converse({ messages: say([{ [name]: {} }]) }),
    ['toolAddition', 'toolRemoval'],
  ],
  [
    'system blocks of Converse',
    files.bedrock,
    'SystemContentBlock',
    (name) => converse({ system: [{ [name]: {} }] }),
    [],
  ],
  [
    'results of tools of Converse',
    files.bedrock,
    'ToolResultContentBlock',
    (name) => converse({ messages: say([{ toolResult: { toolUseId: 'a', content: [{ [name]: {} }] } }]) }),
    [],
  ],
  ['tools of Converse', files.bedrock, 'Tool', (name) => converse({ toolConfig: { tools: [{ [name]: {} }] } }), []],
])('%s', (_, file, name, bodyOf, refused) => {
  test('are known by their names, or refused', () => {
    const names = namesOf(file, name);
    expect(names.length).toBeGreaterThan(1);
    // An empty one may be refused for what it has not.
    const of = (one: string): string => refusedAt(bodyOf(one)) ?? '';
    const tomorrow = of('ofTomorrow');
    expect(tomorrow).not.toBe('');
    expect(names.filter((one) => of(one) === tomorrow.replace('ofTomorrow', one))).toEqual(refused);
  });
});
