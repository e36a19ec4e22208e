import type { OutgoingHttpHeaders } from 'node:http';
import type { Clock, Listed, Roster } from '../base/index.ts';
import type { DrainLimits } from './drain.ts';
import type { BodyBudget } from './request-body.ts';
import { isHopByHop } from './response-headers.ts';

/** What every exchange of one listener shares. */
export interface ExchangeHost {
  readonly clock: Clock;
  readonly budget: BodyBudget;
  readonly drain: DrainLimits;
  /** Answers say that the connection ends with them: the listener stops, or peers are to go elsewhere. */
  readonly closing: boolean;
  /** The listener stops: a connection ends with its answer, also one whose head had not said so. */
  readonly stopping: boolean;
  /** Exchanges under way. */
  readonly live: Roster<LiveExchange>;
}

/** What the listener's sweep looks at. */
export interface LiveExchange extends Listed {
  /**
   * Milliseconds on the monotonic clock since which the peer has not taken what we write, or takes it at less than the least rate
   * (backlog.ts): a time to come, where it still may; undefined when it keeps up.
   */
  readonly stalledSince: number | undefined;
  destroy(): void;
}

export type CloseKind = 'finished' | 'aborted';

/** Listeners of `onClose`: nearly always one. */
export class CloseListeners {
  #how: CloseKind | undefined;
  #first: ((how: CloseKind) => void) | undefined;
  #more: ((how: CloseKind) => void)[] | undefined;

  get closed(): boolean {
    return this.#how !== undefined;
  }

  add(listener: (how: CloseKind) => void): void {
    if (this.#how !== undefined) listener(this.#how);
    else if (this.#first === undefined) this.#first = listener;
    else (this.#more ??= []).push(listener);
  }

  /** Only the first call counts. */
  close(how: CloseKind): void {
    if (this.#how !== undefined) return;
    this.#how = how;
    this.#first?.(how);
    if (this.#more !== undefined) for (const listener of this.#more) listener(how);
  }
}

export const emptyBody: Buffer = Buffer.alloc(0);

/** No body, whatever the handler says (RFC 9110 section 6.4.1). */
export function neverHasBody(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}

/**
 * Response headers without those that speak of one connection and those that we set (lengths are ours to say), as a flat list of
 * names in lower case and values.
 */
export function endToEnd(headers: OutgoingHttpHeaders): string[] {
  const list: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    const lower = name.toLowerCase();
    if (lower === 'content-length' || isHopByHop(lower)) continue;
    if (typeof value === 'object') for (const one of value) list.push(lower, one);
    else list.push(lower, typeof value === 'string' ? value : String(value));
  }
  return list;
}
