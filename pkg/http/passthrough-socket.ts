import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RefusedError } from '../core/index.ts';
import type { PassthroughTraffic, PassthroughWatch } from './passthrough-route.ts';
import type { UpgradeRequest } from './upgrade.ts';

const handshakeAnswer = new Set([
  'connection',
  'upgrade',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
]);

/** One WebSocket on its way through `http-proxy`: counts its bytes, and ends the model's side with the caller's. */
export class WebSocketJoin implements PassthroughTraffic {
  readonly #upgrade: UpgradeRequest;
  readonly #socket: Socket;
  readonly #watch: PassthroughWatch;
  bytesIn = 0;
  bytesOut = 0;
  #sent: ClientRequest | undefined;
  #joined = false;
  #over = false;

  constructor(upgrade: UpgradeRequest, socket: Socket, watch: PassthroughWatch) {
    this.#upgrade = upgrade;
    this.#socket = socket;
    this.#watch = watch;
    upgrade.onClose(() => {
      this.#over = true;
      if (!this.#joined) this.#sent?.destroy();
    });
  }

  /** Before `http-proxy` copies the model's handshake: only what belongs to one, and no answer that is not one. */
  sends(sent: ClientRequest): void {
    this.#sent = sent;
    sent.on('upgrade', (response: IncomingMessage, model: Socket) => {
      for (const name of Object.keys(response.headers)) {
        if (!handshakeAnswer.has(name)) delete response.headers[name];
      }
      this.#join(model);
    });
    sent.on('response', (response: IncomingMessage & { upgrade?: boolean }) => {
      // `http-proxy` then leaves it alone; it would copy the head as it is, framing and cookies with it.
      response.upgrade = true;
      response.resume();
      this.failed(new RefusedError('upstream_error'));
    });
  }

  #join(model: Socket): void {
    this.#joined = true;
    this.#socket.on('data', (chunk: Buffer) => (this.bytesIn += chunk.length));
    model.on('data', (chunk: Buffer) => (this.bytesOut += chunk.length));
    model.on('error', (cause) => this.failed(new RefusedError('upstream_protocol', { cause })));
    this.#upgrade.onClose(() => {
      // What the caller said before it ended its side still goes to the model.
      if (model.writableEnded) model.destroySoon();
      else model.destroy();
    });
    if (!this.#over) this.#watch.begun?.(101, this);
  }

  failed(error: RefusedError): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#joined) this.#sent?.destroy();
    this.#watch.failed(error);
    // An answer would be read as a frame.
    if (this.#joined) this.#upgrade.destroy();
  }
}
