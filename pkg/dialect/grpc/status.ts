import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ReasonCode } from '../../core/index.ts';
import { reasons } from '../../core/index.ts';
import type { RefusalText } from '../dialect.ts';
import { encodeMessage, trailerFrame } from './trailers.ts';

/** Refusals in gRPC's words: a status (google.rpc.Code), and details that clients can read (google.rpc.Status, google.rpc.ErrorInfo). */

const code = {
  unknown: 2,
  invalid: 3,
  deadline: 4,
  notFound: 5,
  denied: 7,
  exhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** Where the status of HTTP does not say it. */
const own: Partial<Readonly<Record<ReasonCode, number>>> = {
  body_too_large: code.exhausted,
  header_too_large: code.exhausted,
  request_timeout: code.deadline,
  unsupported_encoding: code.unimplemented,
  unsupported_media_type: code.unimplemented,
  upstream_unreachable: code.unavailable,
  upstream_unsupported: code.unimplemented,
  upstream_error: code.unknown,
  response_too_large: code.exhausted,
};

const byHttp: Readonly<Record<number, number>> = {
  400: code.invalid,
  401: code.unauthenticated,
  403: code.denied,
  404: code.notFound,
  429: code.exhausted,
  500: code.internal,
  502: code.internal,
  503: code.unavailable,
  504: code.deadline,
};

/** @returns a number of google.rpc.Code, never OK */
export function statusOf(reason: ReasonCode): number {
  return own[reason] ?? byHttp[reasons[reason].status] ?? code.unknown;
}

const domain = 'sidegate.dev';

/** A refusal as the end of a call ({@link trailerFrame}). */
export function refusalTrailers(text: RefusalText): Buffer {
  const status = statusOf(text.code);
  return trailerFrame({
    'grpc-status': String(status),
    'grpc-message': encodeMessage(text.message),
    'grpc-status-details-bin': Buffer.from(details(status, text)).toString('base64').replace(/=+$/, ''),
  });
}

/** google.rpc.Status with one google.rpc.ErrorInfo: `reason` is the code of docs/errors.md. */
function details(status: number, { code: reason, message, rule, requestId, detail }: RefusalText): Uint8Array {
  const info = new BinaryWriter();
  info.tag(1, WireType.LengthDelimited).string(reason);
  info.tag(2, WireType.LengthDelimited).string(domain);
  for (const [key, value] of Object.entries({ request_id: requestId, rule, detail })) {
    if (value === undefined) continue;
    const entry = new BinaryWriter();
    entry.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value);
    info.tag(3, WireType.LengthDelimited).bytes(entry.finish());
  }
  const any = new BinaryWriter();
  any.tag(1, WireType.LengthDelimited).string('type.googleapis.com/google.rpc.ErrorInfo');
  any.tag(2, WireType.LengthDelimited).bytes(info.finish());
  const whole = new BinaryWriter();
  whole.tag(1, WireType.Varint).int32(status).tag(2, WireType.LengthDelimited).string(message);
  whole.tag(3, WireType.LengthDelimited).bytes(any.finish());
  return whole.finish();
}
