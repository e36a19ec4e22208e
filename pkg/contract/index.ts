// Public: every part. Names only, no code.
export {
  annotationPrefix,
  annotations,
  containers,
  controllerAudience,
  controlPlane,
  controlPorts,
  defaultUid,
  environment,
  governedLabel,
  inferenceLabel,
  inferenceLabelValue,
  listeners,
  maxPorts,
  mountPaths,
  paths,
  portNames,
  reservedPorts,
  tokenFile,
  tokenSeconds,
  volumes,
} from './names.ts';
export type { CaptureMode } from './names.ts';
