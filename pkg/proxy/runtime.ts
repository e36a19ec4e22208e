import type { Logger, Timer, Clock } from '../base/index.ts';
import { CodedError, Recent, describeError } from '../base/index.ts';
import type {
  CredentialSource,
  IdentityVerifier,
  IdentityVerifierFactory,
  PolicySource,
  ReasonCode,
  RequestPlan,
  ResponsePlan,
  RuleSelection,
  ScanRule,
  Snapshot,
} from '../core/index.ts';
import { compileSnapshot, credentialFault, isSealedTo } from '../core/index.ts';
import type { Scanner, View, ViewPair } from '../detect/index.ts';
import { compileScanner } from '../detect/index.ts';
import { describedRoutes, describedServices } from '../dialect/index.ts';
import type { DescribedRoutes, DescribedServices } from '../dialect/index.ts';
import { sealingKey } from '../seal/index.ts';
import type { SealingKey } from '../seal/index.ts';
import { proxyAddress } from '../http/index.ts';
import type { ProxyAddress } from '../http/index.ts';
import type { AccessTokens } from './access-tokens.ts';
import { CleanTexts } from './clean-texts.ts';
import { secretsOf, useFault } from './model-credential.ts';
import { beginning, forRecord, nameForRecord } from './readings.ts';
import type { KeptText } from './session.ts';
import { grow, isEmpty, minus, none, union } from './selection.ts';

/**
 * A snapshot with everything that is compiled from it: scanner, views, verifier. Built whole before it is used and swapped
 * whole; a request keeps the one that it began with. When building fails, nothing is in force: an older one may allow more.
 */
export interface Runtime {
  readonly snapshot: Snapshot;
  readonly scanner: Scanner;
  readonly verifier: IdentityVerifier;
  /** The model's own credential, which the scanner keeps from leaving: no other is ever sent under this runtime. */
  readonly credential: string | undefined;
  /** Index of the rule that keeps the model's own credential from leaving, or -1. */
  readonly credentialRule: number;
  /** Where texts are recorded in full, or sealed. */
  readonly sealing: SealingKey | undefined;
  /** Services of gRPC that the policies describe. */
  readonly services: DescribedServices;
  /** And routes of HTTP and WebSockets. */
  readonly routes: DescribedRoutes;
  requestViews(plan: RequestPlan, record: RuleSelection): RequestViews;
  responseViews(plan: ResponsePlan): ResponseViews;
  /** Words of the caller's outside of its prompt, such as queries and headers, as they are recorded. */
  forRecord(text: string): string;
  /**
   * The same of paths and names of models, which are read before it is known who calls: of a long one the first 256 characters are
   * recorded, and `…` says that there is more.
   */
  nameForRecord(text: string): string;
  /** A path of which each character is the caller's, as a text of its request. */
  pathForRecord(path: string): KeptText;
  /** The query of a request's target, as a text of it that is recorded. */
  queryForRecord(query: string): readonly KeptText[];
  /** The same where people can be asked: findings of the rules that need an approver are noted, and stop nothing. */
  reviewViews(plan: ResponsePlan): ResponseViews;
}

export interface RequestViews {
  /** Mask rules replaced, the others counted. */
  readonly act: View;
  /** The text as it is recorded. */
  readonly record: View;
  readonly pair: ViewPair;
  /** What is sealed of a text: all but the model's own credential. Undefined where nothing is. */
  readonly sealed: View | undefined;
  /** Short texts in which `act` finds nothing, and in which `record` does not. */
  readonly clean: CleanTexts;
  readonly cleanRecord: CleanTexts;
  /** Short targets and headers in which, read as servers read them, `act` finds nothing. */
  readonly cleanReadings: CleanTexts;
}

export interface ResponseViews {
  readonly act: View;
  readonly record: View;
  readonly pair: ViewPair;
  /** What is sealed of a text: all but the model's own credential. Undefined where nothing is. */
  readonly sealed: View | undefined;
  /** Short texts in which `act` finds nothing, and in which `record` does not. */
  readonly clean: CleanTexts;
  readonly cleanRecord: CleanTexts;
  /** Short headers in which, read as clients read them, `act` finds nothing. */
  readonly cleanReadings: CleanTexts;
  /** True where what the caller receives is also what is recorded: one scan serves both. */
  readonly same: boolean;
  /** Rules of which no finding may leave as it is; all others only count theirs. */
  readonly hiding: RuleSelection;
  /**
   * False where every policy observes, or none of their rules hides anything: what could spell a hidden text otherwise than in letters
   * (token ids, bytes, ids and comments of events) leaves as it came.
   */
  readonly guarded: boolean;
}

export interface RuntimeOptions {
  readonly source: PolicySource;
  readonly credentials: CredentialSource;
  readonly tokens: AccessTokens;
  /** The proxy on the way to a URL, where the environment says it and not the policy. */
  readonly proxyOf?: ((url: URL) => ProxyAddress | undefined) | undefined;
  readonly verifiers: IdentityVerifierFactory;
  readonly hashKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells that the newest snapshot could not be put into force: nothing is, and what is under way must end. */
  readonly onFault?: () => void;
}

/**
 * Outcomes of the policy whose views are kept, of each kind: those of the callers who came last. Ten labels may have a thousand, and the
 * views of each grow to some megabytes with the texts that are read.
 */
const mostViews = 32;

/** Text of a request in the record that holds the query of its target. */
const queryLane = 'url.query';
/** And of its path, where that is a text. */
const pathLane = 'url.path';

/** Stands in `[…]` where the model's own credential would have left. */
export const credentialRuleId = 'sidegate/credential';

export class RuntimeHolder {
  readonly #options: RuntimeOptions;
  readonly #listeners = new Set<(runtime: Runtime) => void>();
  readonly #stop: () => void;
  readonly #poll: Timer;
  #current: Runtime | undefined;
  /** What is to be in force: where it is not, a new credential may mend it. */
  #newest: Snapshot | undefined;
  /** The newest snapshot could not be put into force. */
  #failed = false;
  #credential: string | undefined;
  /** What was found wrong with the credential, so that it is told once. */
  #told: string | undefined;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    const first = options.source.current();
    if (first !== undefined) this.#put(first);
    this.#stop = options.source.subscribe((snapshot) => this.#put(snapshot));
    // The scanner holds the credential as a literal, so a rotated one needs a new scanner: also where nobody asks, for live streams.
    this.#poll = options.clock.every(1_000, () => this.#credentialChanged());
  }

  /** Looks at the credential first: a new one is used from the request on that could be sent it, and by a scanner that knows it. */
  get current(): Runtime | undefined {
    this.#credentialChanged();
    return this.#current;
  }

  /** As `current`, without a look at the credential: for whether policy was swapped. */
  get latest(): Runtime | undefined {
    return this.#current;
  }

  /** What no policy at all comes to: everything is denied by default. For pages that are open where nothing is in force. */
  get nothing(): Runtime {
    this.#nothing ??= buildRuntime(
      compileSnapshot([], { revision: 0 }),
      undefined,
      this.#options.verifiers([]),
      this.#options.hashKey,
    );
    return this.#nothing;
  }
  #nothing: Runtime | undefined;

  /** Why nothing is in force, where `current` is undefined: one that is not valid, or none at all. */
  get absence(): Extract<ReasonCode, 'policy_invalid' | 'no_policy'> {
    return this.#failed || this.#options.source.problem() !== undefined ? 'policy_invalid' : 'no_policy';
  }

  /** The model refused the token of an endpoint that it was sent. */
  tokenRefused(token: string): void {
    this.#options.tokens.refused(token);
  }

  onSwap(listener: (runtime: Runtime) => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    this.#stop();
    this.#poll.cancel();
    this.#current?.verifier.close();
    this.#nothing?.verifier.close();
  }

  #credentialChanged(): void {
    const snapshot = this.#newest;
    if (snapshot !== undefined && this.#readCredential(snapshot) !== this.#credential) this.#put(snapshot);
  }

  #readCredential(snapshot: Snapshot): string | undefined {
    const credential = snapshot.upstream?.credential;
    if (credential === undefined) return undefined;
    const { credentials, tokens, logger } = this.#options;
    const text = credentials.read(credential.source);
    if (text === undefined) return undefined;
    const { use } = credential;
    try {
      const usable = use.kind === 'OAuth' ? tokens.read(use, text, this.#proxyTo(use.tokenUrl, snapshot)) : text;
      const fault = useFault(use, text);
      if (fault !== undefined) throw new TypeError(fault);
      this.#told = undefined;
      return usable;
    } catch (error) {
      // Nothing of the credential is in it: what it lacks, or that the environment names a proxy that is not spoken to.
      const fault = error instanceof TypeError ? error.message : describeError(error);
      if (fault !== this.#told) logger.error("the model's credential cannot be used", { fault });
      this.#told = fault;
      return undefined;
    }
  }

  #proxyTo(url: string, { upstream }: Snapshot): ProxyAddress | undefined {
    const named = upstream?.hosted?.proxy;
    return named === undefined ? this.#options.proxyOf?.(new URL(url)) : proxyAddress(named);
  }

  #put(snapshot: Snapshot): void {
    const { source, verifiers, hashKey } = this.#options;
    const previous = this.#current;
    this.#newest = snapshot;
    // Providers that did not change keep their verifier, and with it the keys and tokens that it knows.
    const kept =
      previous !== undefined && JSON.stringify(previous.snapshot.providers) === JSON.stringify(snapshot.providers)
        ? previous.verifier
        : undefined;
    let verifier = kept;
    try {
      const credential = this.#readCredential(snapshot);
      // Noted also where the building fails: it would fail again at each request.
      this.#credential = credential;
      verifier ??= verifiers(snapshot.providers);
      this.#current = buildRuntime(snapshot, credential, verifier, hashKey);
      this.#failed = false;
      for (const listener of this.#listeners) listener(this.#current);
      source.settled?.(undefined);
    } catch (error) {
      verifier?.close();
      this.#denyAll(snapshot, error);
    }
    if (kept === undefined) previous?.verifier.close();
  }

  /** Not the previous one: it may allow what this one was to take away. */
  #denyAll(snapshot: Snapshot, error: unknown): void {
    const { source, logger, onFault } = this.#options;
    this.#current = undefined;
    this.#failed = true;
    // Its code only: the message may name a pattern, and the model's credential is one.
    const fault = error instanceof CodedError ? error.code : 'unknown';
    logger.error('policy not put into force: everything is denied', { generation: snapshot.generation, error: fault });
    source.settled?.(fault);
    onFault?.();
  }
}

function credentialRule(index: number, secrets: readonly string[]): ScanRule {
  const literal = (secret: string): string => secret.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  return {
    index,
    id: credentialRuleId,
    label: 'credential',
    on: 'Response',
    action: 'Mask',
    enforce: true,
    match: {
      detectors: [],
      patterns: secrets.map((secret) => ({ pattern: literal(secret), maxLength: secret.length })),
      words: [],
    },
    fields: [],
    replacement: { style: 'Label' },
  };
}

function buildRuntime(
  snapshot: Snapshot,
  credential: string | undefined,
  verifier: IdentityVerifier,
  hashKey: Uint8Array,
): Runtime {
  return { ...compileViews(snapshot, credential, hashKey), verifier, credential };
}

/**
 * Of a runtime what needs no caller to be proven and no model to be asked.
 *
 * @throws CodedError as compileScanner; `invalid_credential` for one that would not be found again in answers; `invalid_seal_key`
 * for a policy whose content is Full and that has no key to seal it to
 */
export function compileViews(
  snapshot: Snapshot,
  credential: string | undefined,
  hashKey: Uint8Array,
): Omit<Runtime, 'verifier' | 'credential'> {
  const guarded = credential !== undefined;
  const use = snapshot.upstream?.credential?.use;
  const secrets = !guarded ? [] : use === undefined ? [credential] : secretsOf(use, credential);
  for (const secret of secrets) {
    const fault = credentialFault(secret);
    if (fault !== undefined) throw new CodedError('invalid_credential', fault);
  }
  const own = snapshot.scanRules.length;
  const rules = guarded ? [...snapshot.scanRules, credentialRule(own, secrets)] : snapshot.scanRules;
  const size = rules.length;
  const scanner = compileScanner(rules, { hashKey });
  const always = none(size);
  if (guarded) always[own] = 1;
  const sealing = isSealedTo(snapshot.audit.content) ? sealingKey(snapshot.audit.sealTo ?? '') : undefined;
  const sealed =
    sealing === undefined ? undefined : scanner.view({ replace: always, stop: none(size), note: none(size) });

  const requestCache = new Recent<RequestPlan, RequestViews>(mostViews);
  const responseCache = new Recent<ResponsePlan, ResponseViews>(mostViews);
  const reviewCache = new Recent<ResponsePlan, ResponseViews>(mostViews);
  const answerViews = (plan: ResponsePlan, stop: RuleSelection): ResponseViews => {
    // What is held for people is neither stopped nor replaced: approved, it leaves as it is.
    const held = minus(grow(plan.approve, size), stop);
    const replace = minus(union(grow(plan.mask, size), always), union(stop, held));
    const kept = union(grow(plan.record, size), always);
    const note = minus(union(grow(plan.flag, size), held), replace, stop);
    const act = scanner.view({ replace, stop, note });
    const record = scanner.view({ replace: kept, stop: none(size), note: none(size) });
    const hiding = union(replace, stop, held);
    return {
      act,
      hiding,
      guarded: snapshot.enforcing && !isEmpty(hiding),
      record,
      pair: scanner.pair(act, record),
      sealed,
      clean: new CleanTexts(),
      cleanRecord: new CleanTexts(),
      cleanReadings: new CleanTexts(),
      same: isEmpty(stop) && isEmpty(held) && Buffer.compare(replace, kept) === 0,
    };
  };
  const responseViews = (plan: ResponsePlan): ResponseViews => {
    const known = responseCache.get(plan);
    if (known !== undefined) return known;
    const views = answerViews(plan, grow(union(plan.block, plan.approve), size));
    responseCache.set(plan, views);
    return views;
  };
  const kept = (as: typeof forRecord, text: string): string => {
    const { record, cleanRecord } = responseViews(snapshot.responsePlan(undefined));
    return as(record, cleanRecord, text);
  };
  return {
    snapshot,
    scanner,
    credentialRule: guarded ? own : -1,
    sealing,
    services: describedServices(snapshot.grpcServices),
    routes: describedRoutes(snapshot.routes),
    requestViews(plan, record) {
      const known = requestCache.get(plan);
      if (known !== undefined) return known;
      const selected = grow(plan.selection, size);
      const mask = none(size);
      plan.outcomes.forEach(
        (outcome, index) => outcome?.enforce === true && outcome.action === 'Mask' && (mask[index] = 1),
      );
      const act = scanner.view({ replace: mask, stop: none(size), note: minus(selected, mask) });
      const kept = scanner.view({ replace: union(grow(record, size), always), stop: none(size), note: none(size) });
      const views: RequestViews = {
        act,
        record: kept,
        pair: scanner.pair(act, kept),
        sealed,
        clean: new CleanTexts(),
        cleanRecord: new CleanTexts(),
        cleanReadings: new CleanTexts(),
      };
      requestCache.set(plan, views);
      return views;
    },
    responseViews,
    forRecord: (text) => kept(forRecord, text),
    nameForRecord: (text) => kept(nameForRecord, text),
    pathForRecord(path) {
      const text = kept(nameForRecord, path);
      return { id: pathLane, text, raw: sealed?.mask(beginning(path), 'prose', 'complete').text ?? text };
    },
    queryForRecord(query) {
      if (query === '') return [];
      const text = kept(forRecord, query);
      return [{ id: queryLane, text, raw: sealed?.mask(query, 'prose', 'complete').text ?? text }];
    },
    reviewViews(plan) {
      const known = reviewCache.get(plan);
      if (known !== undefined) return known;
      const views = answerViews(plan, grow(plan.block, size));
      reviewCache.set(plan, views);
      return views;
    },
  };
}
