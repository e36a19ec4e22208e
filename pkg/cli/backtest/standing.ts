import { isDeepStrictEqual } from 'node:util';
import { certainties, defaultCertainty, defaultTerms, expandDetector, mostFoundKinds } from '../../core/index.ts';
import type { Certainty, DetectorName, Identity, ScanRule, Snapshot } from '../../core/index.ts';
import { actName } from '../../proxy/index.ts';
import type { RecordedAct, RecordedSession } from './recorded-session.ts';

/** Where a rule acts for a caller, and how. */
interface Reach {
  readonly request: string | undefined;
  readonly answer: string | undefined;
}

function reachOf({ index }: ScanRule, snapshot: Snapshot, caller: Identity | undefined): Reach {
  const outcome = snapshot.requestPlan(caller).outcomes[index];
  const { mask, block, approve } = snapshot.responsePlan(caller);
  const chosen = [mask, block, approve].map((selection) => selection[index] === 1);
  const at = chosen.indexOf(true);
  return {
    request: outcome?.enforce === true ? actName[outcome.action] : undefined,
    answer: ['masked', 'blocked', 'held'][at],
  };
}

const ruleOf = (snapshot: Snapshot, id: string): ScanRule | undefined =>
  snapshot.scanRules.find((one) => one.id === id && one.enforce);

/** What it finds and does, whatever stands in its place. */
const meaningOf = ({ id, on, action, inRequests, match, terms, fields }: ScanRule): object => ({
  id,
  on,
  action,
  inRequests,
  match,
  terms,
  fields,
});

/** Whether under two sets of policies the same rules look at a caller's texts, for the same, and do the same. */
export function looksAlike(next: Snapshot, was: Snapshot, caller: Identity | undefined): boolean {
  const of = (snapshot: Snapshot): readonly object[] =>
    snapshot.scanRules
      .filter(({ enforce }) => enforce)
      .map((rule) => ({ ...meaningOf(rule), ...reachOf(rule, snapshot, caller) }));
  return isDeepStrictEqual(of(next), of(was));
}

/** Whether the rule takes all that the detector found, as certain as the record says that it was, and allows nothing of it. */
function takes({ terms }: ScanRule, by: string, found: RecordedAct['found']): boolean {
  const { from, allow } = terms?.[by as DetectorName] ?? defaultTerms;
  if (allow.length > 0) return false;
  // Sidecars that do not say it knew no other.
  if (found.length === 0) return isAtLeast(defaultCertainty, from);
  if (found.length >= mostFoundKinds) return from === 'Possible';
  return found.every((one) => one.by !== by || one.reason === 'CutShort' || isAtLeast(one.certainty, from));
}

const isAtLeast = (certainty: string, from: Certainty): boolean =>
  certainties.findIndex((one) => one === certainty) >= certainties.indexOf(from);

/**
 * Whether a rule that acted on text which is masked in the record would surely act on it again.
 *
 * The record has a rule's name and what found something: a detector's name, or that it was a pattern, a word or a field. So of a rule that may
 * have been edited it is sure of detectors alone, and only where the rule reaches all that is masked. Which word or pattern it was, the policies of
 * then say.
 *
 * @param was what was in force; undefined: nobody gave it
 */
export function stands(
  act: Pick<RecordedAct, 'rule' | 'act' | 'by' | 'found'>,
  session: Pick<RecordedSession, 'maskedIn'>,
  caller: Identity | undefined,
  { next, was }: { readonly next: Snapshot; readonly was: Snapshot | undefined },
): boolean {
  const rule = ruleOf(next, act.rule);
  if (rule === undefined) return false;
  const reach = reachOf(rule, next, caller);
  const old = was === undefined ? undefined : ruleOf(was, act.rule);
  if (was !== undefined && old !== undefined)
    return isDeepStrictEqual(meaningOf(rule), meaningOf(old)) && isDeepStrictEqual(reach, reachOf(old, was, caller));
  const sure =
    act.by.length > 0 && act.by.every((by) => rule.match.detectors.includes(by) && takes(rule, by, act.found));
  const { request, answer } = session.maskedIn;
  return sure && (!request || reach.request === act.act) && (!answer || reach.answer === act.act);
}

/**
 * Whether what a rule of a policy in Observe mode would have done it would do, now that it is enforced, on text that is masked in the record: `sure` by
 * its detectors, or as it is the same as then; `maybe`: it may have been changed; `no`: it is enforced for nobody, or not for this caller.
 *
 * @param was what was in force; undefined: nobody gave it
 */
export function wouldStand(
  act: Pick<RecordedAct, 'rule' | 'act' | 'by' | 'found'>,
  caller: Identity | undefined,
  { next, was }: { readonly next: Snapshot; readonly was: Snapshot | undefined },
): 'sure' | 'maybe' | 'no' {
  const rule = ruleOf(next, act.rule);
  if (rule === undefined) return 'no';
  const { request, answer } = reachOf(rule, next, caller);
  if (request === undefined && answer === undefined) return 'no';
  // What is masked refuses a request where it stands over two texts.
  const does = [request, answer].includes(act.act) || (act.act === 'blocked' && request === 'masked');
  const old = was?.scanRules.find(({ id }) => id === act.rule);
  const same =
    was === undefined
      ? act.by.length > 0 && act.by.every((by) => rule.match.detectors.includes(by) && takes(rule, by, act.found))
      : old !== undefined && isDeepStrictEqual(meaningOf(rule), meaningOf(old));
  return does && same ? 'sure' : 'maybe';
}

/**
 * Whether what a detector found for a rule that masked it would be hidden by whichever rule has that detector: `all` of it, as far as it is asked where
 * these rules act; `some`: where one acts that reaches only a request or only its answer, and the other rule may have masked either; `none`.
 *
 * The record does not say where a rule acted: what was in force then does, and else each side that has text counts.
 *
 * @param was what was in force; undefined: nobody gave it
 */
export function hidden(
  rule: string,
  by: string,
  session: Pick<RecordedSession, 'request' | 'answer' | 'acts'>,
  caller: Identity | undefined,
  { next, was }: { readonly next: Snapshot; readonly was: Snapshot | undefined },
): 'all' | 'some' | 'none' {
  const old = was === undefined ? undefined : ruleOf(was, rule);
  const acted = old === undefined || was === undefined ? undefined : reachOf(old, was, caller);
  const sides = (['request', 'answer'] as const).filter((side) =>
    acted === undefined ? session[side].length > 0 : acted[side] === 'masked',
  );
  const found = session.acts.filter((act) => act.rule === rule).flatMap((act) => act.found);
  const reaches = next.scanRules
    .filter(
      (one) =>
        one.enforce &&
        takes(one, by, found) &&
        one.match.detectors.some((name) => expandDetector(name)?.some((each) => each === by)),
    )
    .map((one) => reachOf(one, next, caller));
  const covered = sides.filter((side) =>
    reaches.some(({ [side]: act }) => act === 'masked' || act === 'held' || act === 'blocked'),
  );
  return covered.length === 0 ? 'none' : covered.length === sides.length ? 'all' : 'some';
}
