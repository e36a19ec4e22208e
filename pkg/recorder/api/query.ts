import type { JsonValue } from '../../base/index.ts';
import { operations } from '../../core/index.ts';
import type { RuleAct, SessionEnd } from '../../core/index.ts';
import { cut } from '../bounds.ts';
import { changeOperations } from '../ingest/facts.ts';
import { StoreError } from '../store/index.ts';
import type { HoldTerms, SessionQuery } from '../store/index.ts';

type Fields = Readonly<Record<string, JsonValue>>;

const texts = [
  'source',
  'chain',
  'namespace',
  'pod',
  'user',
  'group',
  'issuer',
  'model',
  'operation',
  'outcome',
  'code',
  'label',
  'text',
  'cursor',
] as const;
const numbers = ['since', 'until', 'status', 'minDurationMs', 'maxDurationMs', 'minBytes', 'maxBytes'] as const;
/** Before 1970 there is nothing; so long ago may be before it. */
const times: ReadonlySet<string> = new Set(['since', 'until']);
const known = new Set<string>([...texts, ...numbers, 'session', 'tags', 'limit']);
const ofHolds = new Set('namespace pod user session model group label policy rule since until'.split(' '));
/** Characters of what is asked for, and of what names a caller: as long as a token can name one. */
export const longestText = 1_000;
export const longestOfCaller = 16_384;

/** As an outcome: none yet. */
const notEnded = 'open';
const outcomes: Readonly<Record<SessionEnd['outcome'] | typeof notEnded, true>> = {
  completed: true,
  refused: true,
  aborted: true,
  failed: true,
  ended: true,
  open: true,
};
const acts: Readonly<Record<RuleAct['act'], true>> = {
  allowed: true,
  denied: true,
  masked: true,
  blocked: true,
  flagged: true,
  held: true,
  approved: true,
  limited: true,
};
/** What there is to ask for: another word is a mistake, and finds nothing. */
export const askedOutcomes: readonly string[] = Object.keys(outcomes);
export const askedActs: readonly string[] = Object.keys(acts);
export const askedOperations: readonly string[] = [...operations, ...changeOperations];
const longestOf: Readonly<Record<string, number>> = { user: longestOfCaller, group: longestOfCaller };
/** What sessions are found by is cut: what is asked for is, too. */
const indexed = ['namespace', 'pod', 'user', 'group', 'issuer', 'model', 'operation', 'outcome', 'code'] as const;
const mostStatus = 999;

const no = (what: string): StoreError => new StoreError('query', what);

/** Reads a question; a member that is not known is refused, since who wrote it meant to narrow by it. @throws StoreError query */
export function readQuery(value: JsonValue | undefined): SessionQuery {
  const query = read(value);
  if (query.outcome === notEnded) {
    const { outcome: _, ...others } = query;
    return { ...readIndexed(others), open: true };
  }
  return readIndexed(query);
}

function readIndexed(query: SessionQuery): SessionQuery {
  const short = indexed.flatMap((key) => (query[key] === undefined ? [] : [[key, cut(query[key])] as const]));
  const tags = query.tags === undefined ? {} : { tags: query.tags.map((tag) => cut(tag)) };
  return { ...query, ...Object.fromEntries(short), ...tags };
}

function read(value: JsonValue | undefined): SessionQuery {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw no('a question is an object');
  const fields: Fields = value;
  refuseOthers(fields, known);
  const query: Record<string, unknown> = {};
  for (const key of texts) {
    const text = fields[key];
    if (text === undefined) continue;
    const most = longestOf[key] ?? longestText;
    if (typeof text !== 'string' || text === '' || text.length > most)
      throw no(`${key} is a text of 1 to ${most} characters`);
    query[key] = text;
  }
  refuseStrangeWords(fields);
  for (const key of numbers) if (fields[key] !== undefined) query[key] = numberOf(key, fields[key]);
  const [since, until] = [fields['since'], fields['until']];
  if (typeof since === 'number' && typeof until === 'number' && since >= until)
    throw no('until is after since: nothing is between them');
  return { ...query, ...sessionOf(fields), ...tagsOf(fields), limit: limitOf(fields) };
}

/** @throws StoreError query */
function numberOf(key: (typeof numbers)[number], number: JsonValue): number {
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw no(`${key} is a whole number`);
  if (number < 0 && !times.has(key)) throw no(`${key} is at least 0`);
  if (key === 'status' && number > mostStatus) throw no(`status is at most ${mostStatus}`);
  return number;
}

/** What a hold is about, read as strictly, whole. @throws StoreError query */
export function readTerms(fields: Fields): HoldTerms {
  refuseOthers(fields, ofHolds);
  const { policy, rule, ...others } = fields;
  const { limit: _, ...terms } = read(others);
  if (policy !== undefined && !(typeof policy === 'string' && policyForm.test(policy)))
    throw no('policy is NAMESPACE/POLICY, or cluster/POLICY of the platform');
  if (rule !== undefined && (typeof rule !== 'string' || rule === '' || rule.length > longestText))
    throw no(`rule is a text of 1 to ${longestText} characters`);
  if (typeof rule === 'string' && !ruleForm.test(rule))
    throw no('rule is POLICY/RULE as the record names it, cluster/POLICY/RULE of the platform, or default');
  return { ...terms, ...(policy === undefined ? {} : { policy }), ...(rule === undefined ? {} : { rule }) };
}

/** Names of Kubernetes. */
const policyForm = /^[a-z0-9][a-z0-9-]{0,62}\/[a-z0-9][a-z0-9.-]{0,252}$/;

/** As the record names rules: no namespace stands before them. */
const ruleForm = /^(?:(?:cluster\/)?[^/]+\/[^/]+|default)$/;

function refuseOthers(fields: Fields, allowed: ReadonlySet<string>): void {
  const stranger = Object.keys(fields).find((key) => !allowed.has(key));
  if (stranger !== undefined) throw no(`there is no ${JSON.stringify(stranger.slice(0, 40))} to ask for`);
}

/** Of a sidecar's own: what they are made of the recorder has looked at. */
const ofSidecars = ['source', 'chain'] as const;
const hasControl = /\p{Cc}/u;

/** Of words that there are some of, others. @throws StoreError query */
function refuseStrangeWords(fields: Fields): void {
  oneOf('outcome', fields['outcome'], askedOutcomes);
  oneOf('operation', fields['operation'], askedOperations);
  for (const key of ofSidecars)
    if (hasControl.test(String(fields[key] ?? ''))) throw no(`${key} has a character that none has`);
}

/** @throws StoreError query */
function oneOf(what: string, given: JsonValue | undefined, all: readonly string[]): void {
  if (given !== undefined && !all.includes(String(given)))
    throw no(`there is no ${what} ${JSON.stringify(String(given).slice(0, 40))}: there are ${all.join(', ')}`);
}

function sessionOf({ session }: Fields): Pick<SessionQuery, 'session'> {
  if (session === undefined) return {};
  if (typeof session !== 'string' || !/^[0-9a-f]{32}$/.test(session))
    throw no('session is a request id: 32 hex digits');
  return { session };
}

function tagsOf({ tags }: Fields): Pick<SessionQuery, 'tags'> {
  if (tags === undefined) return {};
  const good = Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string' && tag.length <= longestText) : [];
  if (!Array.isArray(tags) || tags.length > 20 || good.length < tags.length)
    throw no('tags is a list of at most 20 texts');
  const texts = good.map(String);
  for (const tag of texts) if (tag.startsWith(actTag)) oneOf('act', tag.slice(actTag.length), askedActs);
  return { tags: texts };
}

const actTag = 'act:';

function limitOf({ limit = 100 }: Fields): number {
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw no('limit is a whole number from 1 to 1,000');
  return limit;
}
