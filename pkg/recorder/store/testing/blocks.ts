import type { AuditEvent } from '../../../core/index.ts';
import { readLines } from '../../ingest/read-lines.ts';
import { sessionEvents, testTime } from '../../testing/chains.ts';
import type { TestChain, TestSession } from '../../testing/chains.ts';
import type { Addition } from '../port.ts';

// For tests: lines of a chain as a store takes them.

export const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
export const pod = { namespace: 'ml', name: 'llama-0' };

/** Lines as an addition. */
export function blockOfEvents(chain: TestChain, events: readonly AuditEvent[], at = testTime, from = source): Addition {
  const before = chain.point();
  const lines = chain.lines(events, at);
  const { block, first, last, prev, hash: own } = readLines(lines, before);
  return {
    entry: { type: 'block', at, source: from, chain: chain.name, first, last, prev, hash: own },
    block: { ...block, pod },
  };
}

/** The lines of some sessions as an addition. */
export const blockOf = (chain: TestChain, sessions: readonly TestSession[], at = testTime, from = source): Addition =>
  blockOfEvents(chain, sessions.flatMap(sessionEvents), at, from);
