import { encodeFrame, maxDownBytes } from '../../wire/index.ts';
import type { PodSnapshot } from './ports.ts';

/**
 * Snapshots as bytes. Pods with equal policies share an object, so a change that reaches thousands of streams is encoded once.
 * Undefined: larger than a sidecar takes.
 */
export function createSnapshotFrames(): (snapshot: PodSnapshot) => Buffer | undefined {
  const frames = new WeakMap<PodSnapshot, Buffer | 'too large'>();
  return (snapshot) => {
    let frame = frames.get(snapshot);
    if (frame === undefined) {
      const { hash, sources, policies, seen } = snapshot;
      const made = encodeFrame({ type: 'snapshot', hash, sources, policies, seen });
      frame = made.length - 4 > maxDownBytes ? 'too large' : made;
      frames.set(snapshot, frame);
    }
    return frame === 'too large' ? undefined : frame;
  };
}
