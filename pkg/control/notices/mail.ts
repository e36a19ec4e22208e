import { CodedError, errorCode } from '../../base/index.ts';
import type { Secret } from '../../base/index.ts';
import type { Channel } from './channel.ts';
import { linesOf, titleOf } from './notice.ts';
import type { Notice } from './notice.ts';

export interface MailOptions {
  readonly name: string;
  /** `smtps://HOST:PORT` or `smtp://HOST:PORT`; the latter must offer STARTTLS. */
  readonly server: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  /** Read at each call. */
  readonly password: () => Secret | undefined;
  readonly ca: () => string | undefined;
}

const patienceMs = 10_000;

const textOf = (notice: Notice): string =>
  [
    titleOf(notice),
    '',
    ...linesOf(notice).map(([title, value]) => `${title}: ${value}`),
    '',
    `To decide: ${notice.link}`,
    'This message decides nothing. Whoever follows the link proves who they are.',
    '',
  ].join('\n');

/** Sends a plain text by SMTP (RFC 5321), over TLS in any case. */
export function mailChannel(options: MailOptions): Channel {
  const { name, from, to, user } = options;
  const { protocol, hostname, port } = new URL(options.server);
  return {
    name,
    async send(notice) {
      // Loaded where mail is sent: it costs memory.
      const { createTransport } = await import('nodemailer');
      const password = options.password();
      const ca = options.ca();
      const transport = createTransport({
        host: hostname,
        port: Number(port),
        secure: protocol === 'smtps:',
        requireTLS: true,
        connectionTimeout: patienceMs,
        greetingTimeout: patienceMs,
        socketTimeout: patienceMs,
        disableFileAccess: true,
        disableUrlAccess: true,
        ...(user === undefined || password === undefined ? {} : { auth: { user, pass: password.reveal() } }),
        tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
      });
      try {
        await transport.sendMail({
          from,
          to: [...to],
          subject: titleOf(notice),
          text: textOf(notice),
          // The same in each attempt, so that mail systems can tell (RFC 5322, 3.6.4).
          messageId: `<${notice.uid}@sidegate>`,
          headers: { 'auto-submitted': 'auto-generated' },
        });
        return 'sent';
      } catch (error) {
        const status = (error as { readonly responseCode?: unknown }).responseCode;
        // 5yz: it will not take it, however often it is tried (RFC 5321, 4.2.1); but a password may be on its way (535).
        if (typeof status === 'number' && status >= 500 && status !== 535) return 'refused';
        // Its own message may hold what the server said of addresses and passwords.
        throw new CodedError(
          'unreachable',
          `the mail was not taken (${typeof status === 'number' ? status : (errorCode(error) ?? 'no answer')})`,
        );
      } finally {
        transport.close();
      }
    },
  };
}
