/** The options of injection (ConfigMap `sidegate-options`), watched: a change is in force in every replica at once. */
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { parseChartOptions } from '../inject/index.ts';
import type { ChartOptions } from '../inject/index.ts';
import { createCache, objectKey, resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';

export interface OptionsSource {
  /**
   * The options to inject with.
   *
   * @throws before the first were read; nothing is decided then
   */
  current(): ChartOptions;
  /**
   * All that a pod may have been injected with by a replica that has not yet heard of a change, or heard of it before: the present
   * ones first, then those that were replaced within the last {@link overlapMs}.
   */
  accepted(): readonly ChartOptions[];
}

export interface OptionsHolder extends OptionsSource {
  /** @param content undefined: there is no such ConfigMap or key. What cannot be used is logged, and the last good options stay. */
  take(content: string | undefined): void;
  /** Resolves with the first good ones. */
  first(): Promise<void>;
}

/** A watch that was cut is back within seconds; one that hangs is noticed after 30 s, and a pod's admission is over long before. */
export const overlapMs = 600_000;

export function createOptionsHolder(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRead?: (result: 'accepted' | 'refused') => void;
}): OptionsHolder {
  const { clock, logger, onRead } = options;
  const first = Promise.withResolvers<void>();
  let content: string | undefined;
  let current: ChartOptions | undefined;
  let before: readonly { readonly options: ChartOptions; readonly until: number }[] = [];

  const refused = (error: string): void => {
    onRead?.('refused');
    logger.error('the options cannot be used: the last good ones stay', { error });
  };
  return {
    current() {
      if (current === undefined) throw new Error('no options were read yet');
      return current;
    },
    accepted: () => [
      ...(current === undefined ? [] : [current]),
      ...before.filter(({ until }) => until > clock.monotonic()).map(({ options: one }) => one),
    ],
    first: () => first.promise,
    take(next) {
      if (next === undefined) return refused(`ConfigMap ${controlPlane.options} has no key ${controlPlane.optionsKey}`);
      if (next === content) return;
      let parsed: ChartOptions;
      try {
        parsed = parseChartOptions(next);
      } catch (error) {
        return refused(describeError(error));
      }
      content = next;
      if (current !== undefined)
        before = [{ options: current, until: clock.monotonic() + overlapMs }, ...before].slice(0, 3);
      current = parsed;
      onRead?.('accepted');
      logger.info('options were read');
      first.resolve();
    },
  };
}

export interface WatchedOptions extends OptionsSource {
  first(): Promise<void>;
  close(): Promise<void>;
}

interface ConfigMapObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export function watchChartOptions(options: {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRead?: (result: 'accepted' | 'refused') => void;
}): WatchedOptions {
  const { client, namespace, clock, logger } = options;
  const holder = createOptionsHolder(options);
  const cache = createCache({
    client,
    clock,
    logger,
    namespace,
    resource: resources.configMaps,
    fieldSelector: `metadata.name=${controlPlane.options}`,
    transform: (raw) => ({ content: (raw as ConfigMapObject).data?.[controlPlane.optionsKey] }),
  });
  cache.subscribe(({ after }) => holder.take(after?.content));
  // Nothing is told of what is not there.
  void cache.whenSynced().then(() => {
    if (cache.get(objectKey({ namespace, name: controlPlane.options })) === undefined) holder.take(undefined);
  });
  return {
    current: () => holder.current(),
    accepted: () => holder.accepted(),
    first: () => holder.first(),
    close: () => cache.stop(),
  };
}
