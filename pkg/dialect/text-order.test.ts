import { describe, expect, it } from '@jest/globals';
import { request } from './testing/reading.ts';

const said = (content: unknown): object[] => [{ role: 'user', content }];
const parts = (text: string): object[] => [{ text }];
const contents = [{ role: 'user', parts: parts('two') }];
const converse = { messages: said(parts('two')), system: parts('one') };
const messages = { messages: said('two'), max_tokens: 9, stop_sequences: ['three'], system: 'one' };
const first = { message: 'two', chat_history: [{ role: 'USER', message: 'one' }] };
const vertex = { anthropic_version: 'bedrock-2023-05-31' };

describe('texts of a request that a model reads one behind the other', () => {
  it.each([
    ['/v1/messages', { model: 'm', ...messages }],
    ['/v1/messages/count_tokens', { model: 'm', messages: said('two'), system: 'one' }],
    ['/model/anthropic.claude-3-haiku-20240307-v1:0/invoke', { ...vertex, ...messages }],
    ['/v1/responses', { model: 'm', input: 'two', instructions: 'one' }],
    ['/v1beta/models/m:generateContent', { contents, systemInstruction: { parts: parts('one') } }],
    ['/v1beta/models/m:generateContent', { contents, system_instruction: { parts: parts('one') } }],
    [
      '/v1beta/models/m:countTokens',
      { generateContentRequest: { model: 'models/m', contents, systemInstruction: { parts: parts('one') } } },
    ],
    ['/model/m/converse', converse],
    ['/model/m/count-tokens', { input: { converse } }],
    ['/model/amazon.nova-lite-v1:0/invoke', converse],
    ['/api/generate', { model: 'm', prompt: 'two', system: 'one' }],
    ['/v1/chat', { model: 'm', ...first }],
    ['/v1/chat', { model: 'm', message: 'two', preamble: 'one' }],
    ['/model/cohere.command-r-v1:0/invoke', first],
    ['/v1/completions', { model: 'm', suffix: 'two', prompt: 'one' }],
  ])('of %s stand so, wherever the body has them: %j', (path, body) => {
    const texts = request(path, body).lanes.map(({ node }) => node.text);
    expect(texts.slice(0, 2)).toEqual(['one', 'two']);
    expect(texts.slice(2)).toEqual('stop_sequences' in body ? ['three'] : []);
  });

  it('stay where they are if they stand so', () => {
    const texts = request('/v1/messages', {
      ...{ model: 'm', max_tokens: 9, stop_sequences: ['zero'] },
      ...{ tools: [{ name: 't', description: 'one', input_schema: {} }], system: 'two', messages: said('three') },
    }).lanes.map(({ node }) => node.text);
    expect(texts).toEqual(['zero', 'one', 'two', 'three']);
  });
});
