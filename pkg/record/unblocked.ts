import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** A descriptor on which a write never waits for whoever reads at the other end: it takes what there is room for, or fails with EAGAIN. */
export interface Unblocked {
  readonly fd: number;
  /** Ends what was opened for it; the descriptor that it was made of stays open. */
  close(): void;
}

/**
 * Of a descriptor that others gave to this process, such as stdout: these block as a rule, and a reader that stalls would stop the process in
 * the middle of a write. Regular files stay as they are: they have no reader.
 *
 * @throws of `fstat`, where the descriptor is not open.
 */
export function unblocked(fd: number): Unblocked {
  if (fstatSync(fd).isFile()) return { fd, close: () => undefined };
  try {
    // Opened anew (proc_pid_fd(5)), so that the mode is our own: other processes may write to the same pipe.
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { fd: own, close: () => closeSync(own) };
  } catch {
    return wrapped(fd);
  }
}

/** A socket cannot be opened anew, and not every system has /proc. What node:net wraps is put into the mode that it needs: this one. */
function wrapped(fd: number): Unblocked {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on('error', () => undefined).unref();
  return { fd, close: () => void socket.unref() };
}
