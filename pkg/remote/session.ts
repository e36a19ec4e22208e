import type { Duplex } from 'node:stream';
import { describeError } from '../base/index.ts';
import type { Clock, Logger, Timer } from '../base/index.ts';
import {
  WireError,
  createFrameReader,
  encodeFrame,
  heartbeatMs,
  maxDownBytes,
  missedBeats,
  readDownMessage,
} from '../wire/index.ts';
import type { AuditHead, DownMessage, Goodbye, GoodbyeReason, UpMessage } from '../wire/index.ts';

/** One stream that stands: frames in, frames out, heartbeats both ways. */
export interface Session {
  send(message: UpMessage): void;
  /** Tells once more where the record stands, says goodbye and closes. */
  end(reason: GoodbyeReason): void;
  /** Resolves when it has ended: what was said before is on its way, or cannot be said. */
  readonly closed: Promise<void>;
}

export type SessionEnd =
  | { readonly kind: 'goodbye'; readonly goodbye: Goodbye }
  /** The peer broke the protocol. */
  | { readonly kind: 'protocol' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'closed' };

export interface SessionOptions {
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly auditHead: () => AuditHead | undefined;
  /** Anything but heartbeats and goodbyes. What it throws ends the stream. */
  readonly onMessage: (message: DownMessage, session: Session) => void;
  /** Bytes came. */
  readonly onHeard: () => void;
  /** Once. */
  readonly onEnd: (end: SessionEnd) => void;
}

/** How often a record that has just begun is looked at. */
const firstLookMs = 200;

export function createSession(options: SessionOptions): Session {
  const { socket, clock, logger } = options;
  let beatEvery = heartbeatMs;
  let heardAt = clock.monotonic();
  let ended = false;
  let leave: Timer | undefined;
  let beat: Timer | undefined;
  let first: Timer | undefined;
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();

  const finish = (end: SessionEnd): void => {
    if (ended) return;
    ended = true;
    beat?.cancel();
    first?.cancel();
    leave?.cancel();
    socket.destroy();
    options.onEnd(end);
    close();
  };
  const session: Session = {
    closed,
    send(message) {
      if (!ended && !socket.destroyed) socket.write(encodeFrame(message));
    },
    end(reason) {
      if (ended) return;
      // Where the recorder is away, nobody else hears what the record had in the end.
      const audit = options.auditHead();
      if (audit !== undefined) session.send({ type: 'beat', audit });
      // Written before the socket is destroyed; where it is lost, the close says the same.
      socket.end(encodeFrame({ type: 'goodbye', reason }), () => finish({ kind: 'closed' }));
      leave ??= clock.after(2_000, () => finish({ kind: 'closed' }));
    },
  };
  const onGoodbye = (goodbye: Goodbye): void => {
    const wait = goodbye.afterMs ?? 0;
    if (wait === 0) return finish({ kind: 'goodbye', goodbye });
    // Until then the controller still says what is new.
    leave ??= clock.after(wait, () => finish({ kind: 'goodbye', goodbye }));
  };
  const onMessage = (message: DownMessage | undefined): void => {
    if (message === undefined || message.type === 'beat' || ended) return;
    if (message.type === 'goodbye') return onGoodbye(message);
    if (message.type === 'welcome' && message.heartbeatMs !== beatEvery) startBeats(message.heartbeatMs);
    options.onMessage(message, session);
  };
  function startBeats(every: number): void {
    beat?.cancel();
    beatEvery = every;
    beat = clock.every(every, () => {
      if (clock.monotonic() - heardAt >= missedBeats * every) return finish({ kind: 'silent' });
      session.send({ type: 'beat', audit: options.auditHead() ?? null });
    });
  }
  const reader = createFrameReader({ maxBytes: maxDownBytes, onFrame: (root) => onMessage(readDownMessage(root)) });
  const read = (chunk: Buffer): void => {
    if (ended) return;
    heardAt = clock.monotonic();
    try {
      reader.push(chunk);
      options.onHeard();
    } catch (error) {
      logger.error('the controller broke the protocol', {
        error: error instanceof WireError ? describeError(error) : 'a message could not be handled',
      });
      finish({ kind: 'protocol' });
    }
  };
  startBeats(beatEvery);
  // Nothing of a record that has just begun is on the disk: what the stream began with says no number. The first that there is is told at once.
  if (options.auditHead()?.sequence === 0)
    first = clock.every(firstLookMs, () => {
      const audit = options.auditHead();
      if (audit === undefined || audit.sequence === 0) return;
      first?.cancel();
      session.send({ type: 'beat', audit });
    });
  socket.on('data', read);
  socket.on('error', () => finish({ kind: 'closed' }));
  socket.on('end', () => finish({ kind: 'closed' }));
  socket.on('close', () => finish({ kind: 'closed' }));
  socket.resume();
  return session;
}
