import { parse } from 'yaml';

/** One value of the chart: its path, what it is without being set, and what it means. */
export interface ChartValue {
  readonly path: string;
  readonly fallback: unknown;
  readonly meaning: string;
}

const pattern = /^( *)([A-Za-z][A-Za-z0-9]*):/;

function at(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    values,
  );
}

/** Every value that a comment `# -- …` stands over, in the file's order. */
export function chartValues(text: string): readonly ChartValue[] {
  const values: unknown = parse(text);
  const found: ChartValue[] = [];
  const path: string[] = [];
  let meaning: string | undefined;
  for (const line of text.split('\n')) {
    const comment = /^ *# -- (.*)$/.exec(line)?.[1];
    if (comment !== undefined) meaning = comment;
    const [, indent = '', key] = pattern.exec(line) ?? [];
    if (key === undefined) continue;
    path.splice(indent.length / 2, path.length, key);
    if (meaning !== undefined) found.push({ path: path.join('.'), fallback: at(values, path), meaning });
    meaning = undefined;
  }
  return found;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** charts/sidegate/README.md. @param text values.yaml */
export function chartReadme(text: string): string {
  const rows = chartValues(text).map(
    ({ path, fallback, meaning }) => `| \`${path}\` | \`${cell(JSON.stringify(fallback))}\` | ${cell(meaning)} |`,
  );
  return `<!-- Written by make gen from values.yaml: change the comments there. -->
# The chart of Sidegate

\`\`\`sh
helm install sidegate charts/sidegate -n sidegate-system --create-namespace --wait
helm test sidegate -n sidegate-system
\`\`\`

Kubernetes 1.30 or newer, Helm 3.18 or newer. [docs/install.md](../../docs/install.md) goes through an installation step by step,
[docs/operations.md](../../docs/operations.md) through upgrade, rotation and removal. One release a cluster: names of
cluster-wide objects are fixed.

## Values

A value that is not here is refused (values.schema.json): a typo does not go unseen.

| value | default | meaning |
| --- | --- | --- |
${rows.join('\n')}

## What is never rendered

Secrets with authorities (\`sidegate-ca\`, \`sidegate-webhook-ca\`), the ConfigMap \`sidegate-trust\` and \`caBundle\` and \`path\` of the webhook
configurations belong to the running processes: a render is the same each time, and contains no key. With Argo CD or Flux, ignore
differences of \`webhooks[].clientConfig.caBundle\` and \`webhooks[].clientConfig.service.path\`.
`;
}
