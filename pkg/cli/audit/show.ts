import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { Command } from '../command.ts';
import { printRaw } from '../output.ts';
import { printable, printableJson, printableRows } from '../terminal-text.ts';
import { sealedLength } from './sealed-length.ts';
import { allLines, sessionCommand, sessionSourceUsage } from './session-command.ts';
import { openedLines, unsealFlag, unsealUsage } from './unseal.ts';

const usage = `sidegate audit show ID [flags]

One session as it went: who, what was asked and answered (masked as it was recorded; of sealed texts their lengths), which rules acted. ID is the request id of a receipt or of a search.

  -o, --output FORMAT    text (default), or jsonl: the lines of the record, byte for byte but for what --unseal opens (on a terminal,
                         what would move its cursor stands as \\uXXXX)
${unsealUsage}${sessionSourceUsage}`;

const plain = printable;
const indent = (text: string): string => printableRows(text).replaceAll('\n', '\n           ');

/** Who decided, as each decision says: a row behind its approval's. */
export function decisionText(root: JsonNode): string {
  const at = (key: string): string => plain(root.get(key)?.string ?? '');
  const from = at('from') === '' ? '' : ` from ${at('from')}`;
  const broke = root.get('breakGlass')?.boolean === true ? ', break-glass' : '';
  const why = at('comment') === '' ? '' : `, "${at('comment')}"`;
  return `\n  decided  ${at('at')} ${at('by')}: ${at('decision')}${from}${broke}${why}`;
}

/** What became of the approval that a session waits for, and who decided. */
export function approvalText(root: JsonNode): string {
  const at = (key: string): string => plain(root.get(key)?.string ?? '');
  const decisions = (root.get('decisions')?.items ?? []).map(decisionText);
  return `approval ${at('name')}: ${at('phase')}${decisions.join('')}`;
}

/** What became of an approval, a grant, a token or a revocation. */
export function changeText(root: JsonNode): string {
  const at = (key: string): string => plain(root.get(key)?.string ?? '');
  const subject = plain(root.get('caller')?.get('subject')?.string ?? '');
  const words = [
    `${at('time')}  ${at('what')} ${at('name')}: ${at('step')}`,
    ...(subject === '' ? [] : [`for ${subject}`]),
    ...(at('requestedBy') === '' ? [] : [`asked by ${at('requestedBy')}`]),
    ...(at('by') === '' ? [] : [`by ${at('by')}`]),
    ...(at('from') === '' ? [] : [`from ${at('from')}`]),
    ...(at('until') === '' ? [] : [`until ${at('until')}`]),
  ];
  const rules = (root.get('rules')?.items ?? []).map((rule) => `\n  rule     ${plain(rule.text)}`);
  const decisions = (root.get('decisions')?.items ?? []).map(decisionText);
  return `${words.join(' ')}${[...rules, ...decisions].join('')}`;
}

/** A text as it stands in the record; of one that was sealed whole and is opened, also what others may see of it. */
function textOf(item: JsonNode): string {
  const length = sealedLength(item);
  if (length !== undefined) return `(sealed: ${length} characters)`;
  const masked = item.get('masked')?.string;
  return `${indent(item.get('text')?.text ?? '')}${masked === undefined ? '' : `\n  masked   ${indent(masked)}`}`;
}

const askedOf = (root: JsonNode): readonly string[] =>
  (root.get('request')?.items ?? []).map(
    (item) => `  asked    ${plain(item.get('lane')?.text ?? '')}: ${textOf(item)}`,
  );

/** A line of the record for people. */
export function lineText(root: JsonNode): string {
  const at = (key: string): string => plain(root.get(key)?.text ?? '');
  switch (root.get('type')?.text) {
    case 'start': {
      const caller = root.get('caller');
      const who = caller?.kind === 'object' ? (caller.get('subject')?.text ?? '') : 'anonymous';
      return `${at('time')}  ${plain(who)} from ${at('peer')}: ${at('method')} ${at('path')} ${at('operation')} ${at('model')}${['', ...askedOf(root)].join('\n')}`;
    }
    case 'texts':
      return askedOf(root).join('\n');
    case 'segment':
      return `  ${root.get('direction')?.text === 'request' ? 'asked  ' : 'answered'} +${at('at')} ms ${at('lane')}: ${textOf(root)}`;
    case 'end': {
      const rules = (root.get('rules')?.items ?? []).map((act) => {
        const by = (act.get('by')?.items ?? []).map((one) => one.text).join(', ');
        return `\n  rule     ${plain(act.get('rule')?.text ?? '')} ${plain(act.get('act')?.text ?? '')}${by === '' ? '' : ` by ${plain(by)}`}`;
      });
      const code = root.get('code')?.string;
      return `${at('time')}  ${at('outcome')} ${at('status')}${code === undefined ? '' : ` ${plain(code)}`}${rules.join('')}`;
    }
    case 'approval':
      return `  ${approvalText(root)}`;
    case 'change':
      return changeText(root);
    default:
      // Of a process: what befell it, and by how much.
      return `${at('time')}  ${['type', 'what', 'amount']
        .map(at)
        .filter((word) => word !== '')
        .join(' ')}`;
  }
}

export const auditShowCommand: Command = {
  name: 'audit show',
  summary: 'one session as it went',
  usage,
  run: sessionCommand({
    usage,
    manyChains: true,
    flags: { output: { kind: 'text', short: 'o', choices: ['text', 'jsonl'] }, ...unsealFlag },
    async act(id, lines, flags, io) {
      // Their bytes were hashed: only where somebody looks at them are they spelled otherwise.
      const raw = io.screenRows?.() === undefined ? printRaw : (line: string) => io.stdout(printableJson(line));
      const jsonl = flags.text('output') === 'jsonl';
      const print = (page: readonly string[]): void => {
        for (const line of page)
          if (jsonl) raw(`${line}\n`, io);
          else io.stdout(`${lineText(parseJson(line, { loneSurrogates: true }))}\n`);
      };
      if (flags.text('unseal') === undefined) {
        for await (const page of lines()) print(page);
        return 0;
      }
      // What is sealed is opened as a whole: whether a text is missing is known at its end.
      const { lines: opened, code } = openedLines(await allLines(lines), id, flags, io);
      print(opened);
      return code;
    },
  }),
};
