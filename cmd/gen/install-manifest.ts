import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';

const runnable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Helm: HELM, what `make cluster-build` made, or PATH; undefined where there is none. */
export function findHelm(root: string): string | undefined {
  const asked = process.env['HELM'];
  if (asked !== undefined && asked !== '') return asked;
  const built = execFileSync('bash', [join(root, 'test/cluster/build.sh'), '--bin'], { encoding: 'utf8' }).trim();
  const folders = [built, ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, 'helm')).find(runnable);
}

const namespace = 'sidegate-system';

const head = `# Sidegate without Helm: the chart with its defaults, for the namespace ${namespace}. Written by make gen.
#   kubectl apply --server-side -f manifests/install.yaml
# The image is named localhost/sidegate:…: replace it by where you pushed yours, in all its places.
`;

const own = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: namespace,
    labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
  },
};

/** The chart's objects, without hooks; written anew, so that versions of Helm make no difference. */
export function installManifest(root: string, helm: string): string {
  const rendered = execFileSync(
    helm,
    [
      ...[
        'template',
        'sidegate',
        join(root, 'charts/sidegate'),
        '--namespace',
        namespace,
        '--no-hooks',
        '--skip-tests',
      ],
      // Newer than any default that a Helm has: what is rendered must not depend on Helm's.
      ...['--kube-version', '1.36.0'],
    ],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  const objects = parseAllDocuments(rendered, { version: '1.1' }).flatMap((document) => {
    const value: unknown = document.toJS();
    return value === null ? [] : [value];
  });
  const texts = [own, ...objects].map((object) =>
    stringify(object, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false }),
  );
  return `${head}${texts.map((text) => `---\n${text}`).join('')}`;
}
