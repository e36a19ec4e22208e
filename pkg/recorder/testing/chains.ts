import { createHash } from 'node:crypto';
import type { AuditEvent } from '../../core/index.ts';
import { AuditChain, auditDigest, namedStart } from '../../record/index.ts';

/** For tests: a sidecar's chain, and sessions to put into it. */
export interface TestChain {
  readonly name: string;
  /** Where it stands. */
  point(): { readonly sequence: number; readonly hash: string };
  /** The next lines. @param wall Of the sidecar's clock. */
  lines(events: readonly AuditEvent[], wall?: number): Buffer;
}

export const testTime = Date.UTC(2026, 10, 26, 12);

export function testChain(seed = 'a'): TestChain {
  const name = createHash('sha256').update(seed).digest('hex').slice(0, 32);
  const chain = new AuditChain(auditDigest(undefined), namedStart(name));
  return {
    name,
    point: () => ({ sequence: chain.seq, hash: chain.hash }),
    lines: (events, wall = testTime) => Buffer.from(events.map((event) => chain.line(event, wall)).join('')),
  };
}

export const sessionId = (seed: number | string): string =>
  createHash('sha256').update(`session ${seed}`).digest('hex').slice(0, 32);

export interface TestSession {
  readonly id: string;
  readonly user?: string | null;
  readonly groups?: readonly string[];
  readonly model?: string;
  readonly ask?: string;
  readonly answer?: string;
  readonly outcome?: 'completed' | 'refused';
  readonly rule?: string;
  readonly by?: readonly string[];
  /** Its texts are, to a key that nobody has. */
  readonly sealed?: boolean;
}

export function sessionEvents(session: TestSession): readonly AuditEvent[] {
  const { id, user = 'ana', groups = ['ml'], model = 'llama-3', ask = 'hello there', answer = 'hi' } = session;
  const refused = session.outcome === 'refused';
  const textOf = (text: string) =>
    session.sealed === true ? { length: text.length, piece: 1, sealed: 'c2VhbGVk' } : { text };
  return [
    {
      type: 'start',
      session: id,
      generation: 'g1',
      caller: user === null ? null : { provider: 'corp', issuer: 'https://idp.test', subject: user, groups },
      peer: '10.0.0.9',
      protocol: 'h2',
      method: 'POST',
      path: '/v1/chat/completions',
      dialect: 'openai',
      operation: 'Chat',
      model,
      stream: false,
      request: [{ lane: 'messages[0].content', ...textOf(ask) }],
    },
    ...(refused
      ? []
      : [
          {
            type: 'segment',
            session: id,
            direction: 'response',
            lane: 'choices[0].message.content',
            ...textOf(answer),
            at: 5,
          } as const,
        ]),
    {
      type: 'end',
      session: id,
      outcome: session.outcome ?? 'completed',
      status: refused ? 403 : 200,
      code: refused ? 'guard_blocked' : null,
      rules: [
        {
          rule: session.rule ?? 'support/allow',
          act: refused ? 'blocked' : 'allowed',
          ...(session.by === undefined ? {} : { by: session.by }),
        },
      ],
      observed: [],
      failedOpen: [],
      bytesIn: 100,
      bytesOut: 200,
      frames: 1,
      lines: refused ? 2 : 3,
      tokens: { input: 5, output: 7 },
      timing: { toUpstream: 1, firstByte: 3, firstText: 3, total: 12 },
    },
  ];
}
