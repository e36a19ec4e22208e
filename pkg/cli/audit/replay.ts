import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import type { Command } from '../command.ts';
import { jsonText, printable, printableRows } from '../terminal-text.ts';
import { modelUrl, replayTo, replayToFlags, replayToUsage } from './replay-to.ts';
import { allLines, sessionCommand, sessionSourceUsage } from './session-command.ts';
import { openedLines, unsealFlag, unsealUsage } from './unseal.ts';

const usage = `sidegate audit replay ID [flags]

One session as it ran, both directions, each text when it was seen: as it was recorded, with what was masked as its label; with --unseal as it was.

  --speed NUMBER         times as fast as it was; default 1. 0: at once
  -o, --output FORMAT    text (default), or jsonl: at, direction, lane and text of each step
${replayToUsage}${unsealUsage}${sessionSourceUsage}`;

/** Something that was seen of a session. */
export interface ReplayStep {
  /** Milliseconds since it began. */
  readonly at: number;
  readonly direction: 'request' | 'response' | 'end';
  readonly lane: string;
  readonly text: string;
}

export function stepsOf(lines: readonly string[]): readonly ReplayStep[] {
  const text = (root: JsonNode | undefined, key: string): string => root?.get(key)?.text ?? '';
  return lines.flatMap((line): ReplayStep[] => {
    const root = parseJson(line, { loneSurrogates: true });
    switch (root.get('type')?.string) {
      case 'start':
      case 'texts':
        return (root.get('request')?.items ?? []).map((item) => ({
          at: root.get('at')?.number ?? 0,
          direction: 'request',
          lane: text(item, 'lane'),
          text: text(item, 'text'),
        }));
      case 'segment': {
        const direction = root.get('direction')?.string === 'request' ? 'request' : 'response';
        return [{ at: root.get('at')?.number ?? 0, direction, lane: text(root, 'lane'), text: text(root, 'text') }];
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
      ];
    },
    async act(id, source, flags, io) {
      const speed = Number(flags.text('speed') ?? '1');
      const url = modelUrl(flags.text('to') ?? '');
      const { lines, code } = openedLines(await allLines(source), id, flags, io);
      if (url !== undefined && lines.length > 0)
        return replayTo(url, lines, flags.text('unseal') !== undefined, flags, io);
      const steps = stepsOf(lines);
      let at = 0;
      let lane: string | undefined;
      for (const step of steps) {
        if (speed > 0 && step.at > at) await io.sleep((step.at - at) / speed);
        at = Math.max(at, step.at);
        if (flags.text('output') === 'jsonl') {
          io.stdout(`${jsonText(step)}\n`);
          continue;
        }
        const here = `${step.direction} ${step.lane}`;
        if (here !== lane)
          io.stdout(
            `${lane === undefined ? '' : '\n'}${mark[step.direction]} +${Math.round(step.at)} ms ${printable(step.lane)}\n`,
          );
        lane = here;
        io.stdout(printableRows(step.text));
      }
      if (lane !== undefined) io.stdout('\n');
      return code;
    },
  }),
};
