import { describeError } from '../../base/index.ts';
import { makeSealKeys } from '../../seal/index.ts';
import { askedFlags, noPositionals } from '../asked-flags.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';

const usage = `sidegate audit keygen --out FILE

Makes the key pair of \`audit.content: Full\` and \`Sealed\`: texts are sealed in each pod to the public key, and read where the private one is. Writes the private key to
FILE, for its owner alone, and prints the public one as policies take it. Keep the private key off the cluster, and a copy of it: without it nobody reads what
is sealed.

  --out FILE             the private key (PEM, PKCS#8); a file that is there already is not overwritten
  --help                 this text
`;

function run(args: readonly string[], io: CommandIo): ExitCode {
  const flags = askedFlags(args, io, {
    usage,
    flags: { out: { kind: 'text' } },
    positionals: noPositionals,
    faults: (given) => (given.on('out') ? [] : ['--out is missing: where the private key is written']),
  });
  if (typeof flags === 'number') return flags;
  const out = flags.text('out') ?? '';
  const { privateKey, publicKey } = makeSealKeys();
  try {
    if (io.login.readPrivate(out) !== undefined) {
      io.stderr(`${out}: is there already; what was sealed to a key that is overwritten cannot be read again\n`);
      return 1;
    }
    io.login.writePrivate(out, privateKey);
  } catch (error) {
    io.stderr(`${out}: cannot be written (${describeError(error)})\n`);
    return 1;
  }
  io.stdout(`audit:\n  content: Full\n  sealTo: ${publicKey}\n`);
  return 0;
}

export const auditKeygenCommand: Command = {
  name: 'audit keygen',
  summary: 'the key pair that recorded texts are sealed to',
  usage,
  run,
};
