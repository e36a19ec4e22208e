import { describeError } from '../base/index.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { parseFlags } from './flags.ts';

/** Where a sidecar that makes its own certificate keeps its authority. */
const defaultCa = '.sidegate/ca.pem';

const usage = `sidegate ca [flags]

Writes the CA certificate that callers of a sidecar trust.

  --ca FILE     CA certificate (PEM); default ${defaultCa}, where a sidecar with a certificate of its own keeps it
  --bundle      join it with the public roots: what SSL_CERT_FILE and REQUESTS_CA_BUNDLE want, since they replace
                the roots of the machine (NODE_EXTRA_CA_CERTS adds to them and takes either form)
  --out FILE    write there instead of to standard output
  --help        this text

With an SDK:  sidegate ca --bundle --out ca-bundle.pem
              SSL_CERT_FILE=$PWD/ca-bundle.pem REQUESTS_CA_BUNDLE=$PWD/ca-bundle.pem python app.py
              NODE_EXTRA_CA_CERTS=$PWD/ca-bundle.pem node app.js
`;

const pem = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text and nothing else: a key that stands in the file by mistake is not handed to callers. */
function certificates(text: string): readonly string[] {
  return [...text.matchAll(pem)].map((match) => match[0].trim());
}

function run(args: readonly string[], io: CommandIo): ExitCode {
  const parsed = parseFlags(
    args,
    { ca: { kind: 'text' }, out: { kind: 'text' }, bundle: { kind: 'switch' } },
    { name: 'nothing', least: 0, most: 0 },
  );
  if ('help' in parsed) {
    io.stdout(usage);
    return 0;
  }
  if ('faults' in parsed) {
    io.stderr(`${parsed.faults.join('\n')}\n\n${usage}`);
    return 2;
  }
  const file = parsed.flags.text('ca') ?? defaultCa;
  let text: string;
  try {
    text = io.readFile(file);
  } catch (error) {
    io.stderr(`${file}: cannot be read (${describeError(error)}); name the CA certificate with --ca FILE\n`);
    return 1;
  }
  const own = certificates(text);
  if (own.length === 0) {
    io.stderr(`${file}: holds no certificate in PEM form\n`);
    return 1;
  }
  const all = parsed.flags.on('bundle') ? [...own, ...io.publicRoots.map((root) => root.trim())] : own;
  const joined = `${all.join('\n')}\n`;
  const out = parsed.flags.text('out');
  if (out === undefined) {
    io.stdout(joined);
    return 0;
  }
  try {
    io.writeFile(out, joined);
  } catch (error) {
    io.stderr(`${out}: cannot be written (${describeError(error)})\n`);
    return 1;
  }
  io.stdout(`${out}: ${all.length} ${all.length === 1 ? 'certificate' : 'certificates'}\n`);
  return 0;
}

export const caCommand: Command = {
  name: 'ca',
  summary: 'the CA certificate that callers trust, alone or with the public roots',
  usage,
  run,
};
