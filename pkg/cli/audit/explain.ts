import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { Command } from '../command.ts';
import { printable } from '../terminal-text.ts';
import { actedRules, ruleText } from './marks.ts';
import { approvalText, changeText } from './show.ts';
import { allLines, sessionCommand, sessionSourceUsage } from './session-command.ts';

const usage = `sidegate audit explain ID [flags]

Why a session went as it did, rule by rule, as its record says: who asked, under which policies, what each rule did and by what, what policies in Observe
mode would have done, and which checks were skipped.

${sessionSourceUsage}`;

/** Of the form of sealed sessions of which no text stands in clear. */
const wholeVersion = 3;

const plain = (text: string | undefined): string => printable(text ?? '');
const listOf = (root: JsonNode | undefined, key: string): readonly JsonNode[] => root?.get(key)?.items ?? [];

function whoAsked(start: JsonNode): readonly string[] {
  const caller = start.get('caller');
  const known = caller?.kind === 'object';
  const groups = listOf(caller, 'groups').map((one) => plain(one.text));
  const asked = ['operation', 'model'].map((key) => plain(start.get(key)?.string)).filter((one) => one !== '');
  return [
    `${known ? plain(caller.get('subject')?.text) : 'nobody known'} asked for ${asked.join(' of ')}`,
    ...(known ? [`  by provider ${plain(caller.get('provider')?.text)}, groups: ${groups.join(', ') || 'none'}`] : []),
    `  under ${plain(start.get('generation')?.text)}`,
  ];
}

export function explanationOf(lines: readonly string[]): readonly string[] {
  const roots = lines.map((line) => parseJson(line, { loneSurrogates: true }));
  const of = (type: string): JsonNode | undefined => roots.find((root) => root.get('type')?.string === type);
  const [start, end] = [of('start'), of('end')];
  const text = start === undefined ? [] : [...whoAsked(start)];
  for (const root of roots) {
    if (root.get('type')?.string === 'approval') text.push(approvalText(root));
    if (root.get('type')?.string === 'change') text.push(changeText(root));
  }
  // What people decided stands by itself.
  if (of('change') !== undefined && start === undefined && end === undefined) return text;
  if (start?.get('sealed')?.get('version')?.number === wholeVersion)
    text.push('its texts are sealed: audit show --unseal opens them');
  if (end === undefined) return [...text, 'it has not ended, or its end has not come'];
  return [...text, ...endText(end)];
}

/** What acted, and what came of it. */
function endText(end: JsonNode): string[] {
  const rules = actedRules(end).map((act, at) => `${at + 1}. ${plain(ruleText(act))}`);
  const text = rules.length === 0 ? ['no rule acted'] : rules;
  for (const act of actedRules(end, 'observed')) text.push(`would have (Observe): ${plain(ruleText(act))}`);
  for (const open of listOf(end, 'failedOpen')) text.push(`skipped, as its failure mode allows: ${plain(open.text)}`);
  const code = end.get('code')?.string;
  text.push(
    `so: ${plain(end.get('outcome')?.text)}, ${plain(end.get('status')?.text)}${code === undefined ? '' : ` ${plain(code)} (docs/errors.md)`}`,
  );
  return text;
}

export const auditExplainCommand: Command = {
  name: 'audit explain',
  summary: 'why a session went as it did, rule by rule',
  usage,
  run: sessionCommand({
    usage,
    flags: {},
    async act(_, lines, _flags, io) {
      for (const line of explanationOf(await allLines(lines))) io.stdout(`${line}\n`);
      return 0;
    },
  }),
};
