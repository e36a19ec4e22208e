import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { policyHealthPath } from '../../contract/index.ts';
import { owned } from '../bounds.ts';
import type { Exchange } from './fetch.ts';

/** How policies are, as the controller says to the recorder alone (pkg/control/status/health-routes.ts). */
export interface PolicyHealth {
  /**
   * Policies of these namespaces, and the platform's.
   *
   * @param namespaces undefined: all of them
   * @throws Error where the controller says nothing of them
   */
  of(namespaces: readonly string[] | undefined): Promise<Health>;
}

export interface Health {
  readonly policies: readonly PolicyState[];
  /** False: there are more. */
  readonly complete: boolean;
}

export interface PolicyState {
  /** Undefined: the platform's. */
  readonly namespace: string | undefined;
  readonly name: string;
  /** The newest. */
  readonly generation: number;
  /** Generation that the conditions are about; undefined: none yet. */
  readonly observed: number | undefined;
  readonly conditions: readonly Condition[];
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

type Fields = { readonly [key: string]: JsonValue };

export function createPolicyHealth(controller: string, exchange: Exchange): PolicyHealth {
  return {
    async of(namespaces) {
      const query = new URLSearchParams((namespaces ?? []).map((namespace) => ['namespace', namespace]));
      const { status, text } = await exchange({
        url: new URL(`${policyHealthPath}${query.size === 0 ? '' : `?${query.toString()}`}`, controller).href,
        method: 'GET',
        headers: { accept: 'application/json' },
      });
      if (status !== 200) throw new Error(`the controller answered ${status}`);
      const { policies, complete } = fieldsOf(jsonValue(parseJson(text, { maxDepth: 8, maxNodes: 200_000 })));
      return { policies: listOf(policies).flatMap(stateOf), complete: complete === true };
    },
  };
}

function stateOf(one: Fields): readonly PolicyState[] {
  const { namespace, name, generation, observed, conditions } = one;
  if (typeof name !== 'string' || typeof generation !== 'number') return [];
  return [
    {
      namespace: typeof namespace === 'string' ? owned(namespace) : undefined,
      name: owned(name),
      generation,
      observed: typeof observed === 'number' ? observed : undefined,
      conditions: listOf(conditions).map(({ type, status, reason, message }) => ({
        type: textOf(type),
        status: textOf(status),
        reason: textOf(reason),
        message: textOf(message),
      })),
    },
  ];
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? owned(value) : '');
const fieldsOf = (value: JsonValue): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
const listOf = (value: JsonValue | undefined): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
