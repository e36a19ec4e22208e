import { samples } from '../support/model-server-scripts.ts';
import { openai, streamChat } from './caller.ts';
import type { Streamed } from './caller.ts';
import type { Report } from './report.ts';
import type { Stage } from './stage.ts';

/** The model answers with a card number, an e-mail address and an SSN, two characters an event. */
const prompt = 'What is on file for this customer? script:pii-small+every2';
const values = [samples.card, samples.email, samples.ssn];
const label = '[personal]';

/** Middle of several runs: one run alone says little on a busy machine. */
const rounds = 5;
const middle = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

const ms = (value: number): string => `${value.toFixed(1)} ms`;

/** What different people see of the same answer, while it streams. */
export async function answerSteps(report: Report, stage: Stage): Promise<void> {
  report.heading('Answers');
  if (stage.scripted === undefined) {
    await ownModel(report, stage);
    return;
  }
  const [ana, carla] = [openai(stage.url, await stage.token('ana')), openai(stage.url, await stage.token('carla'))];
  const direct = openai(stage.direct, stage.modelKey ?? null);
  const read = (client: typeof ana): Promise<Streamed> => streamChat(client, stage.model, prompt);
  // Connections, compiled code and the token cache are warm for both before anything is measured.
  await read(direct);
  await read(ana);
  const whole = await read(direct);
  const plain: number[] = [];
  const governed: number[] = [];
  for (let round = 0; round < rounds; round++) {
    plain.push((await read(direct)).firstTextMs);
    governed.push((await read(ana)).firstTextMs);
  }

  await report.step('ana streams an answer with card, e-mail and SSN', async () => {
    const answer = await read(ana);
    const masked = values.reduce((text, value) => text.replace(value, label), whole.text);
    const kept = whole.text !== masked && answer.text === masked && answer.ended === undefined;
    return {
      came: kept ? `masked over ${whole.events} events` : 'not as promised',
      why: kept ? `label personal: "${excerpt(answer.text)}"` : `came: "${answer.text}"`,
      kept,
    };
  });
  await report.step('time to its first text, beside the direct way', () =>
    Promise.resolve({
      came: `${ms(middle(governed))} (direct ${ms(middle(plain))})`,
      why: `middle of ${rounds}; nothing waits for the whole answer`,
      kept: middle(governed) - middle(plain) < 250,
    }),
  );
  await report.step('carla of compliance streams the same', async () => {
    const answer = await read(carla);
    const kept = answer.text === whole.text && values.every((value) => answer.text.includes(value));
    return { came: kept ? 'in full' : 'not in full', why: 'label personal is visible to compliance', kept };
  });
  await report.step('ana asks for JSON whose tool calls carry them', async () => {
    const answer = await ana.chat.completions.create({
      model: stage.model,
      messages: [{ role: 'user', content: 'Refund it. script:tool' }],
    });
    const calls = (answer.choices[0]?.message.tool_calls ?? []).filter((call) => call.type === 'function');
    const parsed = calls.map((call) => JSON.stringify(JSON.parse(call.function.arguments)));
    const kept = calls.length > 0 && values.every((value) => parsed.every((text) => !text.includes(value)));
    return { came: `${calls.length} calls, masked`, why: 'tool arguments are masked and still JSON', kept };
  });
  await report.step("the model got its own key, and never the caller's", () => {
    const seen = stage.scripted?.requests.filter((one) => one.path === '/v1/chat/completions') ?? [];
    const kept = seen.length > 0 && seen.every((one) => one.headers.authorization === `Bearer ${stage.modelKey}`);
    return Promise.resolve({ came: `${seen.length} requests`, why: 'upstream.credential, from a file', kept });
  });
}

/** The part around the masks, short enough for a line. */
function excerpt(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

async function ownModel(report: Report, stage: Stage): Promise<void> {
  const ana = openai(stage.url, await stage.token('ana'));
  await report.step('ana streams an answer', async () => {
    const answer = await streamChat(ana, stage.model, 'Say hello in five words.');
    const kept = answer.text !== '' && answer.ended === undefined;
    return {
      came: `${answer.events} events`,
      why: `rule demo/engineers-chat, first text after ${ms(answer.firstTextMs)}`,
      kept,
    };
  });
  report.skip('ana streams an answer with card, e-mail and SSN');
  report.skip('carla of compliance streams the same');
  report.skip('ana asks for JSON whose tool calls carry them');
}
