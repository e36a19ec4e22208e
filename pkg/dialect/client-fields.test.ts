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
const wanted = (name: string): boolean =>
  referring.test(snake(name)) && !/^(?:max|min|n)_|_tokens$|logprobs/.test(snake(name));

interface Client {
  readonly name: string;
  readonly file: string;
  readonly type: string;
  readonly path: string;
  readonly wrap?: (value: unknown) => unknown;
  readonly spell?: (name: string) => string;
  /** Why fields pass, and which: `Type.field`, in words with spaces between. */
  readonly passes: Readonly<Record<string, string>>;
  /** Those that stand in what is refused, with them and without. */
  readonly within?: string;
}

const words = (text: string): readonly string[] => text.split(/\s+/).filter((one) => one !== '');

const own = 'It names something within this request, or this connection: a call and what it gave, an item.';
const told =
  'It is what an answer or a tool said, as the caller says it back: read as a text or a value, and nothing is fetched.';
const answered = 'It says which fields of the answer come back, which is read as any answer is.';
const decided = 'It is the model that access is decided for.';
const prompt = 'It is a text, and read as one.';
const label =
  'It is a word of the caller’s about the request, read as a value: nothing is looked up by it that another could have left.';
const refusedServer = 'It names a server that the request would have to bring, and such are refused.';
const builtIn = 'It is a voice that everybody has: one of an account’s is an object with its id, which is refused.';

const said = [{ role: 'user', parts: [{ text: 'a' }] }];
const withinTools = `ToolExaAiSearch.apiKey ToolParallelAiSearch.apiKey ExternalApi.endpoint AuthConfig.apiKey ApiKeyConfig.apiKeySecret
  AuthConfigHttpBasicAuthConfig.credentialSecret AuthConfigOauthConfig.accessToken AuthConfigOidcConfig.idToken StreamableHttpTransport.url
  VertexAISearchDataStoreSpec.dataStore VertexRagStoreRagResource.ragFileIds RagRetrievalConfigRankingLlmRanker.modelName
  RagRetrievalConfigRankingRankService.modelName`;
/** What it must have beside. */
const body = (base: object) => (value: unknown) => ({ ...base, ...(value as object) });
/** A chat that has something to answer. */
const asked = (value: unknown): unknown => {
  const { messages, ...rest } = value as { readonly messages?: readonly unknown[] };
  return {
    ...rest,
    messages: messages === undefined || messages.length === 0 ? [{ role: 'user', content: 'a' }] : messages,
  };
};
const clients: readonly Client[] = [
  {
    ...{
      name: 'Chat of OpenAI',
      file: files.chat,
      type: 'ChatCompletionCreateParamsBase',
      path: '/v1/chat/completions',
    },
    wrap: asked,
    passes: {
      [own]: `ChatCompletionMessageCustomToolCall.id ChatCompletionMessageFunctionToolCall.id ChatCompletionToolMessageParam.tool_call_id`,
      [builtIn]: 'ChatCompletionAudioParam.voice',
      [label]: 'ChatCompletionCreateParamsBase.prompt_cache_key',
    },
    within: 'ID.id',
  },
  {
    ...{ name: 'Responses of OpenAI', file: files.responses, type: 'ResponseCreateParamsBase', path: '/v1/responses' },
    wrap: body({ model: 'm', input: 'a' }),
    passes: {
      [own]: `AcknowledgedSafetyCheck.id ApplyPatchCall.call_id ApplyPatchCall.id ApplyPatchCallOutput.call_id ApplyPatchCallOutput.id
        ComputerCallOutput.call_id ComputerCallOutput.id FunctionCallOutput.call_id FunctionCallOutput.id ImageGenerationCall.id LocalShellCall.call_id
        LocalShellCall.id LocalShellCallOutput.id McpApprovalRequest.id
        McpCall.approval_request_id McpCall.id Program.call_id Program.caller_id Program.id ProgramOutput.call_id
        ProgramOutput.id ResponseCompactionItemParam.id ResponseCustomToolCall.call_id
        ResponseCustomToolCall.id ResponseCustomToolCallOutput.call_id ResponseCustomToolCallOutput.id ResponseFunctionToolCall.call_id
        ResponseFunctionToolCall.id ResponseFunctionWebSearch.id ResponseToolSearchOutputItemParam.call_id
        ShellCall.call_id ShellCall.id ShellCallOutput.call_id ToolSearchCall.call_id`,
      [told]: `Click.keys DoubleClick.keys Drag.keys Keypress.keys Move.keys Scroll.keys ContainerFileCitation.container_id ContainerFileCitation.file_id Find.url
        Logprob.token OpenPage.url Result.file_id Source.url TopLogprob.token URLCitation.url`,
      [refusedServer]: `McpApprovalRequest.server_label McpCall.server_label ToolChoiceMcp.server_label`,
      [label]: `ResponseCreateParamsBase.prompt_cache_key`,
    },
    within: `CompactionTrigger.id ContainerReference.container_id Image.url InputImageMask.file_id InputImageMask.image_url ItemReference.id
      McpApprovalResponse.id McpListTools.server_label PendingSafetyCheck.id ResponseComputerToolCall.call_id
      Mcp.server_description Mcp.server_label Mcp.server_url Mcp.tunnel_id ResponseCodeInterpreterToolCall.id ResponseConfigurationUpdateItemParam.id
      ResponseConversationParam.id ResponseInputFile.file_data ResponseInputFile.file_id ResponseInputFile.file_url ResponseInputImage.file_id
      ResponseInputImage.image_url ResponsePrompt.id SkillReference.skill_id Svg.model`,
  },
  {
    ...{
      name: 'completions of OpenAI',
      file: files.completions,
      type: 'CompletionCreateParamsBase',
      path: '/v1/completions',
    },
    passes: {
      [prompt]: `CompletionCreateParamsBase.prompt`,
    },
  },
  {
    ...{ name: 'speech of OpenAI', file: files.speech, type: 'SpeechCreateParams', path: '/v1/audio/speech' },
    passes: {
      [builtIn]: `SpeechCreateParams.voice`,
    },
    within: `ID.id`,
  },
  {
    ...{
      name: 'pictures of OpenAI',
      file: files.images,
      type: 'ImageGenerateParamsBase',
      path: '/v1/images/generations',
    },
    passes: {
      [prompt]: `ImageGenerateParamsBase.prompt`,
    },
    within: `Svg.model`,
  },
  {
    ...{ name: 'Realtime of OpenAI', file: files.realtime, type: 'RealtimeClientEvent', path: 'ws:/v1/realtime' },
    passes: {
      [own]: `ConversationItemCreateEvent.event_id ConversationItemCreateEvent.previous_item_id ConversationItemDeleteEvent.event_id
        ConversationItemDeleteEvent.item_id ConversationItemRetrieveEvent.event_id ConversationItemRetrieveEvent.item_id
        ConversationItemTruncateEvent.event_id ConversationItemTruncateEvent.item_id InputAudioBufferAppendEvent.event_id
        InputAudioBufferClearEvent.event_id InputAudioBufferCommitEvent.event_id OutputAudioBufferClearEvent.event_id
        RealtimeConversationItemAssistantMessage.id RealtimeConversationItemFunctionCall.call_id RealtimeConversationItemFunctionCall.id
        RealtimeConversationItemFunctionCallOutput.call_id RealtimeConversationItemFunctionCallOutput.id RealtimeConversationItemSystemMessage.id
        RealtimeConversationItemUserMessage.id RealtimeMcpApprovalRequest.id RealtimeMcpApprovalResponse.approval_request_id
        RealtimeMcpApprovalResponse.id RealtimeMcpListTools.id RealtimeMcpToolCall.approval_request_id RealtimeMcpToolCall.id
        ResponseCancelEvent.event_id ResponseCancelEvent.response_id ResponseCreateEvent.event_id SessionUpdateEvent.event_id`,
      [prompt]: `AudioTranscription.prompt`,
      [builtIn]: `Output.voice RealtimeAudioConfigOutput.voice`,
      [refusedServer]: `RealtimeMcpApprovalRequest.server_label RealtimeMcpListTools.server_label RealtimeMcpToolCall.server_label ToolChoiceMcp.server_label`,
      [label]: `TracingConfiguration.group_id`,
    },
    within: `ID.id Mcp.server_description Mcp.server_label Mcp.server_url Mcp.tunnel_id RealtimeResponseCreateMcpTool.server_description
      RealtimeResponseCreateMcpTool.server_label RealtimeResponseCreateMcpTool.server_url RealtimeResponseCreateMcpTool.tunnel_id
      ResponseInputFile.file_data ResponseInputFile.file_id ResponseInputFile.file_url ResponseInputImage.file_id ResponseInputImage.image_url
      ResponsePrompt.id`,
  },
  {
    ...{ name: 'messages of Anthropic', file: files.anthropic, type: 'MessageCreateParamsBase', path: '/v1/messages' },
    wrap: asked,
    passes: {
      [own]: `BetaAdvisorToolResultBlockParam.tool_use_id BetaBashCodeExecutionToolResultBlockParam.tool_use_id BetaCodeExecutionToolResultBlockParam.tool_use_id
        BetaMCPToolUseBlockParam.id BetaRequestMCPToolResultBlockParam.tool_use_id BetaServerToolCaller.tool_id BetaServerToolCaller20260120.tool_id
        BetaServerToolUseBlockParam.id BetaTextEditorCodeExecutionToolResultBlockParam.tool_use_id BetaToolResultBlockParam.tool_use_id
        BetaToolSearchToolResultBlockParam.tool_use_id BetaToolUseBlockParam.id BetaWebFetchToolResultBlockParam.tool_use_id
        BetaWebSearchToolResultBlockParam.tool_use_id`,
      [told]: `BetaBashCodeExecutionOutputBlockParam.file_id BetaBrowserStateChangeDownloadCompleted.download_id BetaBrowserStateChangeDownloadCompleted.url
        BetaBrowserStateChangeDownloadFailed.download_id BetaBrowserStateChangeDownloadFailed.url BetaBrowserStateChangeDownloadStarted.download_id
        BetaBrowserStateChangeDownloadStarted.url BetaBrowserStateChangeTabOpened.tab_id BetaBrowserStateTabEntry.tab_id BetaBrowserStateTabEntry.url
        BetaCodeExecutionOutputBlockParam.file_id BetaWebFetchBlockParam.url BetaWebSearchResultBlockParam.url BetaCitationWebSearchResultLocationParam.url`,
      [label]: `BetaMetadata.user_id`,
      [refusedServer]: `BetaMCPToolListingBlockParam.mcp_server_name BetaMCPToolUseBlockParam.server_name BetaToolChangeMCPToolReference.server_name
        BetaToolChangeMCPToolsetReference.server_name`,
    },
    within: `BetaContainerParams.id BetaContainerUploadBlockParam.file_id BetaFallbackCreditTokenParam.token BetaFileDocumentSource.file_id
      BetaFileImageSource.file_id BetaMCPToolset.mcp_server_name BetaRequestMCPServerURLDefinition.authorization_token
      BetaRequestMCPServerURLDefinition.url BetaSkillParams.skill_id BetaThreadContinueParams.previous_message_id`,
  },
  {
    ...{ name: 'chats of Ollama', file: files.ollama, type: 'ChatRequest', path: '/api/chat' },
    wrap: asked,
    passes: { [decided]: 'ChatRequest.model' },
  },
  {
    ...{ name: 'prompts of Ollama', file: files.ollama, type: 'GenerateRequest', path: '/api/generate' },
    passes: {
      [decided]: `GenerateRequest.model`,
      [prompt]: `GenerateRequest.prompt`,
    },
  },
  {
    ...{ name: 'embeddings of Ollama', file: files.ollama, type: 'EmbedRequest', path: '/api/embed' },
    passes: {
      [decided]: `EmbedRequest.model`,
    },
  },
  ...(
    [
      [
        'Content',
        (value: unknown) => ({ contents: [value] }),
        { [own]: 'CodeExecutionResult.id ExecutableCode.id FunctionCall.id' },
        'Content.fileUri Content.id ToolCall.id',
      ],
      ['Tool', (value: unknown) => ({ contents: said, tools: [value] }), {}, withinTools],
      [
        'GenerationConfig',
        (value: unknown) => ({ contents: said, generationConfig: value }),
        { [builtIn]: 'VoiceConfig.voice' },
        'GenerationConfigRoutingConfigManualRoutingMode.modelName',
      ],
    ] as const
  ).map(([type, wrap, passes, within]) => ({
    ...{ name: `${type} of Gemini`, file: files.google, type, wrap, path: '/v1beta/models/m:generateContent' },
    ...{ passes, within },
  })),
  {
    ...{ name: 'chats of Cohere', file: files.cohereChat, type: 'V2ChatRequest', path: '/v2/chat', spell: snake },
    wrap: asked,
    passes: {
      [own]: `ToolCallV2.id ToolMessageV2.toolCallId`,
      [told]: `ChatDocumentSource.id ChatToolSource.id Document.id`,
      [decided]: `V2ChatRequest.model`,
    },
  },
  {
    ...{
      name: 'embeddings of Cohere',
      file: files.cohereEmbed,
      type: 'V2EmbedRequest',
      path: '/v2/embed',
      spell: snake,
    },
    wrap: body({ texts: ['a'] }),
    passes: {
      [decided]: `V2EmbedRequest.model`,
    },
  },
  {
    ...{
      name: 'ranking of Cohere',
      file: files.cohereRerank,
      type: 'V2RerankRequest',
      path: '/v2/rerank',
      spell: snake,
    },
    passes: {
      [decided]: `V2RerankRequest.model`,
    },
  },
  {
    ...{ name: 'Converse of Bedrock', file: files.bedrock, type: 'ConverseRequest', path: '/model/m/converse' },
    wrap: (value) => {
      const { modelId: _path, ...rest } = value as Record<string, unknown>;
      return {
        ...rest,
        messages: [
          { role: 'user', content: [{ text: 'a' }] },
          ...((rest['messages'] as readonly unknown[] | undefined) ?? []),
        ],
      };
    },
    passes: {
      [own]: `ToolResultBlock.toolUseId ToolUseBlock.toolUseId`,
      [told]: `WebLocation.url`,
      [decided]: 'ConverseRequest.modelId',
      [answered]: 'ConverseRequest.additionalModelResponseFieldPaths',
    },
    within: `S3Location.uri ToolReference.serverName`,
  },
];

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
    const fates = fields.map((field): [string, string] => [field.name, fateOf(client, field)]);
    const of = (fate: RegExp): string[] =>
      fates
        .filter(([, one]) => fate.test(one))
        .map(([name]) => name)
        .sort();
    expect(of(/^passes/)).toEqual(Object.values(client.passes).flatMap(words).sort());
    expect(of(/^around/)).toEqual([...words(client.within ?? '')].sort());
  });
});
