import { describeError } from '../../base/index.ts';
import { readPrivateKey, unsealLines } from '../../seal/index.ts';
import type { CommandIo } from '../command.ts';
import type { Flags } from '../flags.ts';

export const unsealFlag = { unseal: { kind: 'text' } } as const;
export const unsealUsage = `  --unseal FILE          the private key of \`audit keygen\`: shows what was masked, where the policy recorded it (audit.content: Full). It is used on
                         this machine alone
`;

/** The lines of a session, opened where `--unseal` names a key. Undefined: they cannot be, and the person knows why. */
export function openedLines(
  lines: readonly string[],
  id: string,
  flags: Flags,
  io: CommandIo,
): readonly string[] | undefined {
  const file = flags.text('unseal');
  if (file === undefined) return lines;
  try {
    const { lines: opened, sealed, ended } = unsealLines(lines, id, readPrivateKey(io.readFile(file)));
    if (!sealed) io.stderr('nothing of this session is sealed: its policy recorded masked text alone\n');
    else if (!ended) io.stderr('its end is not there: texts may be missing\n');
    return opened;
  } catch (error) {
    io.stderr(`not opened: ${describeError(error)}\n`);
    return undefined;
  }
}
