import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openai, refusalOf, streamChat } from './caller.ts';
import type { Report } from './report.ts';
import type { Person, Stage } from './stage.ts';

const grantSeconds = 2;
const mostSeconds = 32;
/** How he is refused before the grant was read, and after its end. */
const tooLate = 'access_denied';

/** People decide: a request that waits for one, and access for two seconds. */
export async function peopleSteps(report: Report, stage: Stage): Promise<void> {
  report.heading('People decide');
  const ana = openai(stage.url, await stage.token('ana'));
  const held = streamChat(ana, stage.model, 'What is project falcon?');
  let name = '';
  await report.step('ana needs an approval, and gives it herself', async () => {
    name = await waiting(stage);
    const { out } = await decide(stage, name, 'ana');
    return {
      came: out.includes('self_approval') ? 'self_approval' : out,
      why: 'whatever groups she has',
      kept: out.includes('self_approval'),
    };
  });
  await report.step('carla approves it, and ana is answered', async () => {
    const { out } = await decide(stage, name, 'carla');
    const { text, ended } = await held;
    const said = /approved, 1 of 1/.exec(out)?.[0] ?? out;
    return {
      came: said,
      why: `sidegate approvals approve ${name} --dir ${stage.approvals}`,
      kept: said !== out && ended === undefined && text !== '',
    };
  });
  const sam = openai(stage.url, await stage.token('sam'));
  const ask = () => sam.chat.completions.create({ model: stage.model, messages: [{ role: 'user', content: 'Hello' }] });
  let end = 0;
  /** Asks until he is answered or his time is over; gives the last refusal. */
  const letIn = async (seconds: number) => {
    end = Date.now() + seconds * 1_000;
    writeFileSync(join(stage.grants, 'sam.yaml'), grantYaml(stage.issuer, end), { mode: 0o600 });
    let refused = await refusalOf(ask);
    for (; refused?.code === tooLate && Date.now() < end; refused = await refusalOf(ask)) await pause(50);
    return refused;
  };
  await report.step(`sam may chat for ${grantSeconds} seconds`, async () => {
    let refused = await letIn(grantSeconds);
    // A busy machine may need longer to read the file and to ask.
    for (let seconds = 2 * grantSeconds; refused?.code === tooLate && seconds <= mostSeconds; seconds *= 2)
      refused = await letIn(seconds);
    return {
      came: refused?.code ?? 'answered',
      why: `until ${new Date(end).toISOString()}`,
      kept: refused === undefined,
    };
  });
  if (stage.scripted === undefined) return report.skip('a stream of his ends with it');
  await report.step('a stream of his ends with it', async () => {
    const follow = () => streamChat(sam, stage.model, 'script:endless+every20');
    let stream = await follow();
    // His time may be over before it has begun.
    const late = (): boolean =>
      stream.ended?.code === tooLate || (stream.ended?.code === 'grant_ended' && stream.events === 0);
    for (let seconds = 2 * grantSeconds; late() && seconds <= mostSeconds; seconds *= 2) {
      await letIn(seconds);
      stream = await follow();
    }
    return {
      came: stream.ended?.code ?? 'it went on',
      why: `after ${stream.events} events`,
      kept: stream.ended?.code === 'grant_ended' && stream.events > 0,
    };
  });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const grantYaml = (issuer: string, end: number): string => `apiVersion: sidegate.dev/v1alpha1
kind: InferenceGrant
metadata: { name: sam }
spec:
  issuer: ${JSON.stringify(issuer)}
  subject: sam
  operations: [Chat]
  models: ["*"]
  expiresAt: ${new Date(end).toISOString()}
  reason: the demo
  requestedBy: make demo
`;

/** The command line, as people use it. */
function sidegate(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/kubectl-sidegate.js', ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, out: `${stdout}${stderr}`.trim() }),
    );
  });
}

/** Name of the one approval that waits. */
async function waiting({ approvals }: Stage): Promise<string> {
  for (let tries = 0; tries < 50; tries++) {
    const { out } = await sidegate('approvals', 'list', '--dir', approvals);
    const name = /^([0-9a-f]{16}-[0-9]+) +Pending/m.exec(out)?.[1];
    if (name !== undefined) return name;
    await pause(50);
  }
  throw new Error('nothing waits for an approval');
}

async function decide(stage: Stage, name: string, as: Person) {
  const file = join(stage.folder, `${as}.decider`);
  writeFileSync(file, await stage.token(as), { mode: 0o600 });
  return sidegate('approvals', 'approve', name, '--dir', stage.approvals, '--token', file);
}
