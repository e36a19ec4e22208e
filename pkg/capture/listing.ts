/**
 * Whether the kernel holds the rules that were meant: `nft -j list table` (libnftables-json(5)) compared element by element.
 * Handles and the version are left out; anything else that is missing, added or different is a fault.
 */
import { assertNever, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { tableName } from './rules.ts';
import type { Action, Chain, Match } from './rules.ts';
import type { PortRange } from './port-range.ts';

const isObject = (value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const oneOf = (items: readonly JsonValue[]): JsonValue =>
  items.length === 1 ? (items[0] ?? null) : { set: [...items] };

const rangeJson = ({ first, last }: PortRange): JsonValue => (first === last ? first : { range: [first, last] });

const test = (left: JsonValue, right: JsonValue, op = '=='): JsonValue => ({ match: { op, left, right } });

function matchJson(match: Match): JsonValue {
  switch (match.on) {
    case 'oif':
    case 'iif':
      return test({ meta: { key: match.on } }, match.is, match.not === true ? '!=' : '==');
    case 'skuid':
      return test({ meta: { key: 'skuid' } }, oneOf(match.uids));
    case 'skgid':
      return test({ meta: { key: 'skgid' } }, match.gid);
    case 'l4proto':
      return test({ meta: { key: 'l4proto' } }, oneOf(match.names), match.not === true ? '!=' : '==');
    case 'dport':
      return test({ payload: { protocol: match.protocol, field: 'dport' } }, oneOf(match.ports.map(rangeJson)));
    case 'established':
      return test({ ct: { key: 'state' } }, 'established', 'in');
    default:
      return assertNever(match);
  }
}

function actionJson(action: Action): JsonValue {
  switch (action.do) {
    case 'accept':
      return { accept: null };
    case 'reset':
      return { reject: { type: 'tcp reset' } };
    case 'redirect':
      return { redirect: { port: action.port } };
    default:
      return assertNever(action);
  }
}

/** One line for each chain and rule, in the order in which the kernel holds them within each chain. */
function expectedLines(chains: readonly Chain[]): readonly string[] {
  return chains.flatMap(({ name, type, hook, priority, policy, rules }) => [
    canonical({ chain: name, type, hook, prio: priority, policy }),
    ...rules.map(({ when, then }, at) =>
      canonical({ chain: name, rule: at, expr: [...when.map(matchJson), actionJson(then)] }),
    ),
  ]);
}

function listedLines(entries: readonly JsonValue[]): readonly string[] {
  const counts = new Map<JsonValue, number>();
  return entries.flatMap((entry) => {
    if (!isObject(entry) || 'metainfo' in entry || 'table' in entry) return [];
    const chain = entry['chain'];
    if (isObject(chain)) {
      const { name = null, type = null, hook = null, prio = null, policy = null } = chain;
      return [canonical({ chain: name, type, hook, prio, policy })];
    }
    const rule = entry['rule'];
    if (isObject(rule)) {
      const name = rule['chain'] ?? null;
      const at = counts.get(name) ?? 0;
      counts.set(name, at + 1);
      return [canonical({ chain: name, rule: at, expr: rule['expr'] ?? null })];
    }
    return [canonical(entry)];
  });
}

/** JSON with sorted keys. */
function canonical(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`).join(',')}}`;
}

/**
 * What is wrong with the listing, a sentence each; none: the kernel holds exactly `chains`.
 *
 * @param listing output of `nft -j list table inet sidegate`
 */
export function listingFaults(listing: string, chains: readonly Chain[]): readonly string[] {
  let root: JsonValue;
  try {
    root = jsonValue(parseJson(listing));
  } catch {
    return ['the listing of nft is not JSON'];
  }
  const entries = isObject(root) ? root['nftables'] : undefined;
  if (!Array.isArray(entries)) return ['the listing of nft has no "nftables" list'];
  const expected = expectedLines(chains);
  const listed = listedLines(entries);
  const missing = expected.filter((line) => !listed.includes(line)).map((line) => `missing in ${tableName}: ${line}`);
  const added = listed.filter((line) => !expected.includes(line)).map((line) => `not ours in ${tableName}: ${line}`);
  return [...missing, ...added];
}
