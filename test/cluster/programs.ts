import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** What an API server alone needs, and what the archive of setup-envtest (KUBEBUILDER_ASSETS) holds. */
const apiServerPrograms = ['etcd', 'kube-apiserver', 'kubectl'] as const;

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The folder of the programs that `make cluster-build` made of this checkout's pins; there or not. */
export const builtPrograms = (): string =>
  execFileSync('bash', [join(import.meta.dirname, 'build.sh'), '--bin'], { encoding: 'utf8' }).trim();

/**
 * Where each program is found: KUBEBUILDER_ASSETS first, if set, then what was built.
 *
 * @throws Error that names what is missing and says how to get it.
 */
export function findPrograms(
  names: readonly string[] = apiServerPrograms,
  assets: string | undefined = process.env['KUBEBUILDER_ASSETS'],
): Readonly<Record<string, string>> {
  const folders = [...(assets === undefined || assets === '' ? [] : [assets]), builtPrograms()];
  const found = names.map((name) => [name, folders.map((one) => join(one, name)).find(runnable)] as const);
  const missing = found.flatMap(([name, path]) => (path === undefined ? [name] : []));
  if (missing.length > 0) {
    throw new Error(
      `${missing.join(', ')} not found in ${folders.join(' nor ')}: run \`make cluster-build\` (once; needs Go), ` +
        'or set KUBEBUILDER_ASSETS to a folder that holds etcd, kube-apiserver and kubectl',
    );
  }
  return Object.fromEntries(found.map(([name, path]) => [name, path ?? '']));
}
