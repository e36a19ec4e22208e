import { combination, detectorClasses, operations, profiles } from '../core/index.ts';
import type { CombinationRow, ProfileDefaults } from '../core/index.ts';
import { detectorTable } from './detector-doc.ts';
import { apiVersion, inferencePolicySchema, sharedSchemas } from './schema.ts';
import { duration, size } from './schema/values.ts';
import type { SchemaNode } from './schema-node.ts';

/** docs/policy.md, written from the schema, the combination table and the profiles: nothing in it is said twice by hand. */

/** Text in a table cell: a pipe would end it. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function code(text: string): string {
  return text.includes('`') ? text : `\`${text}\``;
}

function sharedName(node: SchemaNode | undefined): string | undefined {
  const { properties } = node ?? {};
  if (properties === undefined) return undefined;
  return Object.keys(sharedSchemas).find((name) => sharedSchemas[name]?.properties === properties);
}

function range(node: SchemaNode): string {
  if (node.minimum === undefined || node.maximum === undefined) return '';
  return node.maximum >= 1_000_000_000 ? `, at least ${node.minimum}` : `, ${node.minimum} to ${node.maximum}`;
}

function isDuration(node: SchemaNode): boolean {
  return node['x-sidegate-form']?.includes('300ms') === true;
}

function typeOf(node: SchemaNode): string {
  const shared = sharedName(node);
  if (shared !== undefined) return `[${shared}](#${shared})`;
  if (node['x-kubernetes-int-or-string'] === true) return '[size](#spelling)';
  if (node.enum !== undefined) {
    return node.enum.length > 12 ? '[name](#detectors)' : node.enum.map((one) => `\`${String(one)}\``).join(', ');
  }
  switch (node.type) {
    case 'array':
      return `list of ${node.items === undefined ? 'values' : typeOf(node.items)}`;
    case 'object':
      return node.additionalProperties === undefined ? 'object' : `map of text`;
    case 'string':
      return isDuration(node) ? '[duration](#spelling)' : 'text';
    case 'integer':
      return `whole number${range(node)}`;
    case 'boolean':
      return 'true or false';
    default:
      return 'any';
  }
}

/** A line of a table of fields. */
export interface FieldRow {
  /** From `spec`, or from the shared part. */
  readonly path: string;
  readonly node: SchemaNode;
  readonly required: boolean;
}

/** All fields below a node, depth first; shared parts and lists of them are not entered. */
function rowsOf(node: SchemaNode, path: string): FieldRow[] {
  const inner = node.items ?? node;
  const base = node.items === undefined ? path : `${path}[]`;
  return Object.entries(inner.properties ?? {}).flatMap(([name, child]): FieldRow[] => {
    const at = base === '' ? name : `${base}.${name}`;
    const row = { path: at, node: child, required: inner.required?.includes(name) === true };
    return [row, ...(sharedName(child.items ?? child) === undefined ? rowsOf(child, at) : [])];
  });
}

function defaultOf({ node, required }: FieldRow): string {
  return required ? '**required**' : (node['x-sidegate-default'] ?? '–');
}

/** What durations and sizes may be where nothing else is said. */
const usual: ReadonlySet<unknown> = new Set([duration, size].map((node) => node['x-sidegate-bounds']));

function boundsOf({ description, ...node }: SchemaNode): string {
  const bounds = node['x-sidegate-bounds'];
  if (bounds === undefined || usual.has(bounds) || description?.includes(bounds.most) === true) return '';
  return ` From ${bounds.least} to ${bounds.most}.`;
}

function meaning({ node }: FieldRow): string {
  const local = node['x-sidegate-local'] === true ? ' *Only for a sidecar that runs on its own.*' : '';
  const only = node['x-sidegate-cluster'];
  const cluster = only === undefined || only.without !== undefined ? '' : ' *Only in a cluster.*';
  return `${node.description}${boundsOf(node)}${local}${cluster}`;
}

function fieldTable(rows: readonly FieldRow[]): string[] {
  return [
    '| field | type | default | meaning | example |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map((row) => {
      const example = row.node['x-sidegate-example'];
      const cells = [
        code(row.path),
        typeOf(row.node),
        defaultOf(row),
        meaning(row),
        example === undefined ? '' : code(example),
      ];
      return `| ${cells.map(cell).join(' | ')} |`;
    }),
  ];
}

function sectionOf(name: string, node: SchemaNode): string[] {
  const nested = rowsOf(node, name);
  return [`### ${name}`, '', ...fieldTable([{ path: name, node, required: false }, ...nested]), ''];
}

function isPlain(node: SchemaNode): boolean {
  return sharedName(node) !== undefined || (node.properties === undefined && node.items?.properties === undefined);
}

/** Every field that the tables describe, by the schema that its path begins at. */
export function fieldRows(): { readonly of: SchemaNode; readonly rows: readonly FieldRow[] }[] {
  return [inferencePolicySchema, ...Object.values(sharedSchemas)].map((of) => ({ of, rows: rowsOf(of, '') }));
}

function fieldSections(): string[] {
  const fields = Object.entries<SchemaNode>(inferencePolicySchema.properties);
  const plain = fields
    .filter(([, node]) => isPlain(node))
    .map(([name, node]) => ({ path: name, node, required: false }));
  return [
    ...fieldTable(plain),
    '',
    ...fields.filter(([, node]) => !isPlain(node)).flatMap(([name, node]) => sectionOf(name, node)),
    ...Object.entries(sharedSchemas).flatMap(([name, node]) => [
      `### ${name}`,
      '',
      node.description,
      '',
      ...fieldTable(rowsOf(node, '')),
      '',
    ]),
  ];
}

function combinationSection(): string[] {
  const rows: readonly Pick<CombinationRow<never>, 'field' | 'rule'>[] = Object.values(combination);
  return [
    '| field | how several policies become one |',
    '| --- | --- |',
    ...rows.map(({ field, rule }) => `| ${field.split(', ').map(code).join(', ')} | ${cell(rule)} |`),
    '| `selector`, `namespaceSelector`, `mode` | each policy’s own, never combined |',
  ];
}

function profileValue(field: keyof ProfileDefaults, value: string | number): string {
  if (typeof value === 'string') return value;
  if (field.endsWith('Bytes')) return `${value / 1024 / 1024}Mi`;
  if (field.endsWith('Ms')) return value % 60_000 === 0 ? `${value / 60_000}m` : `${value / 1000}s`;
  return String(value);
}

function profileSection(): string[] {
  const fields = Object.keys(profiles.Standard) as (keyof ProfileDefaults)[];
  return [
    '| field | Strict | Standard | Relaxed |',
    '| --- | --- | --- | --- |',
    ...fields.map((field) => {
      const values = (['Strict', 'Standard', 'Relaxed'] as const).map((name) =>
        profileValue(field, profiles[name][field]),
      );
      return `| ${code(combination[field].field)} | ${values.join(' | ')} |`;
    }),
  ];
}

/** @param example a whole policy, as YAML. */
export function policyDoc(example: string): string {
  const lines = [
    '<!-- Written by `make gen` from pkg/crd/schema.ts and pkg/core: change those. -->',
    '# Policies',
    '',
    `An \`InferencePolicy\` (${apiVersion}) says who may do what with the models of a namespace, what is looked for in requests and`,
    'answers, who may see which data, and how much is recorded. A `ClusterInferencePolicy` has the same fields and a',
    '`namespaceSelector`: it is the platform team’s floor, which a namespace can add to and cannot weaken. A floor selects by `namespaceSelector`',
    'alone: labels of pods are the namespace’s own, so that a pod whose labels change leaves a `selector` at once.',
    '',
    'Everything is denied until a rule allows it. Check a file with `sidegate policy validate FILE`, and ask what a caller would',
    'meet with `sidegate policy explain FILE --user ana --group ml-eng --operation Chat --model llama-3-8b`; `--prompt TEXT` decides the guards too, and\n`sidegate policy test FILE --cases CASES` compares a table of such questions with what is expected, for CI.',
    '',
    '```yaml',
    example.trim(),
    '```',
    '',
    '## How a request is decided',
    '',
    '1. A `Deny` that matches wins over every `Allow`, whichever policy it stands in.',
    '2. Where policies of the namespace have access rules, one of their `Allow` rules must match. Where they have none, those of the',
    '   cluster policies are enough.',
    '3. Every cluster policy that has access rules must have an `Allow` that matches too. Its budgets are charged beside the',
    '   namespace’s own.',
    '4. Anything else is denied. A pod that no policy selects answers `no_policy` to everything.',
    '',
    'A rule matches when one of its subjects is the caller, the operation is one of its operations, the model is one of its models and',
    'the token carries all of its scopes.',
    '',
    '**Operations** are ' +
      operations.map(code).join(', ') +
      '. `Admin` changes the server (load adapters, pull or delete models);',
    '`Other` is every route that nobody has described. An `Allow` covers these two only by name; a `Deny` without operations covers',
    'them too.',
    '',
    '**Models** do not restrict operations that name none: an `Allow` for one model also allows `ListModels`, whose answer is filtered',
    'to what the caller may use, and `Health`. Rules compare the name that a request gives with their patterns. Names that mean one model at',
    'Ollama (`llama3`, `llama3:latest`, `registry.ollama.ai/library/llama3`) are one name on every route; a `Deny` holds in any letter case.',
    'Which other names mean one model (OpenAI’s dated names, aliases of a gateway) only the server knows: a `Deny` of one exact name',
    'leaves them open. What holds callers to some models is `Allow` rules that list them; where a `Deny` must, use a pattern (`gpt-4o*`).',
    '',
    '**Subjects** mean callers of the providers that the same policy declares, or that it names as `provider: cluster/POLICY/NAME`. A',
    'cluster policy’s rules never match callers of a namespace’s provider, so no namespace can make itself a member of `compliance`.',
    'Only `anyone` matches whoever calls. Where a namespace’s provider is dropped because the platform has one with the same issuer',
    'and audience, what the namespace’s policy forbids holds for the platform’s callers; what it grants does not, unless both say the',
    'same.',
    '',
    '**Observe** is each policy’s own. What an observing policy would refuse, hold or mask is recorded beside what happens, and',
    'changes nothing. Beside a policy that enforces, the single values of one that observes (TLS, limits, audit) are not used. Where every',
    'policy observes, everything passes as it came, plain HTTP too, and the model’s credential goes only with callers whom each policy with',
    'access rules would allow, in whose answers it is masked: [what holds there](security.md#observe-mode).',
    '',
    '## Fields of `spec`',
    '',
    'Without a default a field is unset, and takes no part in combining. Names of rules are unique in a policy, over `access`, `guards` and',
    '`classification` together: receipts say `POLICY/NAME`.',
    '',
    ...fieldSections(),
    '## Detectors',
    '',
    '“Behind a word” is within 48 characters after it, where no other measure is given: in any case, with a space, `_`, `-`, `.`, `/` or nothing between its',
    'parts (`NHS number`, `nhs_number`, `nhsNumber`). In JSON that is read as such (arguments of tools; lanes that',
    'begin as JSON, where `fields` are looked for) the key of a value is what stands before it: of a string or a number, and through arrays. A key makes a value',
    'more certain and never less: `{"version": "10.0.0.1"}` holds an address. A field of the',
    'answer’s or request’s own JSON, outside of its texts, is read without its key: name it in `fields`.',
    '',
    'Findings are `Possible`, `Likely` or `Certain`. Where a policy says nothing, what is `Possible` does not count, and the table says “not found” of it; `certainty` and',
    '`certaintyOf` of a guard or label say from where on detectors count for it, `allow` what is no finding for it. What a cut answer leaves unfinished counts however high that is.',
    '',
    ...detectorTable(),
    '',
    ...Object.entries(detectorClasses).map(([name, members]) => `- \`${name}\` stands for ${members.join(', ')}.`),
    '',
    '## Spelling',
    '',
    '- Durations: a whole number with `ms`, `s`, `m` or `h`: `300ms`, `30s`, `2m`, `24h`; from `1ms` to `168h` where the field does not say otherwise.',
    '- Sizes: bytes, or a whole number with `Ki`, `Mi`, `Gi` (1024) or `kB`, `MB`, `GB` (1000): `512`, `1Mi`, `1MB`; at most `1Gi` where the field does not say otherwise.',
    '- YAML 1.2, strictly: unknown fields, duplicate keys, aliases, merge keys and tags are refused. Kubernetes’ tools read YAML 1.1, where',
    '  `on`, `off`, `yes` and `no` without quotes are booleans: quote them where they are names or values.',
    '',
    '## Several policies on one pod',
    '',
    'Policies are read in one order: the platform’s first, then the oldest, then by name. What lost is named in the policy’s status',
    'and by `sidegate policy explain`.',
    '',
    ...combinationSection(),
    '',
    '## Profiles',
    '',
    'A profile fills what no policy sets, after combination. To fix the floor of these values for all namespaces, set `profile` in a',
    '`ClusterInferencePolicy`: the stricter profile wins.',
    '',
    ...profileSection(),
    '',
    '## A sidecar that runs on its own',
    '',
    'With policies from files (`make run`) there are no Secrets, and these fields name files instead. They are no part of the cluster’s',
    'resources, where the author of a policy could read the sidecar’s own files with them. Relative paths are taken from the policy',
    'file’s folder. A policy that names a Secret is refused there: the log says which field, and so does `sidegate policy validate --local`.',
    '',
    'Files are looked at every 500 ms and taken when they have been still for 50 ms: an edit is in force 0.05 to 0.55 s after it was',
    'written, and ends in that moment what it no longer allows.',
    '',
    '- `upstream.credential.file` instead of `secretRef`',
    '- `caFile` of `oidc` and `serviceAccount` instead of `caSecretRef`: authorities of the issuer’s TLS',
    '- `clientCertificate.caFile` instead of `caSecretRef`: authorities of callers’ certificates',
    '- `allowInsecureLoopback`: an issuer without TLS on a loopback address',
    '- `tls.certificate.secretName` has no other field in its place: the certificate is that of `--tls-cert` and `--tls-key`, or of `--tls-pkcs12`, else self-signed',
    '- `upstream.ports` and `upstream.hosted.url` are not read: the model is where `--upstream` says, with the authorities of `--upstream-ca`',
    '- approvers named as Kubernetes users or groups decide nothing: who decides proves it by a token',
    '- `serviceAccount` needs an `issuer`',
    '',
    'What is not read is named by the log (`policy notice`) and by `sidegate policy validate`.',
    '',
  ];
  return lines.join('\n');
}
