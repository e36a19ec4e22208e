export { keepServingCertificate } from './serving-certificate.ts';
export type {
  ApprovalDesk,
  CertificateContent,
  CertificateOpener,
  DeskPlace,
  DeskStream,
  FigureTaker,
  GrantFeed,
  RevocationFeed,
  ImportedCertificate,
  LimitStoreAddress,
  OpenedCertificate,
  PodAnswer,
  PodDirectory,
  PodRecord,
  PodReport,
  PodSecrets,
  PodSnapshot,
  ReviewedToken,
  SignRequest,
  StreamAuthority,
  TokenReviewer,
} from './ports.ts';
export { streamLimits } from './limits.ts';
export type { StreamLimits } from './limits.ts';
export { noObserver } from './observer.ts';
export type { RefusalCause, StreamObserver } from './observer.ts';
export { createStreamServer } from './server.ts';
export type { StreamServer, StreamServerOptions } from './server.ts';
