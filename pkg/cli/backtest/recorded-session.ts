import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { createSessionCount } from '../../record/index.ts';
import { foundRows } from '../found-text.ts';
import type { FoundRow } from '../found-text.ts';
import { sealedLength } from '../audit/sealed-length.ts';
import { operations } from '../../core/index.ts';
import type { Operation } from '../../core/index.ts';

/** What the record says of a session, as far as a policy could have decided on it. */
export interface RecordedSession {
  readonly id: string;
  readonly time: string;
  /** Undefined: nobody was proven. */
  readonly caller:
    | {
        readonly provider: string;
        readonly issuer: string;
        readonly subject: string;
        readonly groups: readonly string[];
      }
    | undefined;
  readonly operation: Operation;
  readonly model: string | undefined;
  readonly path: string;
  /** Texts in the order of the record; joined lane by lane. */
  readonly request: readonly string[];
  readonly answer: readonly string[];
  /** Bytes of the request. */
  readonly bytes: number;
  readonly acts: readonly RecordedAct[];
  /** What rules of policies in Observe mode would have done. */
  readonly observed: readonly RecordedAct[];
  readonly outcome: string;
  readonly code: string | undefined;
  /** Some of its text may have been replaced when it was recorded. */
  readonly masked: boolean;
  /** Where. Both: a rule did, and nobody can see where. */
  readonly maskedIn: { readonly request: boolean; readonly answer: boolean };
  /** Texts of it are sealed and were not opened: nothing is known of them. */
  readonly sealed: boolean;
  /** Not all of its text is there: lines were deleted, lost or never written, or a policy ended the answer before what it found. */
  readonly partial: boolean;
}

export interface RecordedAct {
  readonly rule: string;
  readonly act: string;
  readonly by: readonly string[];
  readonly count: number | undefined;
  /** How certain what it found was; empty: nobody said. */
  readonly found: readonly FoundRow[];
}

/** How replacements look, but for constants: `[label]`, `[label:1f3a]`, `****1111`. */
const replaced = /\[[a-z0-9][\w .-]{0,62}(?::[0-9a-f]+)?\]|\*{3}/i;

/** Whether something in a text looks like a replacement. */
export const looksReplaced = (text: string): boolean => replaced.test(text);

const textAt = (root: JsonNode | undefined, key: string): string => root?.get(key)?.string ?? '';

class Texts {
  readonly #lanes = new Map<string, string>();
  masked = false;
  sealed = false;

  /** @param opened what was masked is in it */
  add(item: JsonNode, opened: boolean): void {
    const lane = textAt(item, 'lane');
    const text = textAt(item, 'text');
    if (sealedLength(item) !== undefined) this.sealed = true;
    else if (item.get('sealed') !== undefined || (!opened && looksReplaced(text))) this.masked = true;
    this.#lanes.set(lane, (this.#lanes.get(lane) ?? '') + text);
  }

  /** Those of a start, or of a line of many. */
  addAll(line: JsonNode, opened: boolean): void {
    for (const item of line.get('request')?.items ?? []) this.add(item, opened);
  }

  get all(): readonly string[] {
    return [...this.#lanes.values()].filter((text) => text !== '');
  }
}

/** Of these the record masks what was found, also where the policy observes. */
const hiding: ReadonlySet<string> = new Set(['masked', 'blocked', 'held']);

const hasHidden = (acts: readonly RecordedAct[], observed: readonly RecordedAct[]): boolean =>
  acts.some(({ act }) => act === 'masked') || observed.some(({ act }) => hiding.has(act));

function actsOf(end: JsonNode, key: 'rules' | 'observed'): readonly RecordedAct[] {
  return (end.get(key)?.items ?? []).map((act) => ({
    rule: textAt(act, 'rule'),
    act: textAt(act, 'act'),
    by: (act.get('by')?.items ?? []).map((one) => one.string ?? ''),
    count: act.get('count')?.number,
    found: foundRows(act),
  }));
}

function callerOf(start: JsonNode): RecordedSession['caller'] {
  const caller = start.get('caller');
  if (caller?.kind !== 'object') return undefined;
  return {
    provider: textAt(caller, 'provider'),
    issuer: textAt(caller, 'issuer'),
    subject: textAt(caller, 'subject'),
    groups: (caller.get('groups')?.items ?? []).map((one) => one.string ?? ''),
  };
}

/**
 * @param acted a rule masked something, wherever that stands
 * @param lost other texts are not there, wherever they stood
 * @param ended the end of the answer is not
 */
function masking(
  request: Texts,
  answer: Texts,
  { acted, lost, ended }: { readonly acted: boolean; readonly lost: boolean; readonly ended: boolean },
): Pick<RecordedSession, 'masked' | 'maskedIn' | 'partial'> {
  const unseen = lost || (acted && !request.masked && !answer.masked);
  const maskedIn = { request: request.masked || unseen, answer: answer.masked || unseen || ended };
  return { masked: maskedIn.request || maskedIn.answer, maskedIn, partial: lost || ended };
}

/**
 * @param opened the lines were unsealed: what was masked is in them
 * @returns undefined where the start or the end is not there
 * @throws JsonError
 */
export function recordedSession(lines: readonly string[], opened: boolean): RecordedSession | undefined {
  const request = new Texts();
  const answer = new Texts();
  let start: JsonNode | undefined;
  let end: JsonNode | undefined;
  const count = createSessionCount();
  for (const line of lines) {
    const root = parseJson(line, { loneSurrogates: true });
    count.add(root);
    switch (root.get('type')?.string) {
      case 'start':
        start = root;
        request.addAll(root, opened);
        break;
      case 'texts':
        request.addAll(root, opened);
        break;
      case 'segment':
        (textAt(root, 'direction') === 'request' ? request : answer).add(root, opened);
        break;
      case 'end':
        end = root;
        break;
      default:
    }
  }
  if (start === undefined || end === undefined) return undefined;
  const [acts, observed] = [actsOf(end, 'rules'), actsOf(end, 'observed')];
  const lost = count.verdict().fault !== undefined || (end.get('unwritten')?.number ?? 0) > 0;
  const operation = operations.find((one) => one === textAt(start, 'operation')) ?? 'Other';
  return {
    id: textAt(start, 'session'),
    time: textAt(start, 'time'),
    caller: callerOf(start),
    operation,
    model: start.get('model')?.string,
    path: textAt(start, 'path'),
    request: request.all,
    answer: answer.all,
    bytes: end.get('bytesIn')?.number ?? 0,
    acts,
    observed,
    outcome: textAt(end, 'outcome'),
    code: end.get('code')?.string,
    sealed: request.sealed || answer.sealed,
    ...masking(request, answer, {
      acted: !opened && hasHidden(acts, observed),
      lost,
      ended: textAt(end, 'outcome') === 'ended',
    }),
  };
}
