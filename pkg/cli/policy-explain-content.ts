import { JsonError, describeError, parseJson } from '../base/index.ts';
import { RefusedError, compileSnapshot } from '../core/index.ts';
import type { Operation, Policy, Refusal } from '../core/index.ts';
import { maxRequestValues } from '../dialect/index.ts';
import type { RequestView } from '../dialect/index.ts';
import { createJudge } from '../proxy/index.ts';
import type { JudgedAccess, Judgement } from '../proxy/index.ts';
import { routeAt, routeOfOperation } from './asked-route.ts';
import type { AskedRoute } from './asked-route.ts';
import type { CommandIo } from './command.ts';
import type { Flags } from './flags.ts';

/** A described request and answer, decided by the sidecar's own stages and inspection. */

export const contentSpecs = {
  path: { kind: 'text' },
  prompt: { kind: 'text' },
  request: { kind: 'text' },
  answer: { kind: 'text' },
} as const;

export const contentUsage = `\
  --path PATH        the path of the request, a POST, in place of --operation: its operation, and how --request is read, are as a sidecar
                     with these policies takes them, routes that they describe too; default OpenAI's path of the operation
  --prompt TEXT      decide the guards on this text, as the one message of the request
  --request FILE     decide the guards on this body; its model, or the path's, is the request's where --model is absent
  --answer TEXT      say what of an answer with this text the caller would get`;

/** One message with this text. */
export function promptBody(operation: Operation, model: string, text: string): unknown {
  if (operation === 'Chat') return { model, messages: [{ role: 'user', content: text }] };
  return operation === 'Completions' ? { model, prompt: text } : { model, input: text };
}

/** A request's body as the sidecar reads it. */
export interface GivenRequest {
  readonly text: string;
  readonly view: RequestView;
  readonly target: string;
  /** As --model says, else as the body does. */
  readonly model: string | undefined;
}

/** What the flags ask about: its operation and, where they give one, its body. */
export interface GivenQuestion {
  readonly operation: Operation;
  readonly request: GivenRequest | undefined;
  /** As --model says, else as the body or the path does. */
  readonly model: string | undefined;
}

/** The same, or why it cannot be read. @throws PolicyError, CodedError where --path is given and the policies cannot be compiled */
export function givenQuestion(
  flags: Flags,
  operation: Operation,
  policies: readonly Policy[],
  io: CommandIo,
): GivenQuestion | { readonly fault: string } {
  const path = flags.text('path');
  const found = path === undefined ? undefined : routeAt(path, policies);
  if (found !== undefined && 'fault' in found) return { fault: `--path: ${found.fault}` };
  const at = found?.asked;
  if (at !== undefined && flags.on('operation') && flags.text('operation') !== at.route.operation)
    return { fault: `--path is of the operation ${at.route.operation}` };
  const given = givenRequest(flags, operation, at, io);
  if ('fault' in given) return given;
  const model = given.request?.model ?? flags.text('model') ?? at?.route.model;
  return { operation: at?.route.operation ?? operation, request: given.request, model };
}

/** The request that the flags give, undefined where they give none, or why it cannot be read. */
function givenRequest(
  flags: Flags,
  operation: Operation,
  at: AskedRoute | undefined,
  io: CommandIo,
): { readonly request: GivenRequest | undefined } | { readonly fault: string } {
  const prompt = flags.text('prompt');
  const file = flags.text('request');
  if (prompt === undefined && file === undefined) return { request: undefined };
  if (prompt !== undefined && file !== undefined) return { fault: '--prompt and --request are one or the other' };
  if (prompt !== undefined && at !== undefined)
    return { fault: '--path wants the whole body: --request in place of --prompt' };
  const flag = prompt === undefined ? `--request ${file}` : '--prompt';
  const named = flags.text('model');
  let text: string;
  try {
    text =
      file === undefined ? JSON.stringify(promptBody(operation, named ?? 'none', prompt ?? '')) : io.readFile(file);
  } catch (error) {
    return { fault: `${flag}: cannot be read (${describeError(error)})` };
  }
  const read = readRequest(text, operation, at);
  if ('fault' in read) return { fault: `${flag}: ${read.fault}` };
  return { request: { ...read.request, model: named ?? (file === undefined ? undefined : read.request.model) } };
}

/** A body, as the sidecar reads it, or how it would refuse it. @param at default OpenAI's route of the operation */
export function readRequest(
  body: string,
  operation: Operation,
  at: AskedRoute | undefined = routeOfOperation(operation),
): { readonly request: GivenRequest } | { readonly fault: string } {
  if (at === undefined) return { fault: `${operation} has no prompt` };
  const { route, target, query } = at;
  if (route.body !== 'json') return { fault: `${target} takes no JSON: its bodies are not decided here` };
  try {
    // What a policy calls a text is one string to the sidecar, too.
    const text = route.described === 'Text' ? JSON.stringify(body) : body;
    const view = route.dialect.request(route, parseJson(text, { maxNodes: maxRequestValues }), query);
    return { request: { text, view, target, model: view.model ?? route.model } };
  } catch (error) {
    if (error instanceof JsonError && error.code === 'nodes') return { fault: '413 body_too_large (values)' };
    if (error instanceof JsonError) return { fault: `400 invalid_json (${error.code})` };
    if (error instanceof RefusedError) return { fault: `400 ${error.code} (${error.detail ?? error.message})` };
    throw error;
  }
}

export interface Judged {
  /** Why the request is refused, by the first stage that does; undefined: it goes on, once approved where it has to be. */
  readonly refusal?: Refusal;
  /** Access rules that allow it. */
  readonly allowedBy: readonly string[];
  /** What policies that observe would refuse. */
  readonly observed: readonly Refusal[];
  readonly request?: Judgement;
  readonly answer?: Judgement;
}

/** Later where there is a request to decide: without one there is nothing to wait for. @throws PolicyError, CodedError */
export function judge(
  policies: readonly Policy[],
  asked: JudgedAccess,
  request: GivenRequest | undefined,
  answer: string | undefined,
): Judged | Promise<Judged> {
  const {
    access,
    request: judgeRequest,
    answer: judgeAnswer,
  } = createJudge(compileSnapshot(policies, { revision: 0 }));
  const { allowed, refusal, observed } = access(asked);
  const allowedBy = allowed?.rules.map(({ id }) => id) ?? [];
  const rest = { allowedBy, observed, ...(answer !== undefined && { answer: judgeAnswer(asked.caller, answer) }) };
  if (request === undefined) return { ...(refusal && { refusal }), ...rest };
  return judgeRequest(asked, allowed, request).then((judged) => {
    const first = refusal ?? judged.refusal;
    return { ...(first && { refusal: first }), request: judged, ...rest };
  });
}
