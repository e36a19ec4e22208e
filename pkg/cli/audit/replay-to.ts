import { isIP } from 'node:net';
import { describeError, parseJson } from '../../base/index.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { jsonText, printable, printableRows } from '../terminal-text.ts';
import { recordedRequest, textAt } from './recorded-request.ts';

export const replayToFlags = {
  to: { kind: 'text' },
  'to-ca': { kind: 'text' },
  'to-token': { kind: 'text' },
  model: { kind: 'text' },
} as const;

export const replayToUsage = `  --to URL               sends the request to a test model (http or https) instead, and compares its answer with the recorded one, text by text. Says what
                         is not as it was: what was masked, and what is not in the record. With --unseal https, or http to this machine
  --model NAME           with --to: of the test model; default as it was
  --to-ca FILE           with --to: PEM of its authorities; default: the public ones
  --to-token FILE        with --to: its bearer token
`;

const timeoutMs = 300_000;
const mostBytes = 64 * 1024 * 1024;
const indented = (mark: string, text: string): string =>
  `  ${mark} ${printableRows(text).replaceAll('\n', `\n  ${mark} `)}\n`;

/** @returns undefined: no address of a model */
export function modelUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const good = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  return good ? url : undefined;
}

const ownMachine = /^(?:127(?:\.[0-9]{1,3}){3}|\[::1\]|localhost)$/;

/** Whether nobody between here and a model reads what is sent to it. What is no address of a model is sent nothing. */
export function isPrivateTo(text: string): boolean {
  const url = modelUrl(text);
  return url?.protocol !== 'http:' || ownMachine.test(url.hostname);
}

/**
 * Sends the request of a session to a model, and compares the answers.
 *
 * @param lines of the session; `opened`: with what was masked
 * @returns 0: the answer is the same. 1: it differs, there is none or none on record, or nothing can be sent.
 */
export async function replayTo(
  url: URL,
  lines: readonly string[],
  opened: boolean,
  flags: Flags,
  io: CommandIo,
): Promise<ExitCode> {
  try {
    const { path, body, notes, answer } = recordedRequest(lines, opened);
    for (const note of notes) io.stderr(`${printable(note)}\n`);
    const [model, caFile, tokenFile] = [flags.text('model'), flags.text('to-ca'), flags.text('to-token')];
    const ca = caFile === undefined ? io.publicRoots.join('\n') : io.readFile(caFile);
    const tls = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const began = io.now();
    const { status, body: text } = await io.ask({
      host,
      port: Number(url.port) || (tls ? 443 : 80),
      path: `${url.pathname.replace(/\/$/, '')}${path}`,
      ...(tls && { tls: { ca, ...(isIP(host) === 0 && { serverName: host }) } }),
      body: JSON.stringify({ ...body, ...(model !== undefined && { model }) }),
      ...(tokenFile !== undefined && { token: io.readFile(tokenFile).trim() }),
      timeoutMs,
      mostBytes,
    });
    const ms = io.now() - began;
    if (status !== 200) {
      io.stdout(`${status} after ${ms} ms\n${indented('>', text.slice(0, 2_000))}`);
      return 1;
    }
    if (answer.size === 0) {
      io.stderr('no text of the answer is in the record: there is nothing to compare with\n');
      io.stdout(`${status} after ${ms} ms\n${indented('>', text.slice(0, 2_000))}`);
      return 1;
    }
    const root = parseJson(text, { loneSurrogates: true });
    const texts = [...answer].map(([lane, recorded]) => ({ lane, recorded, answered: textAt(root, lane) ?? '' }));
    const same = texts.every(({ recorded, answered }) => recorded === answered);
    if (flags.text('output') === 'jsonl')
      for (const one of texts) io.stdout(`${jsonText({ ...one, same: one.recorded === one.answered })}\n`);
    else {
      io.stdout(`${status} after ${ms} ms: ${same ? 'the same answer' : 'another answer'}\n`);
      for (const { lane, recorded, answered } of texts)
        io.stdout(
          recorded === answered
            ? `${printable(lane)}: the same\n`
            : `${printable(lane)}\n${indented('<', recorded)}${indented('>', answered)}`,
        );
    }
    return same ? 0 : 1;
  } catch (error) {
    io.stderr(`not replayed: ${describeError(error)}\n`);
    return 1;
  }
}
