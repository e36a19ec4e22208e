/**
 * Amazon Bedrock's runtime (docs.aws.amazon.com/bedrock, API reference): the model and what is asked of it stand in the path. `invoke` is read where the
 * body is Anthropic's. Counting tokens, guardrails by themselves, asynchronous and bidirectional invocations are `Other`.
 */
export type BedrockKind = 'converse' | 'converse-stream' | 'invoke' | 'invoke-with-response-stream';

export interface BedrockRoute {
  readonly kind: BedrockKind;
  readonly model: string;
  /** The path with another model in it. */
  readonly renamed: (model: string) => string;
}

const route = /^\/model\/([^/]{1,256})\/(converse|converse-stream|invoke|invoke-with-response-stream)$/;
/** A model or an inference profile. Names with a slash (ARNs) never come here: an encoded slash is refused before. */
const modelId = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,191}$/;

/** Undefined: none of these routes. */
export function bedrockRoute(method: string, path: string): BedrockRoute | undefined {
  if (method !== 'POST') return undefined;
  const [, segment, kind] = route.exec(path) ?? [];
  // Clients encode the colon.
  const model = segment?.replaceAll('%3A', ':');
  if (model === undefined || !modelId.test(model)) return undefined;
  return { kind: kind as BedrockKind, model, renamed: (as) => `/model/${encodeURIComponent(as)}/${kind}` };
}
