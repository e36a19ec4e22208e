import { connect as connectH2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from '@jest/globals';
import { createApprovalDesk } from './approval-desk.ts';
import { answerChat } from './scripted-model.ts';
import { until } from './wait.ts';
import { basePolicy, startWorld } from './world.ts';

/** Most that one caller may have waiting, and streams of one connection: the sidecar's own limits. */
const perCaller = 20;
const streamsPerConnection = 100;

/** Status of one request. */
function ask(session: ClientHttp2Session, token: string, content: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/chat/completions',
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    });
    let status = 0;
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    stream.on('error', reject);
    stream.on('end', () => resolve(status));
    stream.resume();
    stream.end(JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content }] }));
  });
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heapBytes = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

const guarded = (issuer: string): string =>
  basePolicy(
    issuer,
    `
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ kubernetesGroup: leads }], timeout: 10m }
`,
  );

/**
 * So many requests wait at one sidecar, each with an approval of its own, over HTTP/2: none is in another's way, others are served, and
 * each goes on once. `full`: these are all that the pod holds.
 */
export async function holdCallers({ held, full }: { readonly held: number; readonly full: boolean }): Promise<void> {
  const desk = createApprovalDesk();
  const world = await startWorld({ policy: guarded, approvals: desk.gate });
  world.model.script = answerChat('fine');
  const sessions: ClientHttp2Session[] = [];
  const open = (): ClientHttp2Session => {
    const session = connectH2(world.url, { ca: world.ca });
    sessions.push(session);
    return session;
  };
  const tokenOf = (sub: string): Promise<string> => world.token({ sub, groups: ['ml-eng'] });
  try {
    const tokens = await Promise.all(Array.from({ length: held / perCaller }, (_, at) => tokenOf(`caller-${at}`)));
    const connections = Array.from({ length: held / streamsPerConnection }, open);
    const before = heapBytes();
    const waiting = Array.from({ length: held }, (_, at) =>
      ask(connections[at % connections.length]!, tokens[at % tokens.length]!, `falcon ${at}`),
    );
    await until(
      () => desk.cases.length === held,
      () => `${desk.cases.length} wait`,
      60_000,
    );
    expect(await world.metrics()).toMatch(new RegExp(`^sidegate_approvals_waiting ${held}$`, 'm'));
    // Of both sides of all exchanges, in this process.
    expect((heapBytes() - before) / held).toBeLessThan(100 * 1_024);

    // A caller who has as many as they may; and another one, whose ordinary requests are served whoever waits.
    const [other, zoe] = [open(), await tokenOf('zoe')];
    expect(await ask(other, tokens[1]!, 'falcon, the 21st')).toBe(429);
    expect(await ask(other, zoe, 'good morning')).toBe(200);
    if (full) expect(await ask(other, zoe, 'falcon too')).toBe(429);
    expect(world.model.seen).toHaveLength(1);

    // One is let go, and its place is free.
    const refused = Number(desk.cases[0]?.ask.excerpt.match(/falcon (\d+)/)?.[1]);
    desk.decide('Deny', 0);
    expect(await waiting[refused]).toBe(403);
    const late = ask(other, zoe, 'falcon again');
    await until(() => desk.cases.length === held + 1, 'one more waits');

    for (let at = 1; at <= held; at++) desk.decide('Approve', at);
    const statuses = await Promise.all([...waiting.filter((_, at) => at !== refused), late]);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(desk.cases.filter(({ phase }) => phase === 'Used')).toHaveLength(held);
    expect(world.model.seen).toHaveLength(held + 1);
    expect(await world.metrics()).toMatch(/^sidegate_approvals_waiting 0$/m);
  } finally {
    for (const session of sessions) session.destroy();
    await world.close();
  }
}
