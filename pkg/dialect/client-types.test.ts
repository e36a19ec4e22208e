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
};
const program = ts.createProgram(Object.values(files), {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  types: [],
});
const checker = program.getTypeChecker();

/** The words that the `type` of a union's members may be. */
function kindsOf(file: string, name: string): readonly string[] {
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  const found = module === undefined ? [] : checker.getExportsOfModule(module);
  const symbol = found.find((one) => one.name === name);
  if (symbol === undefined || source === undefined) throw new Error(`${file} has no ${name}`);
  const type = checker.getDeclaredTypeOfSymbol(symbol);
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
  ['tools of Anthropic', files.anthropic, 'BetaToolUnion', (type) => messages({ tools: [{ type }] }), ['mcp_toolset']],
])('%s', (_, file, name, bodyOf, refused) => {
  test('are known, or refused by their kind', () => {
    const kinds = kindsOf(file, name);
    expect(kinds.length).toBeGreaterThan(1);
    expect(kinds.filter((type) => isRefused(...bodyOf(type)))).toEqual(refused);
    expect(isRefused(...bodyOf('of_tomorrow'))).toBe(true);
  });
});
