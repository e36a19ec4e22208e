import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { usage } from '../../cmd/sidecar/settings.ts';
import { compileSnapshot, reasons } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { checkPattern } from '../../pkg/detect/index.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('docs/errors.md', () => {
  const rows = new Map(
    [...read('docs/errors.md').matchAll(/^\| `(\w+)` \| (\d+) \| (.*?) \| (yes|no) \| (.*) \|$/gm)].map((row) => [
      row[1],
      row,
    ]),
  );

  test.each(Object.entries(reasons))('has a true row for %s', (code, reason) => {
    const row = rows.get(code);
    expect(row?.[2]).toBe(String(reason.status));
    expect(row?.[3]).toBe(reason.message);
    expect(row?.[4]).toBe(reason.retry ? 'yes' : 'no');
    expect(row?.[5]?.length).toBeGreaterThan(10);
  });

  test('has no row for a code that does not exist', () => {
    expect([...rows.keys()].filter((code) => code !== undefined && !(code in reasons))).toEqual([]);
  });
});

describe('links between documents', () => {
  const documents = [
    'README.md',
    ...readdirSync(join(root, 'docs'), { recursive: true }).map((name) => join('docs', String(name))),
  ].filter((name) => name.endsWith('.md'));

  test.each(documents)('%s links only to files that exist', (document) => {
    const links = [...read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? '');
    for (const link of links) expect(() => readFileSync(resolve(root, dirname(document), link))).not.toThrow(/ENOENT/);
  });
});

describe('what the documents tell to type', () => {
  const pages = ['README.md', 'docs/quickstart.md', 'docs/troubleshooting.md', 'docs/security.md'];
  const text = pages.map(read).join('\n');

  test('the policy of the quickstart is valid, and no part of it is without effect', () => {
    const [, yaml = ''] = /^```yaml\n([^]*?)^```/m.exec(read('docs/quickstart.md')) ?? [];
    const { policies, faults } = parsePolicies(yaml, 'policy.yaml', {
      checkPattern: (pattern, maxLength) => checkPattern(pattern, maxLength)?.message,
    });
    expect(faults).toEqual([]);
    expect(compileSnapshot(policies, { revision: 1 })).toMatchObject({ enforcing: true, notices: [] });
  });

  describe('docs/identity.md', () => {
    const blocks = [...read('docs/identity.md').matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, yaml = '']) => yaml);
    const indented = (yaml: string, by: number): string => yaml.replace(/^(?=.)/gm, ' '.repeat(by));
    const head =
      'apiVersion: sidegate.dev/v1alpha1\nkind: InferencePolicy\nmetadata: { name: p, namespace: ml }\nspec:\n';
    const whole = (yaml: string): string => {
      if (yaml.includes('kind: InferencePolicy')) return yaml;
      const spec = yaml.startsWith('# spec\n')
        ? indented(yaml, 2)
        : `  identity:\n    providers:\n${indented(yaml, 4)}`;
      return `${head}  mode: Enforce\n${spec}`;
    };
    const values = blocks.filter((yaml) => yaml.startsWith('# values.yaml'));

    test.each(blocks.filter((yaml) => !values.includes(yaml)))('is valid: %s', (yaml) => {
      const { policies, faults } = parsePolicies(whole(yaml), 'policy.yaml', { local: false });
      expect(faults).toEqual([]);
      expect(policies[0]?.spec.providers.length).toBeGreaterThan(0);
    });

    test('its values are what the chart takes', () => {
      const { properties } = JSON.parse(read('charts/sidegate/values.schema.json')) as {
        properties: { tokens: object };
      };
      const valid = new Ajv({ strict: false }).compile(properties.tokens);
      expect(values).toHaveLength(1);
      for (const yaml of values)
        expect([valid((parse(yaml) as { tokens: unknown }).tokens), valid.errors]).toEqual([true, null]);
    });
  });

  test('the values of docs/console.md are what the chart takes, and its policy is valid', () => {
    const blocks = [...read('docs/console.md').matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, yaml = '']) => yaml);
    const schema = JSON.parse(read('charts/sidegate/values.schema.json')) as object;
    const valid = new Ajv({ strict: false }).compile(schema);
    const values = blocks.filter((yaml) => yaml.startsWith('# values.yaml'));
    expect(values).toHaveLength(2);
    for (const yaml of values) expect([valid(parse(yaml)), valid.errors]).toEqual([true, null]);
    const spec = blocks.filter((yaml) => yaml.startsWith('# spec of the policy'));
    expect(spec).toHaveLength(1);
    const head =
      'apiVersion: sidegate.dev/v1alpha1\nkind: InferencePolicy\nmetadata: { name: p, namespace: ml }\nspec:\n';
    const whole = `${head}  mode: Enforce\n${spec.join('').replace(/^(?=.)/gm, '  ')}`;
    expect(parsePolicies(whole, 'policy.yaml', { local: false }).faults).toEqual([]);
  });

  test('every make target exists', () => {
    const targets = new Set([...read('Makefile').matchAll(/^([a-z-]+):/gm)].map((found) => found[1]));
    const named = [...text.matchAll(/(?:^|`)make ([a-z-]+)/gm)].map((found) => found[1]);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !targets.has(name))).toEqual([]);
  });

  test('make run tells the sidecar only what it takes', () => {
    const [, recipe = ''] = /^run:.*\n((?:\t.*\n)+)/m.exec(read('Makefile')) ?? [];
    const flags = [...recipe.matchAll(/ (--[a-z-]+) /g)].map((found) => found[1] ?? '');
    expect(flags).toEqual(['--policy', '--upstream', '--listen', '--admin', '--data', '--audit']);
    for (const flag of flags) expect(usage).toContain(`${flag} `);
  });

  test('every command of the CLI exists, and runs on the node that the project brings', () => {
    const commands = [...text.matchAll(/(\S+) dist\/kubectl-sidegate\.js (\w+)(?: (\w+))?/g)];
    expect(commands.length).toBeGreaterThan(3);
    for (const [, node, group, command] of commands) {
      expect(node?.replace('`', '')).toBe('node_modules/.bin/node');
      const file = group === 'ca' ? 'ca' : `${group}-${command}`;
      expect(() => read(`pkg/cli/${file}.ts`)).not.toThrow();
    }
  });
});

describe('docs/integrations.md', () => {
  const sections = read('docs/integrations.md').split(/^## /m);

  test.each(['KServe', 'vLLM production stack', 'NVIDIA NIM', 'Ollama'])(
    'shows how pods of %s are labelled',
    (name) => {
      const section = sections.find((one) => one.startsWith(`${name}\n`)) ?? '';
      const [, sample = ''] = /```yaml\n([\s\S]*?)```/.exec(section) ?? [];
      expect(sample).toMatch(/[lL]abels?:[\s\S]*sidegate\.dev\/inference: "true"/);
    },
  );
});
