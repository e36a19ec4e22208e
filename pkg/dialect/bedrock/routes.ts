/**
 * Amazon Bedrock's runtime (docs.aws.amazon.com/bedrock, API reference): the model and what is asked of it stand in the path. Guardrails by themselves,
 * asynchronous and bidirectional invocations are `Other`.
 */
export type BedrockKind = 'converse' | 'converse-stream' | 'invoke' | 'invoke-with-response-stream' | 'count-tokens';

export interface BedrockRoute {
  readonly kind: BedrockKind;
  readonly model: string;
  /** By which the endpoint knows it, where that is another name. */
  readonly calledAs?: string;
  /** The path with another model in it. */
  readonly renamed: (model: string) => string;
}

const route = /^\/model\/([^/]{1,512})\/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)$/;
/** A model or an inference profile. */
const modelId = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,191}$/;
/** What has an ARN and answers as one model. A prompt that an account keeps, and a router that chooses among models, are none. */
const arn =
  /^arn:aws(?:-[a-z]{1,8}){0,3}:bedrock:[a-z0-9-]{1,32}:(?:[0-9]{12})?:(foundation-model|inference-profile|application-inference-profile|provisioned-model|custom-model-deployment|imported-model)\/([A-Za-z0-9][A-Za-z0-9._:-]{0,127})$/;
/** These have the name by which the model is called without an ARN. */
const namesModel: ReadonlySet<string> = new Set(['foundation-model', 'inference-profile']);

/** Undefined: none of these routes. */
export function bedrockRoute(method: string, path: string): BedrockRoute | undefined {
  if (method !== 'POST') return undefined;
  const [, segment, kind] = route.exec(path) ?? [];
  // Clients encode the colon, and the slash of an ARN.
  const model = modelOf(segment?.replaceAll('%3A', ':').replaceAll('%2F', '/') ?? '');
  if (model === undefined) return undefined;
  return { kind: kind as BedrockKind, model, renamed: (as) => `/model/${encodeURIComponent(as)}/${kind}` };
}

/** By what rules name it: one model has one name, whichever way it is called. */
export function modelOf(named: string): string | undefined {
  if (modelId.test(named) && !named.startsWith('arn:')) return named;
  const [whole, type, name] = arn.exec(named) ?? [];
  return type !== undefined && namesModel.has(type) ? name : whole;
}
