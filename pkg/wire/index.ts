export { createFrameReader, encodeFrame } from './frames.ts';
export type { FrameReader, FrameReaderOptions } from './frames.ts';
export { readDownMessage, readRevocations, readSnapshot } from './read-down.ts';
export { readUpMessage } from './read-up.ts';
export { refuseSocket } from './refuse.ts';
export { isBehind, newest } from './versions.ts';
export { WireError } from './wire-error.ts';
export type { WireErrorCode } from './wire-error.ts';
export {
  figuresMs,
  heartbeatMs,
  maxDownBytes,
  maxUpBytes,
  missedBeats,
  protocolVersion,
  streamPath,
  streamProtocol,
} from './messages.ts';
export type {
  Ack,
  ApprovalAskMessage,
  ApprovalClaimMessage,
  ApprovalLeaveMessage,
  ApprovalRequester,
  ApprovalStateMessage,
  ApprovalWatchMessage,
  AuditHead,
  Beat,
  CertificateMessage,
  CertificatePurpose,
  CertificateRefusal,
  CertificateRequest,
  ConfirmMessage,
  ConnectRefusal,
  DownMessage,
  Figures,
  FiguresMessage,
  Goodbye,
  GoodbyeReason,
  GrantsMessage,
  Hello,
  ImportedMessage,
  InvalidMessage,
  LimitStoreMessage,
  Nack,
  NackReason,
  PodName,
  RecorderMessage,
  RenewMessage,
  RevocationsMessage,
  SecretName,
  SecretValue,
  SecretsMessage,
  SeenVersions,
  SnapshotMessage,
  TrustMessage,
  UpMessage,
  Welcome,
} from './messages.ts';
export {
  maxListBytes,
  maxReportBytes,
  maxReported,
  mostInReport,
  podsPath,
  readPodList,
  readPodReport,
} from './pod-reports.ts';
export { isTaken } from './taken.ts';
export type { GonePod, PodHead, PodList, PodReport } from './pod-reports.ts';
export { createRecordDownReader, createRecordUpReader, encodeRecordFrame } from './record-frames.ts';
export {
  maxRecordBytes,
  maxRecordDownBytes,
  recordHeartbeatMs,
  recordPath,
  recordProtocol,
  recordProtocolVersion,
  recordWindowBytes,
} from './record-messages.ts';
export type {
  ChainPoint,
  RecordAck,
  RecordBeat,
  RecordBegin,
  RecordDownMessage,
  RecordEvents,
  RecordGoodbye,
  RecordGoodbyeReason,
  RecordHello,
  RecordPosition,
  RecordSkip,
  RecordUpMessage,
  RecordWelcome,
} from './record-messages.ts';
