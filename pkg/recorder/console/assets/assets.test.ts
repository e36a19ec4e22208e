import { expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { consoleAssets } from './index.ts';

// What is true of the console's files as browsers get them. test/integration/console-browser.test.ts opens them.

const texts = new Map(consoleAssets.map(({ name, body }) => [name, body.toString()]));
const page = texts.get('index.html') ?? '';

test('all of them together are less than 60 KB when they are compressed', () => {
  expect(consoleAssets.length).toBeGreaterThan(10);
  expect(consoleAssets.reduce((total, { body }) => total + gzipSync(body).length, 0)).toBeLessThan(60_000);
});

test('each says its type, and has a tag that changes with it', () => {
  expect(consoleAssets.filter(({ type }) => type === 'application/octet-stream')).toEqual([]);
  const tags = consoleAssets.map(({ etag }) => etag);
  expect(tags.filter((tag) => !/^"[\w-]{43}"$/.test(tag))).toEqual([]);
  expect(new Set(tags).size).toBe(tags.length);
});

test('nothing makes markup or code out of text', () => {
  const ways =
    /innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|parseFromString|createContextualFragment|document\.write|\beval\b|\bFunction\(|javascript:|srcdoc/;
  expect([...texts].filter(([, text]) => ways.test(text)).map(([name]) => name)).toEqual([]);
});

test('the page has no script and no style of its own, and loads files that are there', () => {
  expect(page).not.toMatch(/<style|\bstyle=|\bon[a-z]+=/);
  const scripts = [...page.matchAll(/<script([^>]*)>([^]*?)<\/script>/g)];
  expect(scripts.map(([, , inside]) => inside)).toEqual(['']);
  const loaded = [...page.matchAll(/(?:src|href)="\/console\/assets\/([^"]+)"/g)].map(([, name = '']) => name);
  expect(loaded.filter((name) => !texts.has(name))).toEqual([]);
  const imported = [...texts.values()].flatMap((text) =>
    [...text.matchAll(/^import .* from '\.\/([^']+)';$/gm)].map(([, name = '']) => name),
  );
  expect(new Set(imported.filter((name) => !texts.has(name)))).toEqual(new Set());
  expect(new Set([...texts.keys()].filter((name) => name.endsWith('.js')))).toEqual(new Set([...imported, 'main.js']));
});

test('nothing comes from elsewhere', () => {
  const outside = [...texts].flatMap(([name, text]) =>
    [...text.matchAll(/https?:\/\/[^\s'"`…)]+/g)].map(([url]) => `${name} ${url}`),
  );
  expect(outside).toEqual(['icon.svg http://www.w3.org/2000/svg']);
});
