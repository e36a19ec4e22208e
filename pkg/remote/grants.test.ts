import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import type { Grant } from '../core/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createRemoteGrants } from './grants.ts';
import { openStateFolder } from './state-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-grants-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const grant: Grant = {
  name: 'g',
  uid: 'u',
  issuer: 'https://idp',
  subject: 'ana',
  operations: ['Chat'],
  models: ['*'],
  from: 0,
  until: 10,
};
const clock = fakeClock();
const open = (pod = 'pod-1') =>
  createRemoteGrants({
    state: openStateFolder(folder, pod),
    clock,
    logger: silentLogger,
    onUnwritable: () => undefined,
    onStale: () => undefined,
  });
const message = (version: string, ...grants: Grant[]) =>
  ({ type: 'grants', grants, seen: { inferencegrants: version } }) as const;

test('takes the whole list, tells of it, and forgets what was revoked', () => {
  const remote = open();
  let told = 0;
  const stop = remote.source.subscribe(() => told++);
  expect(remote.source.current()).toEqual([]);
  expect(remote.source.ageMs()).toBe(Infinity);
  expect(remote.take(message('10', grant))).toBe(true);
  expect(remote.source.current()).toEqual([grant]);
  expect(remote.take(message('11'))).toBe(true);
  expect(remote.source.current()).toEqual([]);
  stop();
  remote.take(message('12', grant));
  expect(told).toBe(2);
});

test('one that lags cannot bring a revoked grant back, also not after a restart; nor one that does not say how far it is', () => {
  const first = open();
  first.take(message('9', grant));
  first.take(message('10'));
  expect(first.take(message('9', grant))).toBe(false);
  const restarted = open();
  expect(restarted.source.current()).toEqual([]);
  expect(restarted.take(message('9', grant))).toBe(false);
  expect(restarted.take({ type: 'grants', grants: [grant], seen: {} })).toBe(false);
  expect(restarted.source.current()).toEqual([]);
  expect(restarted.take(message('10', grant))).toBe(true);
  // Another pod's file is not read.
  expect(open('pod-2').take(message('1', grant))).toBe(true);
});

test('its age counts from the last word of a controller that has said its grants, whichever clock says more', () => {
  const remote = open();
  remote.take(message('1', grant));
  clock.advance(1_000);
  expect(remote.source.ageMs()).toBe(1_000);
  remote.heard(0);
  expect(remote.source.ageMs()).toBe(0);
  remote.begin();
  clock.advance(5_000);
  remote.heard(0);
  expect(remote.source.ageMs()).toBe(5_000);
  clock.step(60_000);
  expect(remote.source.ageMs()).toBe(65_000);
  clock.step(-120_000);
  expect(remote.source.ageMs()).toBe(5_000);
  remote.take(message('1', grant));
  expect(remote.source.ageMs()).toBe(0);
});

test('a controller whose own copies are old confirms no more than they do, and takes nothing from what a fresh one said', () => {
  const remote = open();
  remote.take(message('1', grant));
  clock.advance(1_000);
  remote.heard(600_000);
  expect(remote.source.ageMs()).toBe(1_000);
  remote.heard(400);
  expect(remote.source.ageMs()).toBe(400);
  remote.take(message('2', grant));
  expect(remote.source.ageMs()).toBe(400);
  remote.heard(0);
  expect(remote.source.ageMs()).toBe(0);
  const other = open('pod-2');
  other.heard(600_000);
  other.take(message('1', grant));
  expect(other.source.ageMs()).toBe(600_000);
});

test('a listener that fails does not keep the others from hearing', () => {
  const remote = open();
  let told = 0;
  remote.source.subscribe(() => {
    throw new Error('no');
  });
  remote.source.subscribe(() => told++);
  remote.take(message('1', grant));
  expect(told).toBe(1);
});
