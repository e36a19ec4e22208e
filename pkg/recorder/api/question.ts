import type { JsonValue } from '../../base/index.ts';

/** A question that is not answered; the message is for who asked. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds after which to ask again, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message);
    this.retryAfter = retryAfter;
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
  }
}

export const badQuestion = (message: string): Refusal => new Refusal(400, 'bad_question', message);

/** What an auditor asks. */
export interface Question {
  /** Who asks, and whom they say to ask for. */
  readonly who: string;
  readonly search: URLSearchParams;
  /** Of a POST. */
  readonly body: JsonValue | undefined;
  /** What stands in the path where the route has `{…}`. */
  readonly part: string;
  /** Refuses unless they may; undefined: all namespaces. */
  allow(namespace: string | undefined): Promise<void>;
  /** Refuses unless they may change what is kept, and what is sent again. @param what `place or release holds` */
  allowChanges(what: string): Promise<void>;
  /** Searches when it is the turn of who asks: others come between two searches of one account. */
  turn<Value>(search: () => Promise<Value>): Promise<Value>;
  /** Writes into the log that it was asked. */
  note(what: string, question: string): Promise<void>;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** At most one part in braces. */
  readonly path: string;
  /** Parameters of the query, each once at most; others are refused. Default: none. */
  readonly parameters?: readonly string[];
  answer(question: Question): Promise<JsonValue | Streamed>;
}

/** An answer that is sent while it is made, however long it is. */
export class Streamed {
  readonly type: 'application/json' | 'application/jsonl';
  /** Its text. */
  readonly parts: AsyncIterable<string>;

  constructor(type: Streamed['type'], parts: AsyncIterable<string>) {
    this.type = type;
    this.parts = parts;
  }
}

/** @throws Refusal where another parameter is asked for than the route has, or one twice */
export function refuseOthers({ parameters = [] }: Route, search: URLSearchParams): void {
  const stranger = [...search.keys()].find((key) => !parameters.includes(key) || search.getAll(key).length > 1);
  if (stranger === undefined) return;
  throw badQuestion(
    parameters.length === 0
      ? 'no parameter is asked for here'
      : `one of ${parameters.join(', ')} may be asked for, once`,
  );
}

/** @returns the part in braces, or ''; undefined: another route. */
export function matchRoute({ path }: Route, pathname: string): string | undefined {
  const [before = '', after] = path.split(/\{[a-z]+\}/);
  if (after === undefined) return path === pathname ? '' : undefined;
  if (!pathname.startsWith(before) || !pathname.endsWith(after)) return undefined;
  const part = pathname.slice(before.length, pathname.length - after.length);
  return part === '' || part.includes('/') ? undefined : part;
}

const longestReason = 500;

/** The body of what changes something: an object with a reason. @throws Refusal */
export function readReason(
  body: JsonValue | undefined,
): { readonly reason: string } & Readonly<Record<string, JsonValue>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badQuestion('the question is an object');
  const { reason } = body as Readonly<Record<string, JsonValue>>;
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > longestReason)
    throw badQuestion(`reason is a text of 1 to ${longestReason} characters`);
  return { ...(body as Readonly<Record<string, JsonValue>>), reason };
}

/** A number of the query. @throws Refusal */
export function numberOf(search: URLSearchParams, name: string, fallback?: number): number {
  return wholeNumber(search.get(name) ?? (fallback === undefined ? '' : String(fallback)), name);
}

/** @throws Refusal */
export function wholeNumber(text: string, name: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw badQuestion(`${name} is a whole number`);
  return Number(text);
}
