/**
 * What is drawn at random for each pod at admission, so that nobody can know it who writes an image or a manifest. Injection stays
 * pure: who calls it draws.
 */
import { drawnGids } from '../contract/index.ts';
import type { Drawn, InjectOptions } from './options.ts';
import type { Pod } from './pod.ts';

/** Bytes that {@link draw} needs. */
export const drawnBytes = 20;

/** @param random {@link drawnBytes} bytes that nobody can guess */
export function draw(random: Buffer): Drawn {
  return { hookKey: random.subarray(0, 16).toString('base64url'), number: random.readUInt32BE(16) };
}

/** 128 bits. */
export const drawnHookKey = /^[A-Za-z0-9_-]{22}$/;

/** Where nothing was drawn: for looking at. The final state does not hold with it, and the sidecar does not start. */
export const shownHookKey = 'drawn-at-admission';

const range = (pod: Pod): { readonly first: number; readonly count: number } =>
  pod.spec.hostUsers === false ? drawnGids.inUserNamespace : drawnGids.inCluster;

/** The gid of the sidecar. Where nothing was drawn it is the uid, with which the final state does not hold. */
export function sidecarGid(pod: Pod, { drawn, uid }: InjectOptions): number {
  if (drawn === undefined) return uid;
  const { first, count } = range(pod);
  return first + (drawn.number % count);
}

export function isDrawnGid(pod: Pod, gid: number | null | undefined): gid is number {
  const { first, count } = range(pod);
  return typeof gid === 'number' && first <= gid && gid < first + count;
}
