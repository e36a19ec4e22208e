import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { Command, CommandIo } from '../command.ts';
import { jsonText, printable, printableRows } from '../terminal-text.ts';
import { actedRules, marksIn, ruleText } from './marks.ts';
import type { ActedRule, Mark } from './marks.ts';
import { isPrivateTo, modelUrl, replayTo, replayToFlags, replayToUsage } from './replay-to.ts';
import { sealedLength } from './sealed-length.ts';
import { allLines, sessionCommand, sessionSourceUsage } from './session-command.ts';
import { openedLines, unsealFlag, unsealUsage } from './unseal.ts';

const usage = `sidegate audit replay ID [flags]

One session as it ran, both directions, each text when it was seen: as it was recorded, with what was masked as its label, and which rule masked it by
what; with --unseal as it was. Of sealed texts (audit.content: Sealed) without it their lengths.

  --speed NUMBER         times as fast as it was; default 1. 0: at once
  -o, --output FORMAT    text (default), or jsonl: at, direction, lane and text of each step; masked: where in it something was replaced (from, to), and rules
                         that may have done it; sealed: how long a text is that is; of the end: rules, all that acted
${replayToUsage}${unsealUsage}${sessionSourceUsage}`;

/** Something that was seen of a session. */
export interface ReplayStep {
  /** Milliseconds since it began. */
  readonly at: number;
  readonly direction: 'request' | 'response' | 'end';
  readonly lane: string;
  readonly text: string;
  /** The text is sealed, and so long. Absent: it is not, or it was opened. */
  readonly sealed?: number;
  /** What was replaced in the text; absent: nothing that can be seen. */
  readonly masked?: readonly Mark[];
  /** Of the end: what acted. */
  readonly rules?: readonly ActedRule[];
}

export function stepsOf(lines: readonly string[]): readonly ReplayStep[] {
  const end = lines.findLast((line) => line.includes('"type":"end","session":"'));
  const rules = actedRules(end === undefined ? undefined : parseJson(end, { loneSurrogates: true }));
  return plainSteps(lines).map((step) => {
    if (step.direction === 'end') return { ...step, rules };
    const masked = marksIn(step.text, rules);
    return masked.length === 0 ? step : { ...step, masked };
  });
}

function plainSteps(lines: readonly string[]): readonly ReplayStep[] {
  const text = (root: JsonNode | undefined, key: string): string => root?.get(key)?.text ?? '';
  const said = (item: JsonNode): Pick<ReplayStep, 'lane' | 'text' | 'sealed'> => {
    const sealed = sealedLength(item);
    return { lane: text(item, 'lane'), text: text(item, 'text'), ...(sealed !== undefined && { sealed }) };
  };
  return lines.flatMap((line): ReplayStep[] => {
    const root = parseJson(line, { loneSurrogates: true });
    switch (root.get('type')?.string) {
      case 'start':
      case 'texts':
        return (root.get('request')?.items ?? []).map((item) => ({
          at: root.get('at')?.number ?? 0,
          direction: 'request',
          ...said(item),
        }));
      case 'segment': {
        const direction = root.get('direction')?.string === 'request' ? 'request' : 'response';
        return [{ at: root.get('at')?.number ?? 0, direction, ...said(root) }];
      }
      case 'end': {
        const code = root.get('code')?.string;
        const outcome = `${text(root, 'outcome')} ${text(root, 'status')}${code === undefined ? '' : ` ${code}`}`;
        return [{ at: root.get('timing')?.get('total')?.number ?? 0, direction: 'end', lane: '', text: outcome }];
      }
      default:
        return [];
    }
  });
}

const mark = { request: '>', response: '<', end: '=' } as const;

const bar = '| ';
/** Cells of a terminal that a character takes, or more: a row that ends early shows what it has to. */
const cellsOf = (character: string): number => (character === '\t' ? 8 : character > '\u007e' ? 2 : 1);

/** Texts that flow into each other, each row of the screen behind a bar, also where a text is wider than that. @param columns undefined: it is no terminal */
function barred(columns: number | undefined): { begin(): string; add(text: string): string } {
  const room = columns === undefined ? Infinity : Math.max(8, columns - bar.length);
  let used = 0;
  return {
    begin() {
      used = 0;
      return bar;
    },
    add(text) {
      let out = '';
      for (const character of printableRows(text)) {
        const cells = cellsOf(character);
        if (character === '\n' || used + cells > room) {
          out += `\n${bar}`;
          used = 0;
        }
        if (character === '\n') continue;
        out += character;
        used += cells;
      }
      return out;
    },
  };
}

/**
 * Texts of one lane flow into each other, each of their rows behind a bar, so that none looks like a step of the replay or a rule's act; behind them stands what was
 * masked in them, and why. Of texts that are sealed it is said how long they are.
 */
function screen(io: Pick<CommandIo, 'stdout' | 'screenColumns'>): (step: ReplayStep) => void {
  let lane: string | undefined;
  /** Of the lane's texts that are sealed. */
  let sealed: number | undefined;
  const notes = new Set<string>();
  const rows = barred(io.screenColumns?.());
  const endLane = (): void => {
    if (sealed !== undefined) io.stdout(`(sealed: ${sealed} characters)`);
    sealed = undefined;
    if (lane !== undefined) io.stdout('\n');
    for (const note of notes) io.stdout(`  ${note}\n`);
    notes.clear();
  };
  return (step) => {
    const here = `${step.direction} ${step.lane}`;
    if (here !== lane) {
      endLane();
      io.stdout(`${mark[step.direction]} +${Math.round(step.at)} ms ${printable(step.lane)}\n`);
    }
    if (here !== lane) io.stdout(rows.begin());
    io.stdout(rows.add(step.text));
    lane = here;
    if (step.sealed !== undefined) sealed = (sealed ?? 0) + step.sealed;
    for (const { from, to, rules } of step.masked ?? []) notes.add(noteOf(step.text.slice(from, to), rules));
    if (step.direction !== 'end') return;
    for (const rule of step.rules ?? []) notes.add(printable(ruleText(rule)));
    endLane();
    lane = undefined;
  };
}

const noteOf = (replaced: string, rules: readonly ActedRule[]): string => {
  const why = rules.map(ruleText).join('; ');
  return printable(
    `${replaced}  ${why === '' ? 'looks like a replacement: no rule that acted here has its name, so perhaps one that hides this in the record alone' : why}`,
  );
};

export const auditReplayCommand: Command = {
  name: 'audit replay',
  summary: 'one session at its own pace',
  usage,
  run: sessionCommand({
    usage,
    flags: {
      speed: { kind: 'text' },
      output: { kind: 'text', short: 'o', choices: ['text', 'jsonl'] },
      ...replayToFlags,
      ...unsealFlag,
    },
    faults: (flags) => {
      const [speed, to] = [Number(flags.text('speed') ?? '1'), flags.text('to')];
      return [
        ...(speed >= 0 && speed <= 1_000_000 ? [] : ['--speed is a number from 0 on']),
        ...(to === undefined || modelUrl(to) !== undefined ? [] : ['--to is the http or https address of a model']),
        ...(flags.text('unseal') === undefined || isPrivateTo(to ?? '')
          ? []
          : [
              '--to with --unseal is https, or http to this machine: what was masked would cross the network for anyone to read',
            ]),
        ...(flags.text('to-token') === undefined || isPrivateTo(to ?? '')
          ? []
          : [
              '--to with --to-token is https, or http to this machine: the token would cross the network for anyone to read',
            ]),
      ];
    },
    async act(id, source, flags, io) {
      const speed = Number(flags.text('speed') ?? '1');
      const url = modelUrl(flags.text('to') ?? '');
      const { lines, code } = openedLines(await allLines(source), id, flags, io);
      if (url !== undefined && lines.length > 0)
        return replayTo(url, lines, flags.text('unseal') !== undefined, flags, io);
      let at = 0;
      const began = io.now();
      const show =
        flags.text('output') === 'jsonl' ? (step: ReplayStep) => io.stdout(`${jsonText(step)}\n`) : screen(io);
      for (const step of stepsOf(lines)) {
        if (speed > 0 && step.at > at) {
          // What sleeping and printing took is made up for; a clock that was set makes no step later than it was behind the one before.
          const left = Math.min((step.at - at) / speed, step.at / speed - (io.now() - began));
          if (left > 0) await io.sleep(left);
        }
        at = Math.max(at, step.at);
        show(step);
      }
      return code;
    },
  }),
};
