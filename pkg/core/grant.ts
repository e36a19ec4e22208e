import { allowedModel } from './model-name.ts';
import type { Glob } from './glob.ts';
import type { Identity } from './identity.ts';
import type { Operation } from './operation.ts';
import type { RuleId } from './snapshot.ts';

/**
 * Access for a limited time, asked for by a person and approved by others. A grant is an Allow rule of the pod's namespace: a
 * matching Deny wins over it, and where a cluster policy has access rules it opens nothing that those do not allow.
 */
export interface Grant {
  readonly name: string;
  readonly uid: string;
  /** `iss` and `sub` of the caller's token. */
  readonly issuer: string;
  readonly subject: string;
  readonly operations: readonly Operation[];
  /** Globs with `*`; at least one. */
  readonly models: readonly string[];
  /** Wall clock, milliseconds since the epoch; holds from `from` on and no longer at `until`. */
  readonly from: number;
  readonly until: number;
}

/** Approved grants of this pod that have not ended. Revoked ones are gone from it. */
export interface GrantSource {
  current(): readonly Grant[];
  /** Called after each change. Returns how to stop. */
  subscribe(listener: () => void): () => void;
  /** Milliseconds since the source last confirmed them. */
  ageMs(): number;
}

/** While nobody confirms grants, none holds longer than this: a revocation may not have arrived. Milliseconds. */
export const maxGrantAgeMs = 3_600_000;

export const grantRule = (grant: Pick<Grant, 'name'>): RuleId => `grant/${grant.name}`;

export interface CompiledGrant {
  readonly grant: Grant;
  readonly models: readonly Glob[];
  readonly operations: ReadonlySet<Operation>;
}

export const compileGrant = (grant: Grant): CompiledGrant => ({
  grant,
  models: grant.models.map(allowedModel),
  operations: new Set(grant.operations),
});

/** Operations that name no model: the grant's models do not narrow them. */
const modelless: ReadonlySet<Operation> = new Set<Operation>(['ListModels', 'Health', 'Metrics']);

/**
 * Whether it is about this caller, operation and model. `undefined` as model: of an operation that uses one, any; then only a
 * grant of every model covers it. `whatever: true`: whether it could be about some model.
 */
export function grantCovers(
  { grant, models, operations }: CompiledGrant,
  caller: Identity | undefined,
  operation: Operation,
  model: string | undefined,
  whatever = false,
): boolean {
  if (caller === undefined || caller.issuer !== grant.issuer || caller.subject !== grant.subject) return false;
  if (!operations.has(operation)) return false;
  if (whatever || modelless.has(operation)) return true;
  return model === undefined ? models.some((glob) => glob.all) : models.some((glob) => glob.matches(model));
}
