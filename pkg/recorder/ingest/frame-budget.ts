import type { Clock } from '../../base/index.ts';

/**
 * What frames of all streams may hold together: those that are not whole yet, by the length that they say, and whole ones until they are dealt
 * with. Where there is no room for a frame its socket is not read until there is: in the order in which they came, each sidecar up to a share of
 * its own, and who was cut for holding too long behind all others. Small frames (heartbeats) always pass and do not count.
 */
export interface FrameBudget {
  /** Of one stream. */
  open(source: string, of: FrameHolder): FrameAccount;
  /** Bytes that are held. */
  readonly held: number;
  /** Cuts those that have held what others wait for longest, as many as it takes. */
  tick(): void;
}

export interface FrameHolder {
  /** What it waited for is its own: its socket may be read. */
  onRoom(): void;
  /** It has held too long, and others wait: it ends. */
  cut(): void;
}

export interface FrameAccount {
  /** A frame of so many bytes begins. */
  begin(bytes: number): void;
  /** The oldest of its frames is dealt with. */
  give(): void;
  /** There is no room: nothing is read until {@link FrameHolder.onRoom}. */
  readonly waits: boolean;
  /** A frame of it was not whole in its time: its sidecar waits behind others for a while. */
  slow(): void;
  /** Gives all back. */
  close(): void;
}

export interface FrameBudgetOptions {
  readonly clock: Clock;
  /** Bytes of all, default 32 MiB; more than one frame may have. */
  readonly bytes?: number;
  /** Bytes of one sidecar, default 4 MiB: two of the longest frames. */
  readonly perSource?: number;
  /** How long a frame may be held where others wait, default a minute. */
  readonly holdMs?: number;
  /** Whether the store is behind, so that nobody gets on: such time does not count. */
  readonly behind?: () => boolean;
}

/** Bytes of a frame that does not count. */
const smallBytes = 4_096;
/** For so long a sidecar that was cut waits behind others. */
const slowMs = 10 * 60_000;
/** Sidecars of which that is remembered. */
const mostSlow = 10_000;

interface Frame {
  readonly bytes: number;
  /** When it had its room, by the budget's own time; undefined: it has none yet. */
  since: number | undefined;
}
interface Account extends FrameHolder {
  readonly source: string;
  readonly frames: Frame[];
  wants: number;
  cutting: boolean;
}

export function createFrameBudget(options: FrameBudgetOptions): FrameBudget {
  const { clock, bytes: most = 32 * 1024 * 1024, perSource = 4 * 1024 * 1024, holdMs = 60_000 } = options;
  const accounts = new Set<Account>();
  /** Those that wait, in their order; behind them those of sidecars that were slow. */
  const waiting = [new Set<Account>(), new Set<Account>()] as const;
  const bySource = new Map<string, number>();
  const slow = new Map<string, number>();
  let held = 0;
  /** Passes while the store takes what comes. */
  let time = 0;
  let tickedAt = clock.monotonic();

  const isSlow = (source: string): boolean => clock.monotonic() < (slow.get(source) ?? -Infinity);
  const noteSlow = (source: string): void => {
    slow.delete(source);
    slow.set(source, clock.monotonic() + slowMs);
    const [oldest] = slow.keys();
    if (slow.size > mostSlow && oldest !== undefined) slow.delete(oldest);
  };
  const move = (source: string, by: number): void => {
    held += by;
    const of = (bySource.get(source) ?? 0) + by;
    if (of > 0) bySource.set(source, of);
    else bySource.delete(source);
  };
  const leave = (account: Account): void => {
    for (const queue of waiting) queue.delete(account);
  };
  const grant = (account: Account): void => {
    leave(account);
    move(account.source, account.wants);
    account.wants = 0;
    for (const frame of account.frames) frame.since ??= time;
  };
  /** @returns those that have what they waited for */
  const serve = (): Account[] => {
    const served: Account[] = [];
    for (const queue of waiting)
      for (const account of queue) {
        if ((bySource.get(account.source) ?? 0) + account.wants > perSource) continue;
        // Who wants much is not passed over for those who want little.
        if (held + account.wants > most) return served;
        grant(account);
        served.push(account);
      }
    return served;
  };
  const serveAll = (): void => {
    for (const account of serve()) account.onRoom();
  };
  const drop = (account: Account, frame: Frame): void => {
    if (frame.since === undefined) account.wants -= frame.bytes;
    else move(account.source, -frame.bytes);
  };

  return {
    get held() {
      return held;
    },
    open(source, of) {
      const account: Account = { source, onRoom: of.onRoom, cut: of.cut, frames: [], wants: 0, cutting: false };
      accounts.add(account);
      return {
        begin(size) {
          const bytes = size <= smallBytes ? 0 : size;
          account.frames.push({ bytes, since: bytes === 0 ? time : undefined });
          if (bytes === 0) return;
          account.wants += bytes;
          waiting[isSlow(source) ? 1 : 0].add(account);
          for (const served of serve()) if (served !== account) served.onRoom();
        },
        give() {
          const frame = account.frames.shift();
          if (frame === undefined) return;
          const waited = account.wants > 0;
          drop(account, frame);
          // It was whole before there was room for it.
          if (waited && account.wants === 0) {
            leave(account);
            account.onRoom();
          }
          serveAll();
        },
        get waits() {
          return account.wants > 0;
        },
        slow: () => noteSlow(source),
        close() {
          leave(account);
          accounts.delete(account);
          for (const frame of account.frames.splice(0)) drop(account, frame);
          serveAll();
        },
      };
    },
    tick() {
      const now = clock.monotonic();
      if (options.behind?.() !== true) time += now - tickedAt;
      tickedAt = now;
      const [next] = [...waiting[0], ...waiting[1]];
      if (next === undefined) return;
      const since = ({ frames }: Account): number =>
        Math.min(...frames.map((frame) => (frame.bytes > 0 ? (frame.since ?? Infinity) : Infinity)));
      const late = [...accounts]
        .filter((account) => !account.cutting && time - since(account) >= holdMs)
        .sort((one, other) => since(one) - since(other));
      const heldBy = ({ frames }: Account): number =>
        frames.reduce((sum, { bytes, since: at }) => sum + (at === undefined ? 0 : bytes), 0);
      // Those that were cut give theirs back once their streams have ended.
      let freed = most - held + [...accounts].reduce((sum, one) => sum + (one.cutting ? heldBy(one) : 0), 0);
      for (const account of late) {
        if (freed >= next.wants) break;
        freed += heldBy(account);
        account.cutting = true;
        noteSlow(account.source);
        account.cut();
      }
    },
  };
}
