import { encodeFrame, isTaken } from '../../wire/index.ts';
import type { PodSnapshot, RevocationFeed } from './ports.ts';

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
      frame = isTaken(made) ? made : 'too large';
      frames.set(snapshot, frame);
    }
    return frame === 'too large' ? undefined : frame;
  };
}

/** Revocations as bytes, encoded once for all streams. Undefined: there are none to say yet, or more than a sidecar takes. */
export function createRevocationFrames(): (feed: RevocationFeed) => Buffer | undefined {
  const frames = new WeakMap<object, Buffer | 'too large'>();
  return (feed) => {
    const revocations = feed.revocations();
    if (revocations === undefined) return undefined;
    let frame = frames.get(revocations);
    if (frame === undefined) {
      const made = encodeFrame({ type: 'revocations', optional: true, revocations, seen: feed.seen() });
      frame = isTaken(made) ? made : 'too large';
      frames.set(revocations, frame);
    }
    return frame === 'too large' ? undefined : frame;
  };
}
