import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { consoleAssets } from '../../pkg/recorder/index.ts';
import { findChromium, noChromium } from '../support/chromium.ts';
import { startConsoleWorld } from '../support/console-world.ts';
import { pause, until } from '../support/wait.ts';

// A link of another site: what an address asks goes on record under the name of who follows it, so nothing is asked before they say so.

type World = Awaited<ReturnType<typeof startConsoleWorld>>;
const id = 'a'.repeat(32);
const links = {
  search: '/console/?page=search&asked=&text=framed+insider+words',
  session: `/console/?page=session&id=${id}`,
  live: '/console/?namespace=framed-insider',
  policies: '/console/?page=policies',
  approvals: '/console/?page=approvals',
  login: `/console/login?to=${encodeURIComponent('/console/?page=search&asked=&text=framed+login+words')}`,
};
let world: World;
let other: Server;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  world = await startConsoleWorld({
    assets: consoleAssets,
    roles: [{ value: 'ana', role: 'Investigator', namespaces: ['*'] }],
  });
  const anchors = Object.entries(links).map(([name, path]) => `<a id="${name}" href="${world.url}${path}">cake</a>`);
  other = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end(anchors.join(' ')),
  );
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(noChromium);
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(`${world.url}/console/`);
  await page.click('main a');
  await page.fill('[name=login]', 'ana');
  await page.fill('[name=password]', 'x');
  await page.click('[type=submit]');
  await page.click('[type=submit]');
  await page.waitForSelector('#person:not(:empty)');
}, 180_000);
afterAll(async () => {
  await browser?.close();
  other?.close();
  await world?.close();
});

/** What is on record that names one of these. */
async function onRecord(words: string): Promise<number> {
  const { size } = await world.store.log();
  const found: string[] = [];
  for (let from = 0; from < size; from += 100)
    found.push(
      ...(await world.store.entries(from, 100)).map(({ text }) => text).filter((text) => text.includes(words)),
    );
  return found.length;
}
/** What the page that was opened last has asked: others go on. */
let asked: string[] = [];
async function follow(name: keyof typeof links): Promise<Page> {
  const own: string[] = [];
  asked = own;
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('request', (one) => {
    const { pathname } = new URL(one.url());
    if (/^\/console\/(v1|policies|approvals)\b/.test(pathname)) own.push(pathname);
  });
  await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
  await page.click(`#${name}`);
  await page.waitForSelector('text=Nothing was');
  return page;
}

test('to a search fills the form, and asks with Enter', async () => {
  const page = await follow('search');
  expect(await page.inputValue('#expression')).toBe("--text 'framed insider words'");
  expect(await onRecord('framed insider words')).toBe(0);
  await page.click('#expression');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.bar p');
  expect(await onRecord('framed insider words')).toBe(1);
}, 120_000);

test('to a login asks nothing where that leads', async () => {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
  await page.click('#login');
  await page.waitForSelector('[name=login], #expression');
  if ((await page.locator('[name=login]').count()) > 0) {
    await page.fill('[name=login]', 'ana');
    await page.fill('[name=password]', 'x');
    await page.click('[type=submit]');
    await page.click('[type=submit]');
  }
  await page.waitForSelector('text=Nothing was');
  expect(await onRecord('framed login words')).toBe(0);
}, 120_000);

test('to Live shows nothing of it, and asks with a click', async () => {
  const page = await follow('live');
  expect(await onRecord('framed-insider')).toBe(0);
  await page.click('text=Show this page');
  await page.waitForSelector('text=No session yet');
  expect(page.url()).toBe(`${world.url}${links.live}`);
  expect(await onRecord('framed-insider')).toBeGreaterThan(0);
}, 120_000);

test('to a session names it, and reads it with a click', async () => {
  const page = await follow('session');
  expect(asked).toEqual([]);
  await page.click('text=Show this session');
  await page.waitForSelector('.problem');
  expect(page.url()).toBe(`${world.url}${links.session}`);
  expect(asked).toEqual([`/console/v1/sessions/${id}`]);
}, 120_000);

test.each([
  ['live', '/console/v1/search'],
  ['policies', '/console/policies'],
  ['approvals', '/console/approvals'],
] as const)(
  'to %s asks nothing, however long it stands, and shows it with a click',
  async (name, first) => {
    const page = await follow(name);
    // Live asks every two seconds.
    await pause(2_500);
    expect(asked).toEqual([]);
    await page.click('text=Show this page');
    await until(() => asked.includes(first), 'the question');
    expect(page.url()).toBe(`${world.url}${links[name]}`);
    await page.goto('about:blank');
  },
  120_000,
);
