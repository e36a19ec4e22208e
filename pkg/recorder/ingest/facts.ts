import type { JsonNode } from '../../base/index.ts';
import { operations } from '../../core/index.ts';
import { cut, cutList, cutText } from '../bounds.ts';
import { cutTag } from '../store/index.ts';
import type { EndFacts, StartFacts } from '../store/index.ts';

// What a session can be found by. The line itself is kept whole; here each text is cut, so that no sidecar fills the index.

/** Rules of one session: more than several policies have that act at once. Retention goes by them. */
const mostRules = { texts: 1_024, characters: 64 * 1024 } as const;
/** Of what else is found by tags. */
const mostOthers = { texts: 64, characters: 16 * 1024 } as const;
/** Groups of a caller: as many as a token holds. */
const mostGroups = { texts: 1_024, characters: 64 * 1024 } as const;

/** Tags of rules, and {@link cutTag} where there was no room for all of them. */
function ruleTags(rules: Iterable<string>): readonly string[] {
  const all = new Set([...rules].map((rule) => cut(rule)));
  const kept = cutList(all, mostRules);
  return kept.length === all.size ? kept : [...kept, cutTag];
}

const textAt = (root: JsonNode | undefined, key: string): string => cut(root?.get(key)?.string ?? '');
const optionalAt = (root: JsonNode | undefined, key: string): string | null => {
  const text = root?.get(key)?.string;
  return text === undefined ? null : cut(text);
};
const wholeAt = (root: JsonNode | undefined, key: string): number => {
  const number = root?.get(key)?.number ?? 0;
  return Number.isFinite(number) ? Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(number))) : 0;
};

const ofSessions: ReadonlySet<string> = new Set(operations);
/** One that no session has is none of its own: by others changes are found, and what looks like them in a table. */
function operationOf(root: JsonNode): string {
  const text = textAt(root, 'operation');
  return text === '' || ofSessions.has(text) ? text : 'Other';
}

function startFacts(root: JsonNode, session: string, sequence: number, at: number): StartFacts {
  const caller = root.get('caller');
  const named = new Set((caller?.get('groups')?.items ?? []).map((one) => cut(one.string ?? '')));
  // No group, and what is no text: nobody is in it, and a list of it alone is stored as none.
  named.delete('');
  const groups = cutList(named, mostGroups);
  if (groups.length < named.size) groups.push(cutText);
  return {
    session,
    sequence,
    at,
    provider: optionalAt(caller, 'provider'),
    issuer: optionalAt(caller, 'issuer'),
    subject: optionalAt(caller, 'subject'),
    groups,
    peer: textAt(root, 'peer'),
    method: textAt(root, 'method'),
    path: textAt(root, 'path'),
    dialect: textAt(root, 'dialect'),
    operation: operationOf(root),
    model: optionalAt(root, 'model'),
  };
}

function endFacts(root: JsonNode, session: string, sequence: number): EndFacts {
  const [acted, observed] = [root.get('rules')?.items ?? [], root.get('observed')?.items ?? []];
  // Rules first: retention goes by them, and what one of them found, which is the caller's to choose, must push no other out.
  const rules = ruleTags([
    ...acted.map((act) => `rule:${textAt(act, 'rule')}`),
    ...observed.map((act) => `observed:${textAt(act, 'rule')}`),
  ]);
  const others = new Set([
    ...acted.map((act) => `act:${textAt(act, 'act')}`),
    ...(root.get('failedOpen')?.items ?? []).map((open) => `open:${cut(open.string ?? '')}`),
    ...[...acted, ...observed].flatMap((act) => act.get('by')?.items ?? []).map((by) => `by:${cut(by.string ?? '')}`),
  ]);
  const tokens = root.get('tokens');
  const counted = tokens?.kind === 'object';
  return {
    session,
    sequence,
    outcome: textAt(root, 'outcome'),
    status: Math.min(999, wholeAt(root, 'status')),
    code: optionalAt(root, 'code'),
    tags: [...rules, ...cutList(others, mostOthers)],
    bytesIn: wholeAt(root, 'bytesIn'),
    bytesOut: wholeAt(root, 'bytesOut'),
    inputTokens: counted ? wholeAt(tokens, 'input') : null,
    outputTokens: counted ? wholeAt(tokens, 'output') : null,
    durationMs: wholeAt(root.get('timing'), 'total'),
  };
}

/** By which changes, and what befell processes, are found: no session has them. */
export const changeOperations: ReadonlySet<string> = new Set(['Approval', 'Grant', 'Token', 'Revocation', 'Process']);

/** A change is in no session: it is found as one that began and ended with it. */
function changeFacts(root: JsonNode, { session, sequence, at }: LinePlace): LineFacts {
  const what = textAt(root, 'what');
  const rules = (root.get('rules')?.items ?? []).map((rule) => `rule:${cut(rule.string ?? '')}`);
  return {
    start: {
      ...startFacts(root, session, sequence, at),
      peer: textAt(root, 'from'),
      path: textAt(root, 'name'),
      operation: `${what.slice(0, 1).toUpperCase()}${what.slice(1)}`,
    },
    end: {
      ...endFacts(root, session, sequence),
      outcome: 'completed',
      code: optionalAt(root, 'step'),
      tags: ruleTags(rules),
    },
  };
}

/** So is what befell a process: that it began, stopped, has another policy, could not record, or saw its clock step. */
function processFacts(root: JsonNode, { session, sequence, at }: LinePlace): LineFacts {
  const what = textAt(root, 'what');
  return {
    start: { ...startFacts(root, session, sequence, at), path: what, operation: 'Process' },
    end: { ...endFacts(root, session, sequence), outcome: 'completed', code: what },
  };
}

export interface LinePlace {
  readonly session: string;
  readonly sequence: number;
  /** What the line says, epoch milliseconds. */
  readonly at: number;
}

export interface LineFacts {
  readonly start?: StartFacts;
  readonly end?: EndFacts;
}

/** What a line adds to what its session is found by; most add nothing. */
export function factsOf(root: JsonNode, place: LinePlace): LineFacts {
  const { session, sequence, at } = place;
  switch (root.get('type')?.text) {
    case 'start':
      return { start: startFacts(root, session, sequence, at) };
    case 'end':
      return { end: endFacts(root, session, sequence) };
    case 'change':
      return changeFacts(root, place);
    case 'process':
      return processFacts(root, place);
    default:
      return {};
  }
}
