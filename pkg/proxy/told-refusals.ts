import { RefusedError } from '../core/index.ts';
import { unauthorized } from '../http/index.ts';
import type { Http2Upstream, Upstream, UpstreamHandler } from '../http/index.ts';

/** The status of gRPC that says the same as 401. */
export const unauthenticated = '16';

/** The model, with somebody who hears that it refuses a request's credential. */
export function tellingRefusals(model: Upstream, refused: () => void): Upstream {
  return {
    send: (request, handler) => model.send(request, listening(handler, refused)),
    close: () => model.close(),
  };
}

/** The same where it is spoken to over HTTP/2. */
export function tellingRpcRefusals(model: Http2Upstream, refused: () => void): Http2Upstream {
  return {
    ...tellingRefusals(model, refused),
    open: (request, handler) => model.open(request, listening(handler, refused)),
  };
}

function listening(handler: UpstreamHandler, refused: () => void): UpstreamHandler {
  return {
    head(status, headers) {
      if (status === 401 || headers['grpc-status'] === unauthenticated) refused();
      handler.head(status, headers);
    },
    bodyReleased: () => handler.bodyReleased?.(),
    data: (chunk) => handler.data(chunk),
    trailers(headers) {
      if (headers['grpc-status'] === unauthenticated) refused();
      handler.trailers?.(headers);
    },
    room: () => handler.room?.(),
    end: () => handler.end(),
    error(error) {
      if (error instanceof RefusedError && error.detail === unauthorized) refused();
      handler.error(error);
    },
  };
}
