import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { hostname } from 'node:os';
import { CodedError } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import { eventText } from './event.ts';
import type { ShippedEvent, Severity } from './event.ts';
import { tooSlow } from './receiver.ts';
import type { Receiver } from './receiver.ts';

/** RFC 5424: facility 13, log audit. */
const facility = 13;
const severities: Readonly<Record<Severity, number>> = { info: 6, warning: 4, alert: 1 };

export interface SyslogOptions {
  readonly host: string;
  readonly port: number;
  /** PEM of authorities beside the public ones. */
  readonly ca: () => string | undefined;
  /** PEM of the recorder's own certificate and key, where the receiver asks for one. */
  readonly certificate: () => { readonly cert: string; readonly key: string } | undefined;
  /** Of silence. */
  readonly timeoutMs: number;
  /** For all of a batch, however well it goes: less than two thirds of a recorder's turn to ship (shared-book.ts). */
  readonly mostMs: number;
  readonly clock: Clock;
  /** How long a receiver has to close at a message that it does not take, before our side ends; default 20 ms. */
  readonly quietMs?: number;
  /** Default the machine's. */
  readonly hostname?: string;
}

/** One message of RFC 5424, framed by octet counting (RFC 5425, section 4.3.1). */
export function syslogFrame(event: ShippedEvent, host: string): Buffer {
  const { severity, at, action } = event;
  const head = `<${facility * 8 + severities[severity]}>1 ${new Date(at).toISOString()} ${host} sidegate - ${action} -`;
  const message = Buffer.from(`${head} ${eventText(event)}`);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** RFC 5424 takes 1 to 255 printable characters. */
const hostOf = (name: string): string => name.replaceAll(/[^\x21-\x7e]/g, '-').slice(0, 255) || '-';

/**
 * Syslog over TLS (RFC 5425). The protocol has no acknowledgement, so each batch has a connection of its own, whose orderly end is
 * one: the receiver closes its side when it has read to the end of ours, and a connection that it resets or closes before is a failure.
 * What a receiver that crashes had read and not yet kept is lost all the same. Nor has it a word for a message that is not taken: a receiver that will
 * not have one, as it is too long, closes the connection, each time that it comes.
 */
export function syslogReceiver(name: string, options: SyslogOptions): Receiver {
  const { clock, quietMs = leastQuietMs } = options;
  const host = hostOf(options.hostname ?? hostname());
  return {
    name,
    send: (events, signal) =>
      new Promise((resolve, reject) => {
        const began = clock.monotonic();
        const ca = options.ca();
        const socket = connect({
          host: options.host,
          port: options.port,
          // An address is no name to ask for (RFC 6066): it is looked for in the certificate all the same.
          ...(isIP(options.host) === 0 ? { servername: options.host } : {}),
          minVersion: 'TLSv1.2',
          ...(ca === undefined ? {} : { ca }),
          ...options.certificate(),
        });
        let stood = false;
        let ending = false;
        let settle: Timer | undefined;
        // A receiver that was reached says no in no other way: fewer messages may go, or all but one.
        const finish = (why: string | undefined, code = stood ? tooSlow : 'unreachable'): void => {
          settle?.cancel();
          whole.cancel();
          signal.removeEventListener('abort', aborted);
          socket.destroy();
          if (why === undefined) resolve('taken');
          else reject(new CodedError(code, `the receiver did not take the messages (${why})`));
        };
        const aborted = (): void => finish('stopped', 'unreachable');
        const whole = clock.after(options.mostMs, () => finish('too slow', tooSlow));
        signal.addEventListener('abort', aborted, { once: true });
        socket.setTimeout(options.timeoutMs, () => finish('timeout'));
        socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.name));
        socket.on('end', () => finish(ending ? undefined : 'closed too early'));
        socket.on('close', () => finish('closed'));
        socket.resume(); // what it says has no meaning
        socket.once('secureConnect', () => {
          stood = true;
          // A receiver that closes at once is seen to within a round trip, of which the handshake took two or more.
          const frames = events.map((event) => syslogFrame(event, host));
          const long = frames.some(({ length }) => length > usualLength) ? longQuietMs : 0;
          const quiet = Math.max(quietMs, long, clock.monotonic() - began);
          socket.write(Buffer.concat(frames), () => {
            settle = clock.after(quiet, () => {
              ending = true;
              socket.end();
            });
          });
        });
      }),
    close: () => undefined,
  };
}

const leastQuietMs = 20;
/** Bytes of a message beyond which a receiver may not take it: what rsyslog takes where nobody says more. It has more time to close at it. */
const usualLength = 8 * 1024;
const longQuietMs = 1_000;
