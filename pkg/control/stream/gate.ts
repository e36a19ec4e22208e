import { BoundedQueue, createBucket } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import type { StreamLimits } from './limits.ts';

/**
 * Who may begin a TLS handshake, and when: so many a second, so many under way, the others wait in their order without
 * costing more than their socket. Of one address only a few, so that one pod cannot take the turns of all.
 */
export interface Gate {
  /**
   * Calls `begin` now or at its turn. False: there is no room, and it will not be called.
   */
  enter(place: Place): boolean;
  readonly waiting: number;
  readonly busy: number;
  close(): void;
}

export interface Place {
  readonly address: string;
  /** Its turn. It is over when `done` is called, any number of times. */
  begin(done: () => void): void;
  /** It went away while it waited. */
  gone(): boolean;
}

export function createGate(clock: Clock, limits: StreamLimits): Gate {
  const bucket = createBucket(clock, limits.connectsPerSecond, limits.connectBurst);
  const queue = new BoundedQueue<Place>(limits.waiting);
  const byAddress = new Map<string, number>();
  let busy = 0;
  let timer: Timer | undefined;

  const count = (address: string, by: 1 | -1): void => {
    const next = (byAddress.get(address) ?? 0) + by;
    if (next === 0) byAddress.delete(address);
    else byAddress.set(address, next);
  };
  const begin = (place: Place): void => {
    busy++;
    let over = false;
    place.begin(() => {
      if (over) return;
      over = true;
      busy--;
      count(place.address, -1);
      pump();
    });
  };
  const dropGone = (): void => {
    for (let first = queue.peek(); first?.gone() === true; first = queue.peek()) {
      queue.shift();
      count(first.address, -1);
    }
  };
  function pump(): void {
    dropGone();
    while (queue.size > 0 && busy < limits.handshakes && bucket.take()) {
      const place = queue.shift();
      if (place !== undefined) begin(place);
      dropGone();
    }
    // Where all turns are taken, the end of one pumps.
    if (queue.size === 0 || busy >= limits.handshakes || timer !== undefined) return;
    timer = clock.after(Math.max(1, Math.ceil(bucket.waitMs())), () => {
      timer = undefined;
      pump();
    });
  }

  return {
    enter(place) {
      if ((byAddress.get(place.address) ?? 0) >= limits.perAddress || queue.full) return false;
      count(place.address, 1);
      queue.push(place);
      pump();
      return true;
    },
    get waiting() {
      return queue.size;
    },
    get busy() {
      return busy;
    },
    close() {
      timer?.cancel();
      queue.clear();
      byAddress.clear();
    },
  };
}
