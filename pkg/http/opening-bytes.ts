import type { Socket } from 'node:net';
import type { Clock } from '../base/index.ts';

/**
 * What a connection speaks, by its first bytes: `tls`, a record of type handshake (RFC 8446 section 5.1); `http2`, the whole of
 * its preface (RFC 9113 section 3.4); `http1`, any other letter, as every method begins with one; `other`; `silent`, no byte in
 * time; `slow`, the beginning of the preface and no more in time.
 */
export type Opening = 'tls' | 'http2' | 'http1' | 'other' | 'silent' | 'slow';

export interface OpeningLimits {
  /** Milliseconds from connect to the first byte. */
  readonly firstByteMs: number;
  /** Milliseconds from the first byte of what may become a preface to its last. */
  readonly prefaceMs: number;
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * Looks at the first bytes, one of them where that is enough and 24 at most, and puts all that came back. `seen` is called once, and
 * not at all where the peer goes away first. The socket is paused then: TLS takes over its handle; whoever else takes it resumes it.
 */
export function lookAtOpening(
  socket: Socket,
  limits: OpeningLimits,
  clock: Clock,
  seen: (what: Opening) => void,
): void {
  let came: Buffer | undefined;
  const stop = (): void => {
    timer.cancel();
    socket.off('data', onData);
    socket.off('close', stop);
  };
  const settle = (what: Opening): void => {
    stop();
    socket.pause();
    if (came !== undefined) socket.unshift(came);
    seen(what);
  };
  const onData = (chunk: Buffer): void => {
    const first = came === undefined;
    came = came === undefined ? chunk : Buffer.concat([came, chunk]);
    const what = openingOf(came);
    if (what !== undefined) settle(what);
    else if (first) {
      timer.cancel();
      timer = clock.after(limits.prefaceMs, () => settle('slow'));
    }
  };
  let timer = clock.after(limits.firstByteMs, () => settle('silent'));
  socket.on('data', onData);
  socket.on('close', stop);
}

/** Undefined: more bytes tell. */
function openingOf(bytes: Buffer): Opening | undefined {
  const first = bytes[0] ?? 0;
  if (first === 0x16) return 'tls';
  const length = Math.min(bytes.length, preface.length);
  if (preface.compare(bytes, 0, length, 0, length) === 0) return length === preface.length ? 'http2' : undefined;
  const letter = first | 0x20;
  return letter >= 0x61 && letter <= 0x7a ? 'http1' : 'other';
}
