import type { JsonValue } from '../../base/index.ts';
import { askedActs, askedOperations, askedOutcomes, longestOfCaller, longestText } from './query.ts';

/** The recorder's API as OpenAPI 3.1, served at `/v1/openapi.json`. */

type Schema = { readonly [key: string]: JsonValue };

const text: Schema = { type: 'string' };
const textOrNull: Schema = { type: ['string', 'null'] };
const whole: Schema = { type: 'integer', minimum: 0 };
const time: Schema = { type: 'integer', minimum: 0, description: 'Epoch milliseconds.' };
const countOrNull: Schema = { type: ['integer', 'null'], minimum: 0 };
const hash: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const list = (items: Schema): Schema => ({ type: 'array', items });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** @param optional Members that may be missing. */
function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, required, additionalProperties: false };
}

/** Of a question: nothing is found by no text, and a longer one is nobody's. */
const asked: Schema = { type: 'string', minLength: 1, maxLength: longestText };
const askedOfCaller: Schema = { ...asked, maxLength: longestOfCaller };
const askedTime: Schema = { type: 'integer', description: 'Epoch milliseconds.' };
const terms: Readonly<Record<string, Schema>> = {
  namespace: asked,
  pod: asked,
  user: { ...askedOfCaller, description: 'Subject of the caller.' },
  session: { type: 'string', pattern: '^[0-9a-f]{32}$', description: 'Request id of a receipt.' },
  since: askedTime,
  until: askedTime,
};
const label: Schema = { ...asked, description: 'A label or guard of this name acted, whatever its policy.' };
const termsOfHolds: Readonly<Record<string, Schema>> = {
  ...terms,
  model: asked,
  group: askedOfCaller,
  policy: {
    ...asked,
    description: '`NAMESPACE/POLICY`, or `cluster/POLICY` of the platform: a rule of it acted, or would have.',
  },
  rule: { ...asked, description: 'It acted, or would have.' },
  label: { ...label, description: 'A label or guard of this name acted, or would have, whatever its policy.' },
};
const question: Readonly<Record<string, Schema>> = {
  ...terms,
  source: { ...asked, description: 'SPIFFE id of the sidecar.' },
  chain: { ...asked, description: 'Of the sidecar.' },
  group: askedOfCaller,
  issuer: asked,
  model: asked,
  operation: { type: 'string', enum: [...askedOperations] },
  outcome: {
    type: 'string',
    enum: [...askedOutcomes],
    description: '`open`: has not ended, or its end has not come.',
  },
  code: { ...asked, description: 'Of a refusal: docs/errors.md.' },
  status: { ...whole, maximum: 999 },
  tags: {
    ...list({ type: 'string', maxLength: longestText }),
    maxItems: 20,
    description: `\`rule:NAME\`, \`act:masked\`, \`by:Email\`, \`observed:NAME\`, \`open:…\`: all of them. Acts are ${askedActs.join(', ')}.`,
  },
  text: { ...asked, description: 'Words that all occur in what was asked and answered.' },
  label,
  minDurationMs: whole,
  maxDurationMs: whole,
  minBytes: whole,
  maxBytes: whole,
  cursor: { ...asked, description: 'Of the page before.' },
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
};

const schemas: Readonly<Record<string, Schema>> = {
  Question: object(question, Object.keys(question)),
  Session: object(
    {
      session: text,
      at: time,
      saidAt: { ...time, description: 'What its sidecar said, where that cannot be: `at` is what the recorder saw.' },
      source: { type: 'string', description: 'SPIFFE id of the sidecar.' },
      namespace: text,
      pod: text,
      chain: text,
      sequence: whole,
      provider: textOrNull,
      issuer: textOrNull,
      subject: textOrNull,
      groups: list(text),
      peer: text,
      method: text,
      path: text,
      dialect: text,
      operation: text,
      model: textOrNull,
      end: object({
        sequence: whole,
        outcome: text,
        status: whole,
        code: textOrNull,
        tags: list(text),
        bytesIn: whole,
        bytesOut: whole,
        inputTokens: countOrNull,
        outputTokens: countOrNull,
        durationMs: whole,
      }),
      searchedTags: {
        ...list(text),
        description: 'Of a block: by which tags the index finds it, where these are not those of `end`.',
      },
    },
    // It goes on, or its end has not come.
    ['end', 'saidAt', 'searchedTags'],
  ),
  Hold: object(
    {
      id: whole,
      at: time,
      who: text,
      reason: text,
      terms: object(termsOfHolds, Object.keys(termsOfHolds)),
      archive: object({
        segments: { ...whole, description: 'Of the archive, that carry it.' },
        waiting: { ...whole, description: 'Segments that are still to carry it.' },
        unread: { ...whole, description: 'Archived entries of the log that are still to be looked at for it.' },
      }),
    },
    // There is no archive.
    ['archive'],
  ),
  Problem: object({ code: text, message: text }),
};

/** Which of several sessions with one id. */
const ofSession: Readonly<Record<string, Schema>> = {
  namespace: text,
  pod: text,
  source: { type: 'string', description: 'SPIFFE id of the sidecar.' },
  chain: { type: 'string', description: 'Of the sidecar, as a search answers it.' },
};
const ofPage = { ...ofSession, from: { type: 'string', description: '`next` of the page before.' } } as const;

/** Which page of what stands in the log. */
const ofLog = { from: { ...whole, default: 0 }, limit: { ...whole, description: 'At most 2,000.' } } as const;
const yes: Schema = { type: 'boolean', default: false };

const lines: Schema = { ...list(text), description: 'Of the record, each as it was hashed.' };
const hashes: Schema = { ...list(hash), description: 'RFC 6962.' };

interface Operation {
  readonly summary: string;
  /** Of the query: what may be asked for, each once. */
  readonly query?: Readonly<Record<string, Schema>>;
  /** And which of these must be. */
  readonly required?: readonly string[];
  readonly body?: Schema;
  readonly answer: Schema;
  /** JSON lines, one of these each. */
  readonly lines?: true;
}

const partly: Schema = {
  ...list(text),
  description:
    'Of the first page: sessions, the newest 100, that may be among what is asked for and are not found: they meet all conditions but such on words, rules, labels, groups, model, issuer, outcome or code, of which they have more than the index takes.',
};

const partlyMore: Schema = { type: 'boolean', description: 'Of `partly`: there are, or may be, more.' };

const sealed: Schema = {
  ...object({ sessions: whole, more: { type: 'boolean' } }),
  description:
    'Of the first page of a search by text: how many sessions, 1,000 at most, that meet the other conditions have sealed texts (audit.content: Sealed): whether they hold the words nobody knows who has not the key.',
};

const operations: Readonly<Record<string, Operation>> = {
  'POST /v1/search': {
    summary: 'Sessions, newest first; by text or rule alone: newest to arrive first.',
    body: ref('Question'),
    answer: object({
      sessions: list(ref('Session')),
      cursor: {
        ...textOrNull,
        description: 'For the next page, also where this one is short or empty; null: this was the last.',
      },
      unsearched: { ...whole, description: 'Of a search by text: the newest blocks, not in the index of words yet.' },
      partly,
      partlyMore,
      sealed,
    }),
  },
  'POST /v1/sessions': {
    summary: 'As a search, with the lines of each session; in a page at most 50, and 4 Mi characters or one session.',
    body: ref('Question'),
    answer: object({
      sessions: list(object({ session: ref('Session'), lines })),
      cursor: textOrNull,
      unsearched: whole,
      partly,
      partlyMore,
      sealed,
    }),
  },
  'POST /v1/export': {
    summary:
      'Every session that is found, with its lines. `limit` counts for nothing. Behind them, where the index of words has yet to see some blocks, or the index does not have all that some sessions could be found by, or no words of some that are sealed: a line with their number, with these, and with how many are sealed: `unsearched`, `partly`, `partlyMore` and `sealed`.',
    body: ref('Question'),
    answer: object({ session: ref('Session'), lines, unsearched: whole, partly, partlyMore, sealed }, [
      'session',
      'lines',
      'unsearched',
      'partly',
      'partlyMore',
      'sealed',
    ]),
    lines: true,
  },
  'GET /v1/sessions/{session}': {
    summary:
      'One session; more than one, where another sidecar that you may read used the same id: newest first, ten to a page, their lines one after the other, 4 Mi characters to a page.',
    query: ofPage,
    answer: object({
      sessions: list(ref('Session')),
      lines,
      next: { ...textOrNull, description: 'Goes on with further lines or sessions, as `from`; null: this was all.' },
    }),
  },
  'GET /v1/sessions/{session}/proof': {
    summary:
      'What proves it with the public key of the log alone; of all sessions with the id, ten at most: of more, 409.',
    query: ofSession,
    answer: object({
      head: { type: 'string', description: 'The newest signed head.' },
      blocks: list(
        object(
          {
            index: whole,
            entry: text,
            lines: { ...text, description: 'Of the session, where `hidden` is there; else all of the block.' },
            hidden: { ...list(hash), description: 'Hashes of the block’s other lines, in their order.' },
            path: hashes,
          },
          ['hidden'],
        ),
      ),
      unsigned: { ...whole, description: 'Blocks that are newer than the head.' },
      more: {
        ...whole,
        description: 'The last blocks, where 16,384 of them or 16 MiB of JSON stand before them: they are left out.',
      },
    }),
  },
  'GET /v1/holds': {
    summary: 'What is kept whatever its age.',
    answer: object(
      {
        holds: list(ref('Hold')),
        toFree: { ...whole, description: 'Segments of the archive that still carry a hold which was released.' },
      },
      ['toFree'],
    ),
  },
  'POST /v1/holds': {
    summary:
      'Places a hold on sessions with which all that is given goes; of what is not known of one yet it goes with any.',
    body: object(
      { ...termsOfHolds, reason: { type: 'string', minLength: 1, maxLength: 500 } },
      Object.keys(termsOfHolds),
    ),
    answer: object(
      {
        id: whole,
        held: object({
          sessions: whole,
          blocks: whole,
          whole: { type: 'boolean', description: 'False: at least so many, of the newest.' },
        }),
      },
      ['held'],
    ),
  },
  'POST /v1/holds/{hold}/release': {
    summary: 'Ends a hold.',
    body: object({ reason: { type: 'string', minLength: 1, maxLength: 500 } }),
    answer: object({ released: whole }),
  },
  'POST /v1/ship/{receiver}/again': {
    summary:
      'Sends a receiver of the log again what it had taken, from an entry or a time on; what it gets twice has the same `event.id` and `event.sequence`.',
    body: object({ entry: whole, since: time, reason: { type: 'string', minLength: 1, maxLength: 500 } }, [
      'entry',
      'since',
    ]),
    answer: object({
      receiver: text,
      entry: { ...whole, description: 'The first that is sent again.' },
      entries: { ...whole, description: 'So many entries of the log.' },
    }),
  },
  'GET /v1/log': { summary: 'The Merkle tree that stands.', answer: object({ size: whole, root: hash, at: time }) },
  'GET /v1/log/entries': {
    summary:
      'Entries, byte for byte; with `lines=true` those of blocks have their lines too (null: deleted), and a page may be shorter, as it is where entries are long (4 Mi characters); with `found=true` beside it also what sessions with lines in them are found by, and `next` where these are not all of a block.',
    query: { ...ofLog, lines: yes, found: yes },
    answer: object({
      entries: list(
        object({ index: whole, text, lines: textOrNull, found: list(ref('Session')), next: text }, [
          'lines',
          'found',
          'next',
        ]),
      ),
    }),
  },
  'GET /v1/log/heads': {
    summary: 'Signed heads of trees of at least `from` entries.',
    query: ofLog,
    answer: object({ heads: list(object({ size: whole, text })) }),
  },
  'GET /v1/log/blocks/{entry}': {
    summary: 'The lines that an entry is about; null: deleted.',
    answer: object({ lines: textOrNull }),
  },
  'GET /v1/log/blocks/{entry}/found': {
    summary: 'What sessions with lines in a block are found by, from `cursor` (the `next` of the page before) on.',
    query: { cursor: text },
    answer: object({ found: list(ref('Session')), next: textOrNull }),
  },
  'GET /v1/log/conflicts': {
    summary:
      'Entries of conflicts, and what came (base64: 64 KiB of a line at most, 1 KiB where an entry counts many); it ends after 20,000 entries of the log or 4 MiB.',
    query: ofLog,
    answer: object({
      conflicts: list(object({ index: whole, text, evidence: textOrNull })),
      next: { type: ['integer', 'null'], description: 'Where the next page begins; null: the log ends here.' },
    }),
  },
  'GET /v1/log/proof': {
    summary: 'Audit path of an entry.',
    query: { index: whole, size: whole },
    required: ['index'],
    answer: object({ size: whole, path: hashes }),
  },
  'GET /v1/log/consistency': {
    summary: 'That a tree grew out of an earlier one.',
    query: { from: whole, to: whole },
    required: ['from'],
    answer: object({ to: whole, proof: hashes }),
  },
};

const json = (schema: Schema): Schema => ({ 'application/json': { schema } });

function operationOf(
  path: string,
  { summary, query = {}, required = [], body, answer, lines: asLines }: Operation,
): Schema {
  const parts = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: text,
  }));
  const asked = Object.entries(query).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  return {
    summary,
    parameters: [...parts, ...asked],
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: {
      200: {
        description: 'The answer.',
        content: asLines ? { 'application/jsonl': { schema: answer } } : json(answer),
      },
      default: { description: 'A refusal.', content: json(ref('Problem')) },
    },
  };
}

/** @param version Of Sidegate. */
export function openApi(version: string): JsonValue {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const [name, operation] of Object.entries(operations)) {
    const [method = '', path = ''] = name.split(' ');
    (paths[path] ??= {})[method.toLowerCase()] = operationOf(path, operation);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sidegate recorder', version, description: 'For auditors. Each question is itself on record.' },
    security: [{ bearer: [] }, { header: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'Of Kubernetes, with the audience `sidegate.dev/recorder`; or of the OpenID provider of `recorder.oidc`.',
        },
        header: { type: 'apiKey', in: 'header', name: 'x-sidegate-token', description: 'The same, through a proxy.' },
      },
      schemas,
    },
  };
}
