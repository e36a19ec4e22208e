import { isTooLarge } from './kube-error.ts';
import type { KubeObject, KubeResource } from './objects.ts';

export interface Selection {
  /** Undefined: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface PageOptions {
  /** Objects at most. */
  readonly limit: number;
  readonly continueToken?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Nothing but `metadata` of each object; default false. */
  readonly metadataOnly?: boolean;
}

export interface ListPage<T> {
  readonly items: readonly T[];
  /** Of the whole list, the same on each page. */
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
}

/** Where pages come from. */
export interface PageSource {
  /** One page. @throws KubeError, `too_large` beyond 8 MiB or 300,000 values: see {@link listPages}. */
  page<T extends KubeObject>(resource: KubeResource, selection: Selection, options: PageOptions): Promise<ListPage<T>>;
}

export interface ListOptions {
  /** Objects to a page, where they are not too large. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  /** Of an object that is larger than a page its metadata comes alone; default false: it ends the list. */
  readonly oversized?: boolean;
}

export interface WholePage<T> extends ListPage<T> {
  /** Its one object is larger than what is read of any: this is its metadata. */
  readonly oversized: boolean;
}

/**
 * A list, page by page. A page that is too large is asked for again from where it began, with half as many objects: whoever may write
 * large objects makes a list take more calls, and cannot end it.
 *
 * @throws KubeError
 */
export async function* listPages<T extends KubeObject>(
  source: PageSource,
  resource: KubeResource,
  selection: Selection,
  options: ListOptions,
): AsyncGenerator<WholePage<T>, void> {
  let limit = options.limit;
  let oversized = false;
  let continueToken: string | undefined;
  for (;;) {
    let page: ListPage<T>;
    try {
      const asked = { limit, continueToken, signal: options.signal, ...(oversized && { metadataOnly: true }) };
      page = await source.page<T>(resource, selection, asked);
    } catch (error) {
      if (!isTooLarge(error) || oversized || (limit === 1 && options.oversized !== true)) throw error;
      oversized = limit === 1;
      limit = Math.max(1, Math.floor(limit / 2));
      continue;
    }
    yield { ...page, oversized };
    ({ continueToken } = page);
    if (continueToken === undefined) return;
    oversized = false;
    limit = Math.min(options.limit, limit * 2);
  }
}
