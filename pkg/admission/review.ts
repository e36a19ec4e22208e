/** AdmissionReview (admission.k8s.io/v1): what the API server asks, and what it is answered. */
import { JsonError, jsonValue, parseJson } from '../base/index.ts';

export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly group: string;
  /** `pods` */
  readonly resource: string;
  /** `exec`; empty: the object itself. */
  readonly subResource: string;
  /** Empty where the server is still to choose it. */
  readonly name: string;
  /** Empty: the object is no namespace's. */
  readonly namespace: string;
  readonly user: string;
  readonly groups: readonly string[];
  readonly dryRun: boolean;
  readonly object: unknown;
  readonly oldObject: unknown;
}

/** What is decided; {@link reviewAnswer} puts it in the API's words. */
export interface Verdict {
  readonly allowed: boolean;
  /** For whoever made the request: what, and how to fix it. */
  readonly message?: string;
  /** HTTP status of a refusal; default 403. */
  readonly status?: number;
  readonly patch?: readonly object[];
  /** Lines that kubectl prints. */
  readonly warnings?: readonly string[];
  /** For the API server's audit log; the server puts the webhook's name in front of the key. */
  readonly audit?: Readonly<Record<string, string>>;
}

export const refusal = (message: string, more: Partial<Verdict> = {}): Verdict => ({
  allowed: false,
  message,
  ...more,
});

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** Its fields; of what is no object: none. */
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] as const;

/** Values and keys of a review at most: what is nothing but small values is refused, not read. */
const mostValues = 500_000;
/** As {@link mostValues}, of a pod: a real one has some 1,000, and each is looked at in one step. */
export const mostOfPod = 50_000;

/** As the API server begins each review: what is not read to its end is answered too. */
const beginning = /^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io\/v1","request":\{"uid":"([\w-]{1,64})"/;

export interface ReadReview {
  /** Where it could be read: a refusal has to carry it too. */
  readonly uid: string | undefined;
  readonly request: AdmissionRequest | undefined;
  readonly fault: string | undefined;
}

const faulty = (fault: string, uid?: string): ReadReview => ({ uid, request: undefined, fault });

/** Never throws. @param most values and keys. */
export function readReview(body: string, most = mostValues): ReadReview {
  let value: unknown;
  try {
    value = jsonValue(parseJson(body, { maxDepth: 100, maxNodes: most }));
  } catch (error) {
    if (error instanceof JsonError && error.code === 'nodes')
      return faulty(
        `the review has more than ${most} values; fix: make do with fewer annotations, variables and fields`,
        beginning.exec(body)?.[1],
      );
    if (error instanceof JsonError) return faulty(`the review is no JSON that can be read: ${error.message}`);
    throw error;
  }
  if (!isFields(value) || !isFields(value['request'])) return faulty('the review has no request');
  const request = value['request'];
  const uid = text(request['uid']);
  if (uid === '') return faulty('the request has no uid');
  if (value['apiVersion'] !== 'admission.k8s.io/v1' || value['kind'] !== 'AdmissionReview') {
    return faulty('only AdmissionReview of admission.k8s.io/v1 is understood', uid);
  }
  const operation = operations.find((one) => one === request['operation']);
  const resource = request['resource'];
  const user = request['userInfo'];
  if (operation === undefined) return faulty('the operation is not known', uid);
  if (!isFields(resource) || text(resource['resource']) === '') return faulty('the request names no resource', uid);
  const groups =
    isFields(user) && Array.isArray(user['groups']) ? user['groups'].filter((one) => text(one) !== '') : [];
  return {
    uid,
    fault: undefined,
    request: {
      uid,
      operation,
      group: text(resource['group']),
      resource: text(resource['resource']),
      subResource: text(request['subResource']),
      name: text(request['name']),
      namespace: text(request['namespace']),
      user: isFields(user) ? text(user['username']) : '',
      groups: groups as string[],
      dryRun: request['dryRun'] === true,
      object: request['object'],
      oldObject: request['oldObject'],
    },
  };
}

/** Kubernetes cuts single warnings at some hundred characters, and drops all of them beyond 4,096. */
const longestWarning = 400;
const mostWarnings = 9;

/** The body of the answer. Always for status 200: any other is to the API server a webhook that failed. */
export function reviewAnswer(uid: string, verdict: Verdict): string {
  const { allowed, message, status = 403, patch = [], warnings = [], audit = {} } = verdict;
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(allowed ? {} : { status: { code: status, reason: status === 403 ? 'Forbidden' : 'Invalid', message } }),
      ...(allowed && patch.length > 0
        ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }
        : {}),
      ...(warnings.length === 0
        ? {}
        : { warnings: warnings.slice(0, mostWarnings).map((one) => one.slice(0, longestWarning)) }),
      ...(Object.keys(audit).length === 0 ? {} : { auditAnnotations: audit }),
    },
  });
}
