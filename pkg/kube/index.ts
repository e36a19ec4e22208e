// Public: pkg/admission, pkg/control, pkg/recorder, pkg/cli and cmd.
export { createAccessReviewer } from './access-review.ts';
export type { AccessReviewer, AskedRight, ReviewedUser } from './access-review.ts';
export { backoffMs, systemRandom } from './backoff.ts';
export type { RandomSource } from './backoff.ts';
export { cacheFaults, createCache } from './cache.ts';
export type { Cache, CacheFault, CacheOptions, CacheTimings } from './cache.ts';
export { createKubeClient } from './client.ts';
export type {
  DeleteOptions,
  KubeCall,
  KubeClient,
  KubeClientOptions,
  KubePatch,
  ListPage,
  Selection,
} from './client.ts';
export { inClusterAccess, kubeconfigAccess, serviceAccountFolder } from './credentials.ts';
export type { ClusterAccess, ClusterCredentials, InClusterOptions } from './credentials.ts';
export { createEventRecorder } from './events.ts';
export type { EventNote, EventRecorder, EventRecorderOptions, EventSubject } from './events.ts';
export { asKubeError, isConflict, isExpired, isKubeError, isNotFound, KubeError } from './kube-error.ts';
export type { KubeErrorCode } from './kube-error.ts';
export { createLease } from './lease.ts';
export type { Lease, LeaseOptions } from './lease.ts';
export { compareResourceVersions, objectKey, refOfKey, resourcePath, resources } from './objects.ts';
export type { KubeObject, KubeResource, ObjectMeta, ObjectRef, OwnerReference } from './objects.ts';
export { createQueue } from './queue.ts';
export type { Queue, QueueOptions } from './queue.ts';
export type { Change, IndexFunction } from './store.ts';
