export type {
  AnswerView,
  ConversationChange,
  Dialect,
  FilePart,
  FrameView,
  JoinedLane,
  Lane,
  LaneEnds,
  LoneValue,
  RefusalText,
  RequestView,
  Route,
  SocketRoute,
  TokenLane,
  Usage,
} from './dialect.ts';
export { openai } from './openai/openai.ts';
export { describedRoutes } from './described-routes.ts';
export type { DescribedRoutes } from './described-routes.ts';
export { generic } from './generic.ts';
export { recogniseSocket } from './generic-socket.ts';
export {
  SocketRecords,
  binaryType,
  closePayload,
  readSocketRecords,
  recordOf,
  socketHead,
  socketMessages,
  socketOpcodes,
  socketRecord,
  socketType,
} from './framing/socket-messages.ts';
export type { SocketRecord } from './framing/socket-messages.ts';
export { describedServices, grpc, recogniseRpc } from './grpc/grpc.ts';
export type { DescribedServices } from './grpc/grpc.ts';
export { framed, framedChain, rpcTypes } from './grpc/framing.ts';
export { prefixBytes, readTrailers, trailerFlag, trailerFrame } from './grpc/trailers.ts';
export type { Trailers } from './grpc/trailers.ts';
export { NumberTally } from './number-tally.ts';
export type { Projected, Rpc } from './rpc.ts';
export type { DocumentBody, DocumentText } from './document.ts';
export type { FormBody, FormFile, FormText } from './form/form.ts';
export { jsonLengthHeader } from './split-body.ts';
export type { SplitBody, SplitText } from './split-body.ts';
export type { FrameMessage, FrameSplitter, StreamFrame, StreamFraming } from './framing/stream-framing.ts';
export { missing } from './framing/stream-framing.ts';
export { ndjson } from './framing/ndjson.ts';
export { sse } from './framing/sse.ts';
export { FrameShapeCache } from './frame-shape.ts';
export type { RepeatedText } from './frame-shape.ts';
export { isPageQuery } from './page-query.ts';
export { pdfsOf } from './pdf.ts';
export { strangerStep } from './place.ts';
export { maxRequestValues } from './reader.ts';
export { dialects, recognise } from './recognise.ts';
