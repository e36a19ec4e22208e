import type { Http2Upstream, OpenCall, Upstream } from '../http/index.ts';
import { rpcHandler } from './rpc-upstream.ts';

/** A call of gRPC whose request goes on: the first message opens it, the others are written to it. */
export class RpcCall {
  /** To be sent to once: what opens the call. */
  readonly upstream: Upstream;
  #call: OpenCall | undefined;
  #over = false;
  #room: (() => void) | undefined;

  /** @param own it carries the sidecar's credential. */
  constructor(model: Http2Upstream, own: boolean) {
    const over = (): void => {
      this.#over = true;
      this.#proceed();
    };
    this.upstream = {
      send: (request, handler) => {
        const inner = rpcHandler(handler, () => this.#call?.abort(), own);
        const call = model.open(request, {
          ...inner,
          room: () => this.#proceed(),
          end() {
            over();
            inner.end();
          },
          error(error) {
            over();
            inner.error(error);
          },
        });
        this.#call = call;
        return {
          pause: () => call.pause(),
          resume: () => call.resume(),
          abort() {
            over();
            call.abort();
          },
        };
      },
      close: () => undefined,
    };
  }

  #proceed(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }

  /** Resolves when the model takes more, or will take nothing any more. */
  async write(message: Uint8Array): Promise<void> {
    if (this.#over || this.#call?.write(message) !== false) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#room = resolve;
    if (this.#isOver()) return;
    await promise;
  }

  #isOver(): boolean {
    return this.#over;
  }

  finish(): void {
    this.#call?.finish();
  }
}
