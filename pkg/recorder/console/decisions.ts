import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue, Secret } from '../../base/index.ts';
import { consoleAddressHeader } from '../../contract/index.ts';
import { badQuestion, Refusal } from '../api/question.ts';
import { ExchangeError } from './fetch.ts';
import type { Answer, Exchange } from './fetch.ts';

/**
 * Approvals as the controller's decision endpoint shows and takes them. Every request carries the person's own token, which the
 * endpoint judges: nothing is decided here.
 */
export interface Decisions {
  /** What the person may decide. @throws Refusal */
  list(by: Decider): Promise<JsonValue>;
  /** @throws Refusal */
  decide(place: Place, choice: Choice, by: Decider): Promise<JsonValue>;
}

export interface Decider {
  readonly token: Secret;
  /** Address of the person, as the console has seen it: it goes on record, and limits count by it. */
  readonly from: string;
}

export interface Place {
  readonly namespace: string;
  readonly name: string;
}

export interface Choice {
  readonly decision: 'Approve' | 'Deny';
  readonly comment: string | undefined;
}

type Fields = { readonly [key: string]: JsonValue };

const longestReason = 1_024;

/** What the endpoint's words mean to who clicked, with the status for them: 401 here would ask them to log in again, in vain. */
const words: Readonly<Record<string, readonly [number, string]>> = {
  unauthenticated: [403, 'the policies of this namespace do not take your token'],
  not_allowed: [403, 'there is no such approval, or it does not name you as approver'],
  self_approval: [403, 'it is your own: ask another approver'],
  cannot_exclude_self_approval: [
    403,
    'it may be your own request: the provider does not say who you are to Kubernetes, or you may act as the service account that asks',
  ],
  unusable_name: [
    403,
    'your name, or your issuer’s, is longer than can be kept: log in as somebody with a shorter one',
  ],
  voted: [409, 'you have decided it already'],
  decided: [409, 'it is decided'],
  expired: [409, 'nobody decided in time'],
  too_many: [429, 'too many decisions at once: try again in some seconds'],
  identity_unavailable: [503, 'the issuer does not answer the controller'],
  try_again: [503, 'the controller cannot decide now'],
};

export function createDecisions(endpoint: string, exchange: Exchange): Decisions {
  const ask = async (method: string, path: string, { token, from }: Decider, body?: string): Promise<Fields> => {
    let answer: Answer;
    try {
      answer = await exchange({
        url: new URL(path, endpoint).href,
        method,
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          [consoleAddressHeader]: from,
        },
        body,
      });
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
      throw new Refusal(503, 'decisions_unavailable', 'the controller’s decision endpoint does not answer');
    }
    const fields = fieldsOf(answer.text);
    if (answer.status === 200 && fields !== undefined) return fields;
    const word = textOf(fields?.['error']);
    const code = Object.hasOwn(words, word) ? word : 'decisions_unavailable';
    const [status, message] = words[code] ?? [503, 'the controller’s decision endpoint gave no answer to this'];
    throw new Refusal(status, code, message);
  };
  return {
    async list(by) {
      const { approvals, complete } = await ask('GET', '/v1/approvals', by);
      const found = (Array.isArray(approvals) ? approvals : []).map(approvalOf);
      return { approvals: found, complete: complete === true };
    },
    async decide({ namespace, name }, { decision, comment }, by) {
      const path = `/v1/namespaces/${encodeURIComponent(namespace)}/approvals/${encodeURIComponent(name)}/decision`;
      const choice = { decision, ...(comment !== undefined && { comment }) };
      return approvalOf(await ask('POST', path, by, JSON.stringify(choice)));
    },
  };
}

/** `{"reason": "…"}`, or nothing. @throws Refusal */
export function readReason(text: string): string | undefined {
  if (text.trim() === '') return undefined;
  const { reason, ...others } = fieldsOf(text) ?? { malformed: true };
  if (Object.keys(others).length > 0) throw badQuestion('a decision is {"reason": "…"}, or nothing');
  if (reason === undefined || reason === '') return undefined;
  if (typeof reason !== 'string' || reason.length > longestReason)
    throw badQuestion(`reason is a text of at most ${longestReason} characters`);
  return reason;
}

/** As the console shows it. */
function approvalOf(value: JsonValue): JsonValue {
  const {
    namespace,
    name,
    requester,
    direction,
    operation,
    model,
    rules,
    excerpt,
    createdAt,
    expiresAt,
    required,
    decisions,
    phase,
  } = isFields(value) ? value : {};
  return {
    namespace: textOf(namespace),
    name: textOf(name),
    caller: isFields(requester) ? textOf(requester['subject']) : '',
    issuer: isFields(requester) ? textOf(requester['issuer']) : '',
    direction: textOf(direction),
    operation: textOf(operation),
    model: typeof model === 'string' ? model : null,
    rule: Array.isArray(rules) ? rules.map(textOf).join(', ') : '',
    excerpt: textOf(excerpt),
    created: textOf(createdAt),
    expires: textOf(expiresAt),
    required: typeof required === 'number' ? required : 1,
    decided: Array.isArray(decisions) ? decisions.length : 0,
    state: textOf(phase),
  };
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const isFields = (value: JsonValue | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function fieldsOf(text: string): Fields | undefined {
  try {
    const value = jsonValue(parseJson(text, { maxDepth: 8, maxNodes: 50_000 }));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
