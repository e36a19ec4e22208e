import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { CodedError } from '../../base/index.ts';
import type { Clock, Timer } from '../../base/index.ts';
import type { AnswerHead } from './answer-head.ts';
import { AnswerParser } from './answer-parser.ts';
import type { AnswerLimits } from './answer-parser.ts';

/**
 * One connection to the model: one request at a time, its head and body in one write.
 *
 * Guarantee: its user gets a head, data, and then exactly one of `complete` and `lost`, and nothing after it has left; a
 * connection carries another request only when the answer before it was whole, said so, ended by its own length, and
 * nothing stood behind it; and what comes while nobody uses it ends it.
 */

/** Who waits for the answer. */
export interface ConnectionUser {
  /** The body of the request is in the kernel's hands, or a copy of it waits for them: nobody here holds it. */
  bodySent(): void;
  answerHead(head: AnswerHead): void;
  answerBody(bytes: Buffer): void;
  answerComplete(): void;
  lost(how: Loss, cause: unknown): void;
}

/**
 * `unreachable`: there was no connection yet. `unwritten`: it had ended, and its kernel took no byte of the request. `unanswered`: it
 * stood, and ended before a byte of an answer: its server may have read the request. `broken`: it ended within an answer, or what came
 * was none.
 */
export type Loss = 'unreachable' | 'unwritten' | 'unanswered' | 'broken';

/** The pool that a connection belongs to. */
export interface ConnectionHome {
  readonly clock: Clock;
  readonly limits: AnswerLimits & { readonly connectMs: number };
  /** Where to connect. */
  readonly address: { readonly host: string; readonly port: number };
  /** Set: with TLS. */
  readonly tls: ConnectionOptions | undefined;
  /** With TLS: makes the connection that it goes over, where that is not straight to the address. */
  readonly tunnel: (() => Duplex) | undefined;
  /** The TLS session that the last connection may be resumed with, and when the certificate behind it was verified. */
  session: Buffer | undefined;
  verifiedAt: number;
  /** What a connection reads goes here first. One for all of them: it is empty again before another one reads. */
  readonly readBuffer: Buffer;
  /** Ready for another request, of which the server knows that long (milliseconds; undefined: it did not say). */
  freed(connection: Connection, keepAliveMs: number | undefined): void;
  gone(connection: Connection): void;
}

/** A resumed session shows no certificate: after so long one is asked for again, which may have ended or changed meanwhile. */
const sessionMs = 3_600_000;

/** Up to here head and body are copied together: one write costs more than the copy. */
const copiedBody = 32 * 1024;

function isBlank(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0x0d && bytes[at] !== 0x0a) return false;
  return true;
}

export class Connection {
  readonly #home: ConnectionHome;
  readonly #socket: Socket;
  readonly #parser: AnswerParser;
  readonly #connecting: Timer;
  #user: ConnectionUser | undefined;
  #head: AnswerHead | undefined;
  #ready = false;
  #used = false;
  #over = false;
  #paused = false;
  /** A byte came since the request under way was taken on. */
  #heard = false;
  /** The first write of the request under way failed at once, and whole. */
  #unwritten = false;
  /** Until when it may be used again, monotonic milliseconds: kept here for the pool. */
  idleUntil = 0;

  constructor(home: ConnectionHome) {
    this.#home = home;
    this.#parser = new AnswerParser(home.limits, this);
    const socket = this.#open();
    this.#socket = socket;
    this.#connecting = home.clock.after(home.limits.connectMs, () =>
      this.#end(new CodedError('connect_timeout', 'the connection was not made in time')),
    );
    if (home.tls !== undefined) socket.on('session', (session: Buffer) => (home.session = session));
    socket.once(home.tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#ready = true;
      this.#connecting.cancel();
      if (home.tls !== undefined && !(socket as TLSSocket).isSessionReused()) home.verifiedAt = home.clock.monotonic();
    });
    // The model's side has ended: also where ours has bytes left to write.
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(undefined));
  }

  #open(): Socket {
    const { address, tls, session, readBuffer, tunnel } = this.#home;
    const stands = session !== undefined && this.#home.clock.monotonic() - this.#home.verifiedAt < sessionMs;
    const resumed = stands ? { session } : {};
    if (tls !== undefined && tunnel !== undefined) {
      const socket = connectTls({ ...address, ...tls, ...resumed, socket: tunnel() });
      socket.on('data', (chunk: Buffer) => this.#read(chunk));
      return socket;
    }
    const options = {
      ...address,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 1000,
      onread: {
        buffer: readBuffer,
        callback: (length: number): boolean => {
          this.#read(readBuffer.subarray(0, length));
          return !this.#paused;
        },
      },
    };
    if (tls === undefined) return connectPlain(options);
    return connectTls({ ...options, ...tls, ...resumed });
  }

  /** It has carried a request before the one under way. */
  get reused(): boolean {
    return this.#used;
  }

  /** @param bodiless the answer has no body, whatever its head says. */
  send(user: ConnectionUser, head: string, body: Uint8Array | undefined, bodiless: boolean): void {
    this.#user = user;
    this.#head = undefined;
    this.#heard = false;
    this.#parser.begin(bodiless);
    this.#write(user, head, body);
    // Node tries a write at once. A part that was taken is no error: that comes later, with the rest.
    this.#unwritten = this.#socket.errored !== null;
  }

  #write(user: ConnectionUser, head: string, body: Uint8Array | undefined): void {
    const socket = this.#socket;
    if (body === undefined || body.byteLength === 0) socket.write(head, 'latin1');
    else if (body.byteLength <= copiedBody) {
      const bytes = Buffer.alloc(head.length + body.byteLength);
      bytes.write(head, 0, 'latin1');
      bytes.set(body, head.length);
      socket.write(bytes);
      user.bodySent();
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      // Said of a broken connection, too: of that one the user has left.
      socket.write(body, () => {
        if (this.#user === user) user.bodySent();
      });
      socket.uncork();
    }
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#over) this.#socket.resume();
  }

  /** At once. Its user hears nothing more. */
  destroy(): void {
    this.#user = undefined;
    this.#end(undefined);
  }

  /** At once. Its user hears that it is lost. */
  fail(cause: Error): void {
    this.#end(cause);
  }

  answerHead(head: AnswerHead): void {
    this.#head = head;
    this.#user?.answerHead(head);
  }

  answerBody(bytes: Buffer): void {
    this.#user?.answerBody(bytes);
  }

  #read(bytes: Buffer): void {
    if (this.#over) return;
    // Nobody asked for it: it would be taken for the next request's answer.
    if (this.#user === undefined) return this.#end(undefined);
    this.#heard = true;
    const read = this.#parser.push(bytes);
    if (this.#over) return;
    if (read === -1) this.#end(new CodedError('not_http', 'not an answer of HTTP/1.1'));
    else if (this.#parser.complete) {
      // What came with it and is not its own: one of the two lengths is wrong, and nobody knows which. Blank lines are let pass, as in node.
      if (isBlank(bytes, read)) this.#complete(read === bytes.length);
      else this.#end(new CodedError('more_than_an_answer', 'something stood behind the answer'));
    }
  }

  #complete(nothingBehind: boolean): void {
    const user = this.#user;
    const head = this.#head;
    this.#user = undefined;
    this.#used = true;
    this.#resumeReading();
    // An answer that came before the request was out leaves a server that may still take the rest for another request.
    const reusable = nothingBehind && head?.keepAlive === true && this.#socket.writableLength === 0;
    if (reusable) this.#home.freed(this, head.keepAliveMs);
    else this.#end(undefined);
    user?.answerComplete();
  }

  #resumeReading(): void {
    if (this.#paused) this.resume();
  }

  #ended(): void {
    if (this.#user !== undefined && this.#parser.endsWithConnection) this.#complete(false);
    else this.#end(undefined);
  }

  #end(cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#connecting.cancel();
    this.#parser.stop();
    // What could not be resumed is not tried again.
    if (!this.#ready) this.#home.session = undefined;
    this.#socket.destroy();
    this.#home.gone(this);
    const user = this.#user;
    this.#user = undefined;
    if (user === undefined) return;
    user.lost(this.#loss(), cause);
  }

  #loss(): Loss {
    if (!this.#ready) return 'unreachable';
    if (this.#heard) return 'broken';
    return this.#unwritten ? 'unwritten' : 'unanswered';
  }
}
