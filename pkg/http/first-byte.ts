import type { Socket } from 'node:net';
import type { Clock } from '../base/index.ts';

/** What a connection speaks, by its first byte: a TLS record of type handshake (RFC 8446 section 5.1), or a letter, as every HTTP method and the h2c preface begin. */
export type FirstByte = 'tls' | 'text' | 'other' | 'timeout';

/**
 * Looks at the first byte and puts it back. `seen` is not called where the peer goes away first. The socket is paused
 * then: TLS takes over its handle; whoever else takes it resumes it.
 */
export function lookAtFirstByte(
  socket: Socket,
  timeoutMs: number,
  clock: Clock,
  seen: (what: FirstByte) => void,
): void {
  const settle = (): void => {
    timer.cancel();
    socket.off('data', onData);
    socket.off('close', settle);
  };
  const onData = (chunk: Buffer): void => {
    settle();
    socket.pause();
    socket.unshift(chunk);
    seen(kindOf(chunk[0] ?? 0));
  };
  const timer = clock.after(timeoutMs, () => {
    settle();
    seen('timeout');
  });
  socket.on('data', onData);
  socket.on('close', settle);
}

function kindOf(byte: number): FirstByte {
  if (byte === 0x16) return 'tls';
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a ? 'text' : 'other';
}
