import { describeError } from '../../base/index.ts';
import { readPrivateKey, unsealLines } from '../../seal/index.ts';
import type { PieceRange, Unsealed } from '../../seal/index.ts';
import type { CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';

export const unsealFlag = { unseal: { kind: 'text' } } as const;
export const unsealUsage = `  --unseal FILE          the private key of \`audit keygen\`: shows what was masked, or all texts, where the policy has them sealed (audit.content: Full,
                         Sealed). It is used on this machine alone
`;

export interface OpenedLines {
  readonly lines: readonly string[];
  /** 1: nothing can be shown, or texts are missing and its sidecar does not say why. The person knows. */
  readonly code: ExitCode;
}

const rangeText = ({ from, to }: PieceRange): string => (from === to ? String(from) : `${from} to ${to}`);

function tellMissing({ missing, lost }: Unsealed, io: CommandIo): ExitCode {
  if (missing.length === 0) return 0;
  const count = missing.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const which = missing.slice(0, 20).map(rangeText);
  io.stderr(`sealed texts are missing: ${[...which, ...(missing.length > which.length ? ['…'] : [])].join(', ')}\n`);
  if (lost > 0) io.stderr(`its sidecar could not write ${lost} of them (audit.onFailure: Allow)\n`);
  if (count <= lost) return 0;
  io.stderr(`not accounted for: ${count - lost}; audit verify says whether lines were removed\n`);
  return 1;
}

/** The lines of a session, opened where `--unseal` names a key. */
export function openedLines(lines: readonly string[], id: string, flags: Flags, io: CommandIo): OpenedLines {
  const file = flags.text('unseal');
  if (file === undefined) return { lines, code: 0 };
  try {
    const unsealed = unsealLines(lines, id, readPrivateKey(io.readFile(file)));
    if (!unsealed.sealed)
      io.stderr('nothing of this session is sealed: its policy recorded masked text alone, or none\n');
    else if (!unsealed.ended) io.stderr('its end is not there: texts may be missing\n');
    return { lines: unsealed.lines, code: tellMissing(unsealed, io) };
  } catch (error) {
    io.stderr(`not opened: ${describeError(error)}\n`);
    return { lines: [], code: 1 };
  }
}
