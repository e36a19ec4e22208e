import type { Duplex } from 'node:stream';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { countedLoss, namedStart, placeOf } from '../../record/index.ts';
import type { ConflictKind } from '../../record/index.ts';
import type { KnownLeaf } from '../../pki/index.ts';
import { WireError, createRecordUpReader, encodeRecordFrame, recordProtocolVersion } from '../../wire/index.ts';
import type {
  ChainPoint,
  RecordDownMessage,
  RecordGoodbyeReason,
  RecordSkip,
  RecordUpMessage,
} from '../../wire/index.ts';
import { clockSkewMs } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { Committer } from './committer.ts';
import type { Conflict } from './evidence.ts';
import type { FrameBudget } from './frame-budget.ts';
import { createHoles } from './holes.ts';
import type { IngestObserver, IngestWait } from './observer.ts';
import { LineConflict, readLines } from './read-lines.ts';
import type { LinePoint, ReadLines, SignedLine } from './read-lines.ts';
import type { Signers } from './signers.ts';

/**
 * One sidecar's stream. What comes is checked against the point where its chain stands, goes into the store in order, and is
 * acknowledged when it is on the disk. Nothing that is stored is ever changed by what comes later: what does not fit is kept
 * beside it as evidence, and ends the stream.
 */
export interface SidecarStream {
  readonly source: string;
  tick(): void;
  end(reason: RecordGoodbyeReason): void;
  /** Resolves when nothing more of it will be stored. */
  readonly done: Promise<void>;
}

export interface SidecarStreamOptions {
  readonly socket: Duplex;
  /** SPIFFE id of the certificate, and what it says. */
  readonly source: string;
  readonly namespace: string;
  readonly uid: string;
  readonly store: Pick<RecordStore, 'position' | 'lineHash'>;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: IngestObserver;
  /** By its certificate: its lines alone may say who decided what. */
  readonly isController: boolean;
  /** Whether a certificate in the record is this sidecar's. */
  readonly isOwn: (certificate: KnownLeaf) => boolean;
  readonly limits: {
    readonly heartbeatMs: number;
    readonly missedBeats: number;
    readonly maxAgeMs: number;
    readonly handshakeMs: number;
    readonly frameMs: number;
  };
  /** What its frames may hold. */
  readonly frames: Pick<FrameBudget, 'open'>;
  /** Whether its certificate counts. */
  readonly signers: Signers;
  /** Whether lines of its namespace are taken (shares.ts). */
  readonly mayTake: () => boolean;
  /** Whether it may begin this chain, of which nothing is stored. */
  readonly mayBegin: (chain: string) => boolean;
  /** Takes one of its entries of holes in this time; false: it has had them. */
  readonly mayHole: () => boolean;
  /** Takes its turn for a batch of few bytes, or one that needs what every block has beside its bytes (block-facts.ts); false: it has had them. */
  readonly maySmall: () => boolean;
  /** Takes its turn for a signature that is verified; false: it has had them. */
  readonly mayVerify: () => boolean;
  /** Takes its turn for a line that a signature names and that did not come with it: its block is read again; false: it has had them. */
  readonly mayLookUp: () => boolean;
  /** Resolves when it is on the disk, or counted. */
  readonly keepEvidence: (conflict: Conflict) => Promise<void>;
  /** Resolves when an older stream of the same pod has settled. */
  readonly onHello: () => Promise<void>;
  readonly onClosed: (reason: RecordGoodbyeReason | 'peer') => void;
}

/** A sidecar that sent nothing for so long had nothing to send: what comes then was written just before. */
const idleMs = 5_000;
/** An entry stays in the log for ever, however few lines it is of: batches below so many bytes have turns. */
const smallBytes = 16 * 1024;
/** How often it is looked whether what waits for its turn may go on. */
const lookMs = 50;

export function createSidecarStream(options: SidecarStreamOptions): SidecarStream {
  const { socket, source, store, committer, clock, observer, limits } = options;
  const openedAt = clock.monotonic();
  const done = Promise.withResolvers<void>();
  let logger = options.logger.with({ source });
  let pod: { readonly namespace: string; readonly name: string } | undefined;
  let chain: string | undefined;
  /** The last line that was checked; those up to it are stored or on their way. */
  let at: LinePoint = { sequence: 0, hash: '' };
  let heardAt = openedAt;
  let beatAt = openedAt;
  /** When the last lines of the chain came. */
  let linesAt: number | undefined;
  let clockTold = false;
  let cutTold = false;
  let closing: RecordGoodbyeReason | 'peer' | undefined;
  let closed = false;
  /** Messages are handled one after the other. */
  let work: Promise<void> = Promise.resolve();
  let queued = 0;
  /** The store is waited for. */
  let behind = false;
  /** The frame that is not whole yet: since when, and for how long its socket was read meanwhile. */
  let unfinished: { readonly at: number; readMs: number } | undefined;
  let tickedAt = openedAt;

  const write = (message: RecordDownMessage): void => {
    if (!closed && !socket.destroyed) socket.write(encodeRecordFrame(message));
  };
  const close = (reason: RecordGoodbyeReason | 'peer'): void => {
    if (closing !== undefined) return;
    closing = reason;
    holes.close();
    socket.end();
    // Who does not close in answer, or does not take what was said to it, is closed: it would count as connected for ever.
    clock.after(2_000, () => void socket.destroy());
  };
  const end = (reason: RecordGoodbyeReason): void => {
    if (closing === undefined) write({ type: 'goodbye', reason });
    close(reason);
  };
  /** Keeps what came, as evidence, and ends. */
  const conflict = async (what: ConflictKind, sequence: number, line: Uint8Array): Promise<void> => {
    observer.conflict(what);
    logger.error('a sidecar sent what does not go with its chain', { chain, what, sequence });
    await options.keepEvidence({ source, chain: chain ?? '', sequence, what, line });
    end('conflict');
  };

  /** Ends the stream where its namespace holds more than its share: its lines wait in the spool. */
  const isDeferred = (): boolean => {
    if (options.mayTake()) return false;
    observer.refused('share');
    end('unavailable');
    return true;
  };

  const onBegin = async (name: string): Promise<void> => {
    if (!(await holes.settled()) || isDeferred()) return;
    const stored = await store.position(source, name);
    // One that the controller has heard of alone is as new.
    if ((stored === undefined || stored.sequence === 0) && !options.mayBegin(name)) {
      observer.refused('chains');
      logger.error('a sidecar begins too many chains: it has to wait', { chain: name });
      return end('unavailable');
    }
    const start = namedStart(name);
    at = stored ?? { sequence: start.seq, hash: start.hash };
    chain = name;
    linesAt = undefined;
    write({ type: 'position', chain: name, sequence: at.sequence, hash: at.hash });
  };

  /** What stands in front of the chain's next line was sent before: it must be what was stored then. @returns what is new */
  const withoutKnown = async (first: number, lines: Buffer): Promise<Buffer | undefined> => {
    let from = 0;
    let last: { readonly line: Buffer; readonly sequence: number } | undefined;
    for (let sequence = first; sequence <= at.sequence && from < lines.length; sequence++) {
      const to = lines.indexOf(0x0a, from);
      if (to === -1) break;
      last = { line: lines.subarray(from, to), sequence };
      from = to + 1;
    }
    if (last === undefined) return lines;
    observer.duplicate(last.sequence - first + 1);
    // One line's hash stands for all before it.
    const stored = last.sequence === at.sequence ? at.hash : await store.lineHash(source, chain ?? '', last.sequence);
    const sent = placeOf(last.line);
    if (stored !== undefined && (sent?.seq !== last.sequence || sent.hash !== stored)) {
      await conflict('other_content', last.sequence, last.line);
      return undefined;
    }
    return lines.subarray(from);
  };

  /** Tells of a clock that is wrong: lines of a time to come, or old ones of a sidecar that had nothing else to send. */
  const checkClock = (written: number): void => {
    const [before, now] = [linesAt, clock.monotonic()];
    linesAt = now;
    const ahead = written - clock.now();
    const behind = before !== undefined && now - before >= idleMs && -ahead > clockSkewMs;
    if (ahead <= clockSkewMs && !behind) return;
    observer.clockWrong();
    if (!clockTold) logger.warn('the clock of a sidecar is wrong', { chain, aheadMs: ahead });
    clockTold = true;
  };

  /** Tells of events that the sidecar could not record, and of sessions that are not found by all that their lines say. */
  const tellLost = ({ cut, gap }: ReadLines): void => {
    if (gap > 0) {
      observer.gap(gap);
      logger.error('a sidecar could not record events: they are lost', { chain, events: gap });
    }
    if (cut === 0) return;
    observer.cut(cut);
    if (!cutTold)
      logger.warn('sessions of a sidecar are found by less than it says of them: that would be too many rows', {
        chain,
        sessions: cut,
      });
    cutTold = true;
  };

  /** Waits for the sidecar's turn, which `take` takes; it is not read meanwhile. False: the stream ended before. */
  const turn = async (take: () => boolean, why: IngestWait): Promise<boolean> => {
    for (let waits = 0; !take(); waits++) {
      if (waits === 0) observer.waited(why);
      await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
      if (closing !== undefined) return false;
    }
    return true;
  };

  /** What is wrong with a signature in the chain: it is this sidecar's, over the line that it names, by a certificate that counts. */
  const faultOf = async (
    line: SignedLine,
    name: string,
    { hashOf }: ReadLines,
  ): Promise<'signature' | 'signer' | 'later' | 'ended' | undefined> => {
    const signature = options.signers.read(line.root);
    if (signature?.chain !== name || !options.isOwn(signature.certificate)) return 'signature';
    const { sequence, over } = signature;
    const here = hashOf(sequence);
    if (here === undefined && !(await turn(options.mayLookUp, 'signatures'))) return 'ended';
    const signed = here ?? (await store.lineHash(source, name, sequence));
    // What was deleted, or never came, cannot be compared.
    if (signed !== undefined && signed !== over) return 'signature';
    const judged = await options.signers.judge(signature, line.at, source);
    return judged === 'false' ? 'signer' : judged === 'later' ? 'later' : undefined;
  };

  /** False: the stream has ended, over one that is not good or otherwise. */
  const areSigned = async (read: ReadLines, name: string): Promise<boolean> => {
    for (const [index, line] of read.signatures.entries()) {
      // A frame holds thousands: others have their turns between two of them.
      if (index > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      if (closing !== undefined || !(await turn(options.mayVerify, 'signatures'))) return false;
      const fault = await faultOf(line, name, read);
      if (fault === undefined) continue;
      if (fault === 'later') {
        observer.refused('signer');
        logger.error('a sidecar signs with a certificate from a time that the recorder’s clock has not reached', {
          chain,
        });
        end('unavailable');
      } else if (fault !== 'ended') await conflict(fault, line.sequence, line.line);
      return false;
    }
    return true;
  };

  const onEvents = async (first: number, count: number, given: Buffer): Promise<void> => {
    if (chain === undefined || pod === undefined) throw new WireError('message_unknown', 'events before begin');
    if (!(await holes.settled()) || isDeferred()) return;
    if (first > at.sequence + 1) return conflict('out_of_order', first, given.subarray(0, given.indexOf(0x0a)));
    const lines = first <= at.sequence ? await withoutKnown(first, given) : given;
    if (lines === undefined) return;
    const name = chain;
    if (lines.length === 0) return write({ type: 'ack', chain: name, sequence: at.sequence, hash: at.hash });
    const small = lines.length < smallBytes;
    if (small && !(await turn(options.maySmall, 'small'))) return;
    try {
      const read = readLines(lines, at, options.isController ? 'controller' : 'sidecar');
      if (read.last !== first + count - 1) throw new WireError('message_shape', 'events that are not as many as said');
      if (read.heavy && !small && !(await turn(options.maySmall, 'heavy'))) return;
      if (!(await areSigned(read, name))) return;
      at = { sequence: read.last, hash: read.hash, newest: read.block.newest };
      observer.received(read.block.count, lines.length);
      checkClock(read.written);
      tellLost(read);
      const { first: from, last, prev, list } = read;
      const entry = {
        type: 'block',
        at: clock.now(),
        source,
        chain: name,
        first: from,
        last,
        prev,
        hash: read.hash,
        list,
      } as const;
      acknowledge(committer.add({ entry, block: { ...read.block, pod } }), name, {
        sequence: read.last,
        hash: read.hash,
      });
    } catch (error) {
      if (!(error instanceof LineConflict)) throw error;
      await conflict(error.kind, error.sequence, error.line);
    }
  };

  const onSkip = ({ from, to, why, hash: last }: RecordSkip): void => {
    if (chain === undefined || pod === undefined) throw new WireError('message_unknown', 'a skip before begin');
    if (from !== at.sequence + 1 || to < from) throw new WireError('message_shape', 'a skip that does not follow');
    // One of them may have said that the clock stepped.
    at = { sequence: to, hash: last };
    holes.add({ from, to, hash: last, why });
  };
  const holes = createHoles(options.mayHole, (hole) => {
    if (chain === undefined || pod === undefined) return;
    const { from, to, why } = hole;
    observer.hole(countedLoss(to - from + 1));
    logger.error('a sidecar does not have lines of its record any more', { chain, from, to, why });
    const entry = { type: 'hole', at: clock.now(), source, chain, ...hole } as const;
    acknowledge(committer.add({ entry, pod }), chain, { sequence: to, hash: hole.hash });
  });

  /** Acknowledges once it is on the disk. */
  const acknowledge = (committed: Promise<void>, name: string, point: ChainPoint): void => {
    committed.then(
      () => write({ type: 'ack', chain: name, ...point }),
      // The committer has said why. The sidecar sends it again.
      () => end('unavailable'),
    );
  };

  const onMessage = async (message: RecordUpMessage, lines: Buffer): Promise<void> => {
    if (closing !== undefined) return;
    if (pod === undefined && message.type !== 'hello') throw new WireError('message_unknown', 'a message before hello');
    switch (message.type) {
      case 'hello': {
        if (pod !== undefined) throw new WireError('message_unknown', 'a second hello');
        if (message.version !== recordProtocolVersion) return end('protocol');
        if (message.pod.uid !== options.uid || message.pod.namespace !== options.namespace) {
          logger.warn('a sidecar says that it is another pod');
          observer.refused('identity');
          return end('identity');
        }
        pod = { namespace: message.pod.namespace, name: message.pod.name };
        logger = logger.with({ pod: `${pod.namespace}/${pod.name}` });
        await options.onHello();
        return write({ type: 'welcome', version: recordProtocolVersion, heartbeatMs: limits.heartbeatMs });
      }
      case 'begin':
        return onBegin(message.chain);
      case 'events':
        return onEvents(message.first, message.count, lines);
      case 'skip':
        return onSkip(message);
      case 'beat':
        return;
      case 'goodbye':
        return close('peer');
    }
  };

  const failed = (error: unknown): void => {
    const isLie = error instanceof WireError;
    if (isLie) observer.refused('protocol');
    logger.warn(isLie ? 'a sidecar broke the protocol' : 'what a sidecar sent could not be dealt with', {
      error: describeError(error),
    });
    end(isLie ? 'protocol' : 'internal');
    // What follows cannot be read.
    socket.removeAllListeners('data');
    socket.resume();
  };
  const readOn = (): void => {
    if (queued > 0 || behind || closing !== undefined || frames.waits) return;
    // Who does not take its answers is not read: they would fill the memory.
    if (socket.writableNeedDrain) return void socket.pause();
    // What comes now was sent before.
    heardAt = clock.monotonic();
    socket.resume();
  };
  const tooSlow = (reason: RecordGoodbyeReason): void => {
    observer.refused('slow');
    logger.warn('a sidecar held room for a frame for too long', { chain });
    end(reason);
  };
  const frames = options.frames.open(source, { onRoom: readOn, cut: () => tooSlow('unavailable') });
  const reader = createRecordUpReader(
    (message, lines) => {
      unfinished = undefined;
      queued++;
      work = work
        .then(() => onMessage(message, lines))
        .catch(failed)
        .then(async () => {
          queued--;
          frames.give();
          // The sidecar is read as fast as the disk takes it.
          if (committer.full) {
            behind = true;
            await committer.whenRoom();
            behind = false;
          }
          readOn();
        });
      if (queued > 1 || committer.full) socket.pause();
    },
    {
      begins(bytes) {
        unfinished = { at: clock.monotonic(), readMs: 0 };
        const waited = frames.waits;
        frames.begin(bytes);
        if (!frames.waits) return;
        if (!waited) observer.waited('memory');
        socket.pause();
      },
      leftOut() {
        unfinished = undefined;
        frames.give();
      },
    },
  );
  socket.on('data', (chunk: Buffer) => {
    if (closed || closing !== undefined) return;
    heardAt = clock.monotonic();
    try {
      reader.push(chunk);
    } catch (error) {
      failed(error);
    }
  });
  socket.on('drain', readOn);
  socket.on('end', () => close('peer'));
  socket.on('error', () => {
    closing ??= 'peer';
  });
  socket.on('close', () => {
    if (closed) return;
    closed = true;
    closing ??= 'peer';
    holes.close();
    frames.close();
    options.onClosed(closing);
    void work.then(() => committer.settled()).then(done.resolve);
  });
  socket.resume();

  return {
    source,
    end,
    done: done.promise,
    tick() {
      const now = clock.monotonic();
      if (unfinished !== undefined && !socket.isPaused()) unfinished.readMs += now - Math.max(unfinished.at, tickedAt);
      tickedAt = now;
      if (closing !== undefined) return;
      holes.tick();
      if (unfinished !== undefined && unfinished.readMs >= limits.frameMs) {
        frames.slow();
        return tooSlow('silent');
      }
      if (pod === undefined && now - openedAt >= limits.handshakeMs) return end('silent');
      if (now - heardAt >= limits.missedBeats * limits.heartbeatMs && !socket.isPaused()) return end('silent');
      if (now - openedAt >= limits.maxAgeMs) return end('age');
      if (now - beatAt >= limits.heartbeatMs) {
        beatAt = now;
        write({ type: 'beat' });
      }
    },
  };
}
