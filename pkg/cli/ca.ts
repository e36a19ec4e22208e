import { describeError } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { KubeError, resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Cluster, Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import type { Flags } from './flags.ts';

/** Where a sidecar that makes its own certificate keeps its authority. */
const defaultCa = '.sidegate/ca.pem';

const usage = `sidegate ca [flags]

Writes the CA certificate that callers trust: the cluster's, as the controller publishes it, or that of a sidecar on this machine.

  --ca FILE              a file instead of the cluster; default ${defaultCa} where it exists and no flag names a cluster
  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}. With -n: the copy of that namespace
  --bundle               join it with the public roots: what SSL_CERT_FILE and REQUESTS_CA_BUNDLE want, since they replace
                         the roots of the machine (NODE_EXTRA_CA_CERTS adds to them and takes either form)
  --out FILE             write there instead of to standard output
${clusterUsage}
With an SDK:  sidegate ca --bundle --out ca-bundle.pem
              SSL_CERT_FILE=$PWD/ca-bundle.pem REQUESTS_CA_BUNDLE=$PWD/ca-bundle.pem python app.py
              NODE_EXTRA_CA_CERTS=$PWD/ca-bundle.pem node app.js
`;

/** Flags that name a cluster. */
const ofClusters = ['system', ...Object.keys(clusterFlags)];

const pem = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text and nothing else: a key that stands in the file by mistake is not handed to callers. */
function certificates(text: string): readonly string[] {
  return [...text.matchAll(pem)].map((match) => match[0].replaceAll('\r', '').trim());
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** What the controller publishes: for callers in each governed namespace, and in its own. */
async function ofCluster(flags: Flags, { client }: Cluster): Promise<string> {
  const namespace = flags.text('namespace') ?? flags.text('system') ?? systemNamespace;
  const name = flags.text('namespace') === undefined ? controlPlane.trust : controlPlane.root;
  const map = await client.find<ConfigMap>(resources.configMaps, { namespace, name });
  if (map === undefined) {
    const why = flags.text('namespace') === undefined ? 'is Sidegate installed there?' : 'has it a governed pod?';
    throw new KubeError('refused', `there is no ConfigMap ${name} in ${namespace}: ${why}`);
  }
  return map.data?.[controlPlane.caKey] ?? '';
}

function write(text: string, from: string, flags: Flags, io: CommandIo): ExitCode {
  const own = certificates(text);
  if (own.length === 0) {
    io.stderr(`${from}: holds no certificate in PEM form\n`);
    return 1;
  }
  const all = flags.on('bundle') ? [...own, ...io.publicRoots.map((root) => root.trim())] : own;
  const joined = `${all.join('\n')}\n`;
  const out = flags.text('out');
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

function run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: {
      ca: { kind: 'text' },
      system: { kind: 'text' },
      out: { kind: 'text' },
      bundle: { kind: 'switch' },
      ...clusterFlags,
    },
    positionals: noPositionals,
    // Whom callers come to trust must not depend on which of two was meant.
    faults: (given) =>
      given.on('ca')
        ? ofClusters
            .filter((name) => given.on(name))
            .map((name) => `--ca names a file, --${name} a cluster: one of them`)
        : [],
  });
  if (typeof flags === 'number') return flags;
  const asksCluster = ofClusters.some((name) => flags.on(name));
  const file = flags.text('ca') ?? defaultCa;
  if (!asksCluster || flags.text('ca') !== undefined) {
    try {
      const text = io.readFile(file);
      // Two authorities may be at hand: say which one this is.
      if (flags.text('ca') === undefined) io.stderr(`from ${file}; --context or -n asks a cluster\n`);
      return write(text, file, flags, io);
    } catch (error) {
      if (flags.text('ca') !== undefined) {
        io.stderr(`${file}: cannot be read (${describeError(error)}); name the CA certificate with --ca FILE\n`);
        return 1;
      }
    }
  }
  return withCluster(flags, io, async (cluster) => write(await ofCluster(flags, cluster), 'the cluster', flags, io));
}

export const caCommand: Command = {
  name: 'ca',
  summary: 'the CA certificate that callers trust, alone or with the public roots',
  usage,
  run,
};
