export type {
  ImportedCertificate,
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
