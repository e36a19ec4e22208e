import { readFileSync } from 'node:fs';
import { readAuditLog, verifyAuditLog } from '../../pkg/record/index.ts';
import { samples } from '../support/model-server-scripts.ts';
import type { Report } from './report.ts';
import type { Stage } from './stage.ts';

interface End {
  readonly outcome: string;
  readonly code: string | null;
  readonly rules: readonly { readonly rule: string; readonly act: string }[];
}

/** What is left behind: the record and the numbers. */
export async function recordSteps(report: Report, stage: Stage): Promise<void> {
  report.heading('The record');
  const text = readFileSync(stage.auditFile, 'utf8');
  const events = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const ends = events.filter((event) => event['type'] === 'end') as unknown as readonly End[];
  const count = (outcome: string): number => ends.filter((end) => end.outcome === outcome).length;

  await report.step('every session, refusals and ended streams included', () => {
    const outcomes = ['completed', 'refused', 'aborted', 'ended', 'failed'].filter((outcome) => count(outcome) > 0);
    // Nobody on this tour hangs up, so nothing may be recorded as if somebody had.
    const whole = count('completed') > 0 && count('refused') > 0 && count('aborted') === 0 && count('failed') === 0;
    const kept = whole && (stage.scripted === undefined || count('ended') === 2);
    return Promise.resolve({
      came: `${ends.length} sessions`,
      why: outcomes.map((outcome) => `${count(outcome)} ${outcome}`).join(', '),
      kept,
    });
  });
  await report.step('the chain of its records', () => {
    const verdict = verifyAuditLog(readAuditLog(stage.auditFile), { key: stage.auditKey });
    return Promise.resolve({
      came: verdict.ok ? `${verdict.records} records verified` : 'broken',
      why: verdict.ok ? 'each line holds the hash of the one before' : 'a line was changed, moved or removed',
      kept: verdict.ok,
    });
  });
  await report.step('what it holds of cards, addresses, keys and tokens', () => {
    const forbidden = [samples.card, samples.email, samples.ssn, samples.awsKey, stage.modelKey ?? 'eyJ', 'eyJ'];
    const found = forbidden.filter((value) => text.includes(value)).length;
    return Promise.resolve({
      came: found === 0 ? 'nothing' : `${found} of them`,
      why: 'masked for what nobody may see',
      kept: found === 0,
    });
  });

  report.heading('The numbers');
  await report.step(`GET ${stage.admin}/readyz`, async () => {
    const { status } = await fetch(`${stage.admin}/readyz`);
    return { came: `${status}`, why: 'certificate, policy and record are there', kept: status === 200 };
  });
  await report.step(`GET ${stage.admin}/metrics`, async () => {
    const metrics = await (await fetch(`${stage.admin}/metrics`)).text();
    const sum = (name: string, label = ''): number =>
      metrics
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
        .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
    const [requests, refusals] = [sum('sidegate_requests_total'), sum('sidegate_requests_total', 'decision="refused"')];
    const [masked, blocked] = [
      sum('sidegate_rule_acts_total', 'act="masked"'),
      sum('sidegate_rule_acts_total', 'act="blocked"'),
    ];
    const kept = requests > 0 && refusals > 0 && blocked > 0 && (stage.scripted === undefined || masked > 0);
    return {
      came: `${requests} requests`,
      why: `${refusals} refused, ${masked} values masked, ${blocked} blocked by guards`,
      kept,
    };
  });
}
