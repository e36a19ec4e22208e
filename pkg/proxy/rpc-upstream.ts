import type { IncomingHttpHeaders } from 'node:http';
import { RefusedError } from '../core/index.ts';
import { trailerFrame } from '../dialect/index.ts';
import type { Http2Upstream, Upstream, UpstreamHandler } from '../http/index.ts';
import { isRpcType } from './rpc-exchange.ts';
import { unauthenticated } from './told-refusals.ts';

/**
 * A model's calls of gRPC as answers that end with a frame of their own for the trailers: so what reads streams reads them, too.
 *
 * @param own they carry the sidecar's credential.
 */
export function rpcUpstream(model: Http2Upstream, own: boolean): Upstream {
  return {
    send(request, handler) {
      const call = model.send(
        request,
        rpcHandler(handler, () => call.abort(), own),
      );
      return call;
    },
    close: () => model.close(),
  };
}

/**
 * @param abort ends the call: what comes is no answer of gRPC, or is none to its caller.
 * @param own it carries the sidecar's credential: that the model refuses it is no fault of the caller's.
 */
export function rpcHandler(handler: UpstreamHandler, abort: () => void, own: boolean): UpstreamHandler {
  let refused = false;
  const refuses = (headers: IncomingHttpHeaders, status = 200): boolean => {
    if (!own || (headers['grpc-status'] !== unauthenticated && status !== 401 && status !== 407)) return false;
    refused = true;
    abort();
    handler.error(new RefusedError('upstream_error', { detail: 'credential' }));
    return true;
  };
  return {
    head(status, headers) {
      if (refuses(headers, status)) return;
      if (status !== 200 || !isRpcType(headers['content-type'])) {
        abort();
        return handler.error(new RefusedError('upstream_protocol', { detail: 'not grpc' }));
      }
      handler.head(status, withoutOwn(headers));
      // An answer of trailers alone has them in its head.
      if (headers['grpc-status'] !== undefined) handler.data(endOf(headers));
    },
    bodyReleased: () => handler.bodyReleased?.(),
    data: (chunk) => handler.data(chunk),
    trailers(headers) {
      if (!refuses(headers)) handler.data(endOf(headers));
    },
    room: () => handler.room?.(),
    end() {
      if (!refused) handler.end(); // comes behind trailers in any case
    },
    error: (error) => handler.error(error),
  };
}

/** Of a model's trailers its status and message: all else would be text that nobody reads. */
function endOf(headers: IncomingHttpHeaders): Buffer {
  const status = String(headers['grpc-status'] ?? '');
  const message = String(headers['grpc-message'] ?? '');
  return trailerFrame({ 'grpc-status': status, ...(message !== '' && { 'grpc-message': message }) });
}

function withoutOwn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('grpc-')));
}
