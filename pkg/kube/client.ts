import type { Clock, JsonValue } from '../base/index.ts';
import { systemClock } from '../base/index.ts';
import { createConnection } from './connection.ts';
import type { Exchange } from './connection.ts';
import type { ClusterAccess } from './credentials.ts';
import { isNotFound, KubeError, refusedError } from './kube-error.ts';
import { resourcePath } from './objects.ts';
import type { KubeObject, KubeResource, ObjectRef } from './objects.ts';
import { listPages } from './pages.ts';
import type { ListPage, PageSource, Selection } from './pages.ts';
import { answerBound, metadataBound, pageBound, parseBody, readBody } from './read-body.ts';
import type { BodyBound } from './read-body.ts';

export interface KubeCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The API's own, with its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Default `application/json`. */
  readonly accept?: string;
  /** More of them, for what stands behind a proxy verb. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Milliseconds until the answer begins; default 15 s. */
  readonly timeoutMs?: number;
}

/** What a patch is, explicitly: servers and libraries differ in what they take where nothing is said. */
export type KubePatch =
  /** RFC 7396. */
  | { readonly type: 'merge'; readonly body: object }
  /** RFC 6902. */
  | { readonly type: 'json'; readonly body: readonly object[] }
  /** Server-side apply. `force`: take fields over from other managers; default false. */
  | { readonly type: 'apply'; readonly body: object; readonly fieldManager: string; readonly force?: boolean };

export interface DeleteOptions {
  /** The object must be this one, else 409. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly graceSeconds?: number;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
}

/**
 * The Kubernetes API, typed by who calls: objects are trusted to be what the server's schema says. Every call has a time limit;
 * nothing is retried (but once, where the token was rotated), so that whoever calls decides. Bodies are never logged.
 */
export interface KubeClient extends PageSource {
  /** Any call; undefined where the answer has no body. @throws KubeError unless the status is 2xx. */
  request(call: KubeCall): Promise<JsonValue | undefined>;
  get<T extends KubeObject>(resource: KubeResource, ref: ObjectRef, subresource?: string): Promise<T>;
  /** As `get`, and undefined where there is none. */
  find<T extends KubeObject>(resource: KubeResource, ref: ObjectRef): Promise<T | undefined>;
  /** All of them, in pages. @throws KubeError, `too_large` for one object beyond a page. For what may be many, use a cache. */
  list<T extends KubeObject>(resource: KubeResource, selection?: Selection): Promise<readonly T[]>;
  /**
   * @param at namespace of a namespaced object; with `name`, the object whose `subresource` is made (`token` of a service account).
   */
  create<T extends object>(
    resource: KubeResource,
    body: object,
    at?: Partial<ObjectRef> & { readonly subresource?: string },
  ): Promise<T>;
  /** Fails with 409 where `metadata.resourceVersion` of the body is not the newest. */
  replace<T extends KubeObject>(resource: KubeResource, body: T, subresource?: string): Promise<T>;
  patch<T extends KubeObject>(
    resource: KubeResource,
    ref: ObjectRef,
    patch: KubePatch,
    subresource?: string,
  ): Promise<T>;
  /** Does not mind if there is none. */
  delete(resource: KubeResource, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** Opens a watch; its body must be read or destroyed. For {@link createCache}. */
  watch(path: string, options: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<Exchange>;
  /** What time it is by the API server's clock, as its last answer said; epoch milliseconds, to a second or two. Undefined: none has said. */
  serverTime(): number | undefined;
  close(): void;
}

export interface KubeClientOptions {
  readonly access: ClusterAccess;
  /** Default the system's. */
  readonly clock?: Clock;
  /** What the API server's own audit log shows; default `sidegate`. */
  readonly userAgent?: string;
  /** Default for `KubeCall.timeoutMs`. */
  readonly timeoutMs?: number;
  /** Called once for each call that ends, for metrics. `status` 0: no answer. */
  readonly onCall?: (call: { readonly method: string; readonly plural: string; readonly status: number }) => void;
}

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const metadataType = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** Characters of an answer that is parsed at once. */
const smallAnswer = 64 * 1024;
/** Objects of a page. */
const pageLimit = 250;

export function selectionQuery({ labelSelector, fieldSelector }: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
  return query;
}

/** `pods` of `/api/v1/namespaces/ml/pods/llama/status?…`: for metrics, where names must not stand. */
function pluralOf(path: string): string {
  const parts = (path.split('?', 1)[0] ?? '').split('/').slice(1);
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  return (rest[0] === 'namespaces' && rest.length > 2 ? rest[2] : rest[0]) ?? 'none';
}

interface ListBody<T> {
  readonly items?: readonly T[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { access, clock = systemClock, timeoutMs = 15_000, onCall } = options;
  const connection = createConnection(access, clock, options.userAgent ?? 'sidegate');

  /** What is parsed together is in memory together: many copies may be filled at once. */
  let parsed: Promise<unknown> = Promise.resolve();
  const parseInTurn = (text: string, bound: BodyBound): Promise<JsonValue> => {
    // A lease's answer does not wait behind pages.
    if (text.length <= smallAnswer) return Promise.resolve().then(() => parseBody(text, bound));
    const turn = parsed.then(() => parseBody(text, bound));
    // The value itself is not kept here.
    parsed = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  };

  let server: { readonly date: number; readonly heardAt: number } | undefined;
  const bounded = async (call: KubeCall, bound: BodyBound): Promise<JsonValue | undefined> => {
    const limit = call.timeoutMs ?? timeoutMs;
    let status = 0;
    try {
      const exchange = await connection.open({
        method: call.method,
        path: call.path,
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        contentType: call.contentType,
        accept: call.accept,
        headers: call.headers,
        signal: call.signal,
        headMs: limit,
      });
      status = exchange.status;
      if (exchange.date !== undefined) server = { date: exchange.date, heardAt: clock.monotonic() };
      const text = await readBody(exchange.body, clock, limit, bound);
      const good = status >= 200 && status <= 299;
      // A proxy in between may refuse in words.
      const body =
        text === ''
          ? undefined
          : good
            ? await parseInTurn(text, bound)
            : await parseInTurn(text, bound).catch(() => undefined);
      if (!good) throw refusedError(status, body, exchange.retryAfterMs);
      return body;
    } finally {
      onCall?.({ method: call.method, plural: pluralOf(call.path), status });
    }
  };
  const request: KubeClient['request'] = (call) => bounded(call, answerBound);
  const object = async <T>(call: KubeCall, bound = answerBound): Promise<T> => {
    const body = await bounded(call, bound);
    if (body === null || typeof body !== 'object' || Array.isArray(body)) {
      throw new KubeError('bad_answer', 'the API server sent no object');
    }
    return body as T;
  };

  const page: KubeClient['page'] = async <T extends KubeObject>(
    ...[resource, selection, { limit, continueToken, signal, metadataOnly = false }]: Parameters<KubeClient['page']>
  ): Promise<ListPage<T>> => {
    const query = selectionQuery(selection);
    query.set('limit', String(limit));
    if (continueToken !== undefined) query.set('continue', continueToken);
    const path = resourcePath(resource, { namespace: selection.namespace });
    const body = await object<ListBody<T>>(
      {
        method: 'GET',
        path: `${path}?${query.toString()}`,
        ...(signal !== undefined && { signal }),
        ...(metadataOnly && { accept: metadataType }),
        timeoutMs: Math.max(timeoutMs, 30_000),
      },
      metadataOnly ? metadataBound : pageBound,
    );
    const { resourceVersion, continue: next } = body.metadata ?? {};
    if (resourceVersion === undefined || resourceVersion === '') {
      throw new KubeError('bad_answer', 'a list of the API server has no resourceVersion');
    }
    return { items: body.items ?? [], resourceVersion, continueToken: next === '' ? undefined : next };
  };

  return {
    request,
    page,
    get: (resource, ref, subresource) => object({ method: 'GET', path: resourcePath(resource, ref, subresource) }),
    serverTime: () => server && server.date + (clock.monotonic() - server.heardAt),
    async find<T extends KubeObject>(resource: KubeResource, ref: ObjectRef): Promise<T | undefined> {
      try {
        return await object<T>({ method: 'GET', path: resourcePath(resource, ref) });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    async list<T extends KubeObject>(resource: KubeResource, selection: Selection = {}): Promise<readonly T[]> {
      const items: T[] = [];
      for await (const got of listPages<T>({ page }, resource, selection, { limit: pageLimit }))
        items.push(...got.items);
      return items;
    },
    create: (resource, body, at = {}) =>
      object({ method: 'POST', path: resourcePath(resource, at, at.subresource), body }),
    replace: (resource, body, subresource) =>
      object({ method: 'PUT', path: resourcePath(resource, body.metadata, subresource), body }),
    patch(resource, ref, patch, subresource) {
      const query = new URLSearchParams();
      if (patch.type === 'apply') {
        query.set('fieldManager', patch.fieldManager);
        if (patch.force === true) query.set('force', 'true');
      }
      const path = resourcePath(resource, ref, subresource);
      return object({
        method: 'PATCH',
        path: query.size === 0 ? path : `${path}?${query.toString()}`,
        body: patch.body,
        contentType: patchTypes[patch.type],
      });
    },
    async delete(resource, ref, { uid, resourceVersion, graceSeconds, propagation } = {}) {
      const preconditions =
        uid === undefined && resourceVersion === undefined
          ? undefined
          : { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
      try {
        await request({
          method: 'DELETE',
          path: resourcePath(resource, ref),
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            ...(preconditions !== undefined && { preconditions }),
            ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
            ...(propagation !== undefined && { propagationPolicy: propagation }),
          },
        });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
    async watch(path, { signal, timeoutMs: headMs }) {
      let status = 0;
      try {
        const exchange = await connection.open({ method: 'GET', path, signal, headMs });
        status = exchange.status;
        if (status === 200) return exchange;
        const text = await readBody(exchange.body, clock, timeoutMs);
        throw refusedError(status, await parseBody(text).catch(() => undefined), exchange.retryAfterMs);
      } finally {
        onCall?.({ method: 'WATCH', plural: pluralOf(path), status });
      }
    },
    close: () => connection.close(),
  };
}
