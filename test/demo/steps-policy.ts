import { openai, streamChat } from './caller.ts';
import type { Report } from './report.ts';
import type { Stage } from './stage.ts';
import { refused } from './steps-door.ts';

/** A policy edit while a stream runs. */
export async function policySteps(report: Report, stage: Stage): Promise<void> {
  report.heading('A policy edit while it runs');
  const cy = openai(stage.url, await stage.token('cy'));
  if (stage.scripted === undefined) {
    report.skip('cy is being answered when the rule is taken away');
  } else {
    await report.step('cy is being answered when the rule is taken away', async () => {
      let edited = Number.NaN;
      const answer = await streamChat(cy, stage.model, 'Tell me a long story. script:endless+every20', (events) => {
        if (events !== 10) return;
        edited = performance.now();
        stage.allowContractors(false);
      });
      const after = (performance.now() - edited) / 1_000;
      const kept = answer.ended?.code === 'policy_changed' && answer.events >= 10;
      return {
        came: kept ? 'policy_changed' : (answer.ended?.code ?? 'it went on'),
        why: `the stream ended ${after.toFixed(1)} s after the edit, with ${answer.events} events read`,
        kept,
      };
    });
    await report.step("and the model's work stopped with it", async () => {
      await stage.scripted?.until((requests) => requests.at(-1)?.outcome === 'aborted');
      return { came: 'aborted', why: 'nobody computes what nobody reads', kept: true };
    });
  }
  if (stage.scripted === undefined) stage.allowContractors(false);
  await report.step('cy asks again', async () => {
    await taken(stage, 'refused');
    return await refused(
      stage,
      () => cy.chat.completions.create({ model: stage.model, messages: [{ role: 'user', content: 'Hello' }] }),
      { status: 403, code: 'access_denied', rule: '', because: 'no rule allows contractors now' },
    );
  });
  stage.allowContractors(true);
  await report.step('the rule is put back, and cy is answered', async () => {
    await taken(stage, 'answered');
    return { came: 'answered', why: 'rule demo/contractors-chat', kept: true };
  });

  /** Waits until cy's next chat ends this way: the sidecar reads the file again twice a second. */
  async function taken(on: Stage, how: 'answered' | 'refused'): Promise<void> {
    for (let tries = 0; tries < 50; tries++) {
      const { ended } = await streamChat(cy, on.model, 'Hello');
      if ((ended === undefined ? 'answered' : 'refused') === how) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the edit did not take effect in 5 s');
  }
}
