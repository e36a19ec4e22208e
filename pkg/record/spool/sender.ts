import { unlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { Duplex } from 'node:stream';
import { describeError, errorCode } from '../../base/index.ts';
import type { Clock, Logger, Timer } from '../../base/index.ts';
import {
  createRecordDownReader,
  encodeRecordFrame,
  maxRecordBytes,
  missedBeats,
  recordHeartbeatMs,
  recordProtocolVersion,
  recordWindowBytes,
} from '../../wire/index.ts';
import type {
  PodName,
  RecordDownMessage,
  RecordGoodbyeReason,
  RecordPosition,
  RecordUpMessage,
} from '../../wire/index.ts';
import { auditFiles, rotatedFiles } from '../audit-verify.ts';
import { countEvents, findPoint } from './chain-files.ts';
import type { ChainPoint, PointFound } from './chain-files.ts';
import { createChainReader } from './chain-reader.ts';
import type { ChainReader } from './chain-reader.ts';
import { chainPath, spooledChains } from './spool.ts';
import type { Spool } from './spool.ts';

/**
 * Takes the record out of the spool to the recorder: one stream, in order, again after any break, until it is acknowledged.
 * Then, and only then, files are removed.
 *
 * Only what the disk has is sent: what the recorder has acknowledged can so never be missing here after a crash of the machine.
 */
export interface RecordSender {
  /** Lines of the live chain that are not acknowledged. */
  pending(): number;
  connected(): boolean;
  /** The recorder may be somewhere else now, or there at last: tries at once. */
  kick(): void;
  /** Resolves true when all that stands in the spool now is acknowledged, false when that was not to be had in time. */
  flush(timeoutMs: number): Promise<boolean>;
  close(): void;
}

/** A closed set: for metrics. */
export type SenderEvent =
  | 'connected'
  | 'disconnected'
  | 'connect_failed'
  /** The recorder has other lines than are here, or more. */
  | 'conflict'
  | 'protocol_fault'
  /** Lines that could not be sent: they are lost. */
  | 'skipped'
  /** A chain that the recorder does not take waits, and the others go on. */
  | 'set_aside';

export interface RecordSenderOptions {
  readonly folder: string;
  readonly spool: Spool;
  /** A connection that has become a stream. Undefined: nobody has named a recorder yet. Rejects when it cannot be had. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex | undefined>;
  readonly pod: PodName;
  readonly software: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Delays between attempts. */
  readonly backoff: { next(): number; reset(): void };
  readonly onEvent?: (event: SenderEvent) => void;
  /** How long lines wait for others to go along; default 200 ms. */
  readonly lingerMs?: number;
}

interface Open {
  readonly socket: Duplex;
  readonly opened: number;
  heardAt: number;
  beatAt: number;
  chain: string | undefined;
  reader: ChainReader | undefined;
  acknowledged: number;
  /** Last number that was sent, or that the recorder said to have when the chain began on this stream. */
  sent: number;
  /** What was sent and is not acknowledged: last number and bytes of each frame. */
  flight: { readonly last: number; readonly bytes: number }[];
  /** As much is on its way as may be: what was left does not wait for others to go along. */
  more: boolean;
  /** What of the chain counts as lost, before anything else is done with it. */
  loss: Loss | undefined;
}

/** Lines of a chain that nobody writes any more, of which nobody can tell whether the recorder has them. */
interface Loss {
  readonly key: string;
  /** Undefined: they are being counted. */
  events: number | undefined;
  /** Once a gap tells of them that is on the disk. */
  readonly then: () => void;
}

const tickMs = 1_000;
/** How long a chain waits that the recorder does not take. */
const restMs = 10 * 60_000;
/** Room in a frame for its header. */
const headerBytes = 4_096;

/** Two lines of one number are here, and the recorder has one of them. */
class TwoLinesError extends Error {}

export function createRecordSender(options: RecordSenderOptions): RecordSender {
  const { folder, spool, clock, logger, backoff, lingerMs = 200 } = options;
  const onEvent = (event: SenderEvent): void => options.onEvent?.(event);
  const stopped = new AbortController();
  let open: Open | undefined;
  let retry: Timer | undefined;
  let connecting = false;
  /** Last number of the live chain that is acknowledged. */
  let acknowledged = 0;
  let told = '';
  /** Old chains that are acknowledged whole and could not be removed: what comes after them must not wait. */
  const unremoved = new Set<string>();
  /** Chains that the recorder does not take, and until when (monotonic) they are not offered again. */
  const resting = new Map<string, number>();
  const waiters = new Set<() => void>();

  const say = (problem: string, fields: Readonly<Record<string, string | number>> = {}): void => {
    // Once for each kind of trouble: a recorder that is down for a day must not fill the log.
    if (told !== problem) logger.warn(problem, fields);
    told = problem;
  };
  const schedule = (delayMs: number): void => {
    if (stopped.signal.aborted) return;
    retry?.cancel();
    retry = clock.after(delayMs, () => void attempt());
  };
  const send = (on: Open, message: RecordUpMessage, lines?: Uint8Array): void => {
    if (!on.socket.destroyed) on.socket.write(encodeRecordFrame(message, lines));
  };

  const attempt = async (): Promise<void> => {
    if (connecting || open !== undefined || stopped.signal.aborted) return;
    connecting = true;
    try {
      const socket = await options.connect(stopped.signal);
      connecting = false;
      // Who names a recorder calls `kick`.
      if (socket === undefined) return schedule(backoff.next());
      if (stopped.signal.aborted) return void socket.destroy();
      begin(socket);
    } catch (error) {
      connecting = false;
      if (stopped.signal.aborted) return;
      onEvent('connect_failed');
      say('no connection to the recorder: the record waits in the spool', { error: describeError(error) });
      schedule(backoff.next());
    }
  };

  const begin = (socket: Duplex): void => {
    const now = clock.monotonic();
    const on: Open = {
      socket,
      opened: now,
      heardAt: now,
      beatAt: now,
      chain: undefined,
      reader: undefined,
      acknowledged: 0,
      sent: 0,
      flight: [],
      more: false,
      loss: undefined,
    };
    open = on;
    onEvent('connected');
    const down = createRecordDownReader((message) => {
      if (open === on) handle(on, message);
    });
    socket.on('data', (chunk: Buffer) => {
      on.heardAt = clock.monotonic();
      try {
        down.push(chunk);
      } catch (error) {
        onEvent('protocol_fault');
        logger.error('the recorder broke the protocol', { error: describeError(error) });
        leave(on);
      }
    });
    for (const event of ['error', 'end', 'close']) socket.on(event, () => leave(on));
    send(on, { type: 'hello', version: recordProtocolVersion, pod: options.pod, software: options.software });
    socket.resume();
  };
  /** @param delayMs Until the next attempt; default by the backoff. */
  const leave = (on: Open, delayMs?: number): void => {
    if (open !== on) return;
    open = undefined;
    on.reader?.close();
    on.socket.destroy();
    onEvent('disconnected');
    schedule(delayMs ?? backoff.next());
  };

  const handle = (on: Open, message: RecordDownMessage): void => {
    switch (message.type) {
      case 'welcome':
        return nextChain(on);
      case 'position':
        return onPosition(on, message);
      case 'ack':
        if (message.chain !== on.chain || on.reader === undefined) return;
        // Files are removed by it.
        if (message.sequence > on.sent) throw new RangeError('an acknowledgement of lines that were not sent');
        return acknowledge(on, message.sequence);
      case 'beat':
        return;
      case 'goodbye':
        return onGoodbye(on, message.reason);
    }
  };
  const onGoodbye = (on: Open, reason: RecordGoodbyeReason): void => {
    if (reason === 'conflict') {
      onEvent('conflict');
      say('the recorder has another chain than this pod: what does not fit is kept there as evidence', {
        chain: on.chain ?? '',
      });
      return setAside(on);
    } else logger.info('the recorder ended the stream', { reason });
    leave(on, reason === 'age' ? 0 : undefined);
  };

  /** What one chain does not get across must not keep the others here: the next stream begins with them. */
  const setAside = (on: Open): void => {
    const { chain } = on;
    if (chain !== undefined) {
      onEvent('set_aside');
      resting.set(chain, clock.monotonic() + restMs);
    }
    leave(on);
  };
  const rests = (chain: string): boolean => (resting.get(chain) ?? -Infinity) > clock.monotonic();

  const oldChains = (): readonly string[] => spooledChains(folder).filter((one) => one !== spool.chain);
  const nextOld = (): string | undefined => oldChains().find((one) => !unremoved.has(one) && !rests(one));
  /** Chains that are not written any more go first. */
  const nextChain = (on: Open): void => {
    on.reader?.close();
    on.reader = undefined;
    on.flight = [];
    on.loss = undefined;
    try {
      on.chain = nextOld() ?? spool.chain;
    } catch (error) {
      say('the spool cannot be read', { error: describeError(error) });
      return leave(on);
    }
    // Nothing else is to be sent: it is tried again when it has rested.
    if (rests(on.chain)) return leave(on, restMs);
    send(on, { type: 'begin', chain: on.chain });
  };
  const onPosition = (on: Open, { chain, sequence, hash }: RecordPosition): void => {
    if (chain !== on.chain || on.reader !== undefined || on.loss !== undefined) return leave(on);
    const point = { sequence, hash };
    let found: PointFound;
    try {
      found = chain === spool.chain ? findLive(point) : findPoint(chainPath(folder, chain), point);
    } catch (error) {
      say('the spool cannot be read', { error: describeError(error) });
      // Nobody knows what the disk has of it: that says nothing about the recorder, and others need not wait.
      return chain === spool.chain ? leave(on) : setAside(on);
    }
    if (found === 'same') readOn(on, point);
    else loseUnknown(on, point, found);
  };
  /** @throws where it is not known what is there */
  const findLive = (point: ChainPoint): PointFound => {
    const { record } = spool;
    // It was not to be had when it was opened.
    if (!record.opened()) record.append([]);
    const head = record.head();
    if (point.sequence === 0) return 'same';
    if (point.sequence > head.seq) return 'ends';
    if (point.sequence === head.seq) return point.hash === head.hash ? 'same' : 'other';
    const found = findPoint(chainPath(folder, spool.chain), point);
    // Behind it are lines that the disk was given: that they are not there is the disk's doing.
    return found === 'ends' ? 'unreadable' : found;
  };
  const readOn = (on: Open, point: ChainPoint): void => {
    const { chain = '' } = on;
    on.sent = point.sequence;
    on.acknowledged = point.sequence;
    const reader = createChainReader({
      path: chainPath(folder, chain),
      after: point,
      maxLine: maxRecordBytes - headerBytes,
      onOther() {
        throw new TwoLinesError();
      },
    });
    on.reader = reader;
    // Before files are removed by its word: whether it has the line that is here.
    pump(on);
    if (open === on && on.reader === reader) acknowledge(on, point.sequence);
  };
  /**
   * The recorder stands where the pod has another line, or none: a disk lost what had been sent, and other lines may have been given its numbers. What
   * the recorder has stays. Of what is here nobody knows any more which it lacks: all that it has not taken from this process counts as lost, rather
   * too much than too little, and what comes is another chain. Where the disk only cannot say which line stood there, what comes before counts, and
   * what is behind is sent.
   */
  const loseUnknown = (on: Open, point: ChainPoint, found: Exclude<PointFound, 'same'>): void => {
    const { chain = '' } = on;
    const { sequence } = point;
    const isRead = found === 'unreadable';
    if (!isRead) onEvent('conflict');
    // What the recorder took of this process in this chain, it has: with all that comes before it.
    const stored = chain === spool.chain ? acknowledged : 0;
    if (chain === spool.chain) {
      spool.anew();
      acknowledged = 0;
    }
    const loss: Loss = {
      key: `${chain} ${sequence}${isRead ? '' : ' whole'}`,
      events: undefined,
      then() {
        if (isRead) return readOn(on, point);
        if (!removeAll(chainPath(folder, chain))) unremoved.add(chain);
        nextChain(on);
      },
    };
    on.loss = loss;
    countEvents(chainPath(folder, chain), stored, isRead ? sequence : Infinity).then(
      (events) => {
        logger.error('the recorder stands where this pod has another line of the chain, or none: another begins', {
          chain,
          stored: sequence,
          found,
          lost: events,
        });
        loss.events = events;
        if (open === on && on.loss === loss) pump(on);
      },
      (error: unknown) => {
        say('the spool cannot be read', { error: describeError(error) });
        if (open === on && on.loss === loss) setAside(on);
      },
    );
  };
  const tellLoss = (on: Open, { key, events, then }: Loss): void => {
    const { chain = '' } = on;
    if (events === undefined) return;
    const told = tellEnd(chain, key, events);
    if (told === 'waits') return;
    if (told === 'refused') {
      resting.set(chain, clock.monotonic() + restMs);
      return nextChain(on);
    }
    on.loss = undefined;
    then();
  };

  const acknowledge = (on: Open, sequence: number): void => {
    if (sequence < on.acknowledged && on.reader !== undefined && on.flight.length > 0) return;
    on.acknowledged = sequence;
    on.flight = on.flight.filter(({ last }) => last > sequence);
    backoff.reset();
    told = '';
    const live = on.chain === spool.chain;
    if (live) acknowledged = sequence;
    removeSent(chainPath(folder, on.chain ?? ''), live, sequence);
    for (const waiter of [...waiters]) waiter();
    // What has come since goes along with what comes: each piece is an entry of the recorder's log, for ever.
    if (on.reader !== undefined && (!live || on.more)) pump(on);
  };
  const removeSent = (path: string, live: boolean, sequence: number): void => {
    let full: readonly string[];
    try {
      full = rotatedFiles(path).filter((file) => Number(basename(file).slice(-15)) <= sequence);
    } catch (error) {
      return say('files of the spool cannot be removed', { error: describeError(error) });
    }
    // The file that is written stays, and one before it while there is nothing in it: the chain goes on from there.
    for (const file of live && sequence >= spool.record.head().seq ? full.slice(0, -1) : full) remove(file);
  };

  /** Lines at the end of an old chain that cannot be sent; undefined: not all before them was taken. @throws where the folder cannot be read */
  const unsentOf = ({ flight, acknowledged }: Open, reader: ChainReader): number | undefined =>
    flight.length === 0 && reader.sequence <= acknowledged ? reader.unreadable : undefined;
  const pump = (on: Open): void => {
    const { reader, chain } = on;
    if (open === on && on.loss !== undefined) return tellLoss(on, on.loss);
    if (open !== on || reader === undefined || chain === undefined) return;
    const live = chain === spool.chain;
    const upTo = live ? spool.record.durable().seq : Number.MAX_SAFE_INTEGER;
    let unreadable: number | undefined;
    try {
      let bytes = on.flight.reduce((sum, one) => sum + one.bytes, 0);
      while (on.flight.length === 0 || bytes < recordWindowBytes) {
        const piece = reader.next(upTo);
        on.more = piece !== undefined;
        if (piece === undefined) break;
        if (piece.kind === 'skip') {
          const { from, to, hash, why } = piece;
          on.sent = to;
          onEvent('skipped');
          logger.error('lines of the record cannot be sent: they are lost', { chain, from, to, why });
          send(on, { type: 'skip', from, to, hash, why });
          on.flight.push({ last: to, bytes: 0 });
          continue;
        }
        on.sent = piece.last.sequence;
        send(on, { type: 'events', first: piece.first, count: piece.count }, piece.bytes);
        on.flight.push({ last: piece.last.sequence, bytes: piece.bytes.length });
        bytes += piece.bytes.length;
      }
      if (!live) unreadable = unsentOf(on, reader);
    } catch (error) {
      if (error instanceof TwoLinesError) {
        onEvent('conflict');
        return setAside(on);
      }
      say('the spool cannot be read', { error: describeError(error) });
      return live ? leave(on) : setAside(on);
    }
    if (unreadable !== undefined) {
      const told = tellEnd(chain, chain, unreadable);
      if (told === 'waits') return;
      if (told === 'refused') resting.set(chain, clock.monotonic() + restMs);
      else if (!removeAll(chainPath(folder, chain))) unremoved.add(chain);
      nextChain(on);
    }
  };
  /** Losses of old chains that were counted, and the line of the live one behind which none waits: undefined: not written yet. */
  const counted = new Map<string, { readonly live: string; readonly at: number } | undefined>();
  /**
   * What stands at the end of a chain that nobody writes any more, and is no line, is a gap of the chain that is written, and so is what nobody can
   * tell of it: on the disk, before the files go that alone know of it. A process that ends in between leaves both, and the next one tells it again.
   *
   * @param key One loss is told once.
   * @returns `refused`: the gap cannot be written now; the chain waits, and the others do not
   */
  const tellEnd = (chain: string, key: string, lines: number): 'done' | 'waits' | 'refused' => {
    if (lines === 0) return 'done';
    if (!counted.has(key)) {
      onEvent('skipped');
      logger.error('lines of a chain of the record are lost', { chain, lines });
      spool.record.lose(lines);
      counted.set(key, undefined);
    }
    let told = counted.get(key);
    // The gap of a chain that was thrown away meanwhile counts among what it has lost.
    if (told === undefined || told.live !== spool.chain) {
      try {
        spool.record.append([]);
      } catch (error) {
        say('what a chain of the record has lost cannot be written yet', { chain, error: describeError(error) });
        return 'refused';
      }
      told = { live: spool.chain, at: spool.record.head().seq };
      counted.set(key, told);
    }
    return spool.record.durable().seq >= told.at ? 'done' : 'waits';
  };
  const removeAll = (path: string): boolean => {
    try {
      return auditFiles(path).map(remove).every(Boolean);
    } catch (error) {
      say('files of the spool cannot be removed', { error: describeError(error) });
      return false;
    }
  };
  const remove = (file: string): boolean => {
    try {
      unlinkSync(file);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return true;
      say('a file of the spool cannot be removed', { error: describeError(error) });
      return false;
    }
    return true;
  };

  /** Chains that have rested. */
  const offerAgain = (on: Open): void => {
    try {
      if (nextOld() !== undefined) nextChain(on);
    } catch (error) {
      say('the spool cannot be read', { error: describeError(error) });
      leave(on);
    }
  };

  const linger = clock.every(lingerMs, () => {
    if (open !== undefined) pump(open);
  });
  const tick = clock.every(tickMs, () => {
    const on = open;
    if (on === undefined) return;
    const now = clock.monotonic();
    if (now - on.heardAt >= missedBeats * recordHeartbeatMs) return leave(on);
    if (now - on.beatAt >= recordHeartbeatMs) {
      on.beatAt = now;
      send(on, { type: 'beat' });
    }
    if (on.chain === spool.chain && on.flight.length === 0 && resting.size > 0) offerAgain(on);
  });
  void attempt();

  const empty = (): boolean => {
    try {
      return acknowledged >= spool.record.head().seq && oldChains().every((one) => unremoved.has(one));
    } catch {
      // Nobody knows what is in it.
      return false;
    }
  };
  return {
    pending: () => Math.max(0, spool.record.head().seq - acknowledged),
    connected: () => open?.reader !== undefined,
    kick() {
      backoff.reset();
      if (open === undefined) schedule(0);
    },
    flush(timeoutMs) {
      if (empty()) return Promise.resolve(true);
      return new Promise((resolve) => {
        const end = (done: boolean): void => {
          waiters.delete(look);
          late.cancel();
          resolve(done);
        };
        const look = (): void => {
          if (empty()) end(true);
        };
        const late = clock.after(timeoutMs, () => end(false));
        waiters.add(look);
        if (open === undefined) schedule(0);
        else pump(open);
      });
    },
    close() {
      stopped.abort();
      retry?.cancel();
      linger.cancel();
      tick.cancel();
      const on = open;
      open = undefined;
      if (on === undefined) return;
      on.reader?.close();
      send(on, { type: 'goodbye', reason: 'shutdown' });
      on.socket.end();
      clock.after(1_000, () => void on.socket.destroy());
    },
  };
}
