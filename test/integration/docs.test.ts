import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { reasons } from '../../pkg/core/index.ts';

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
