import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { WireError, maxReportBytes, readPodReport } from '../../wire/index.ts';
import type { PodList } from '../../wire/index.ts';
import type { RecordStore } from '../store/index.ts';

/** Answers the controller, whose certificate the caller has judged: pkg/wire/pod-reports.ts says what it asks. */
export type PodReports = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export function createPodReports(options: {
  readonly store: Pick<RecordStore, 'learn' | 'presentSources'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told how many heads of chains were left out, of sidecars that have named too many that they did not send. */
  readonly onUnheard?: (heads: number) => void;
}): PodReports {
  const { store, clock, logger } = options;
  return async (request, response) => {
    const answer = (status: number, body = ''): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    try {
      if (request.method === 'GET') {
        const list: PodList = { v: 1, sources: await store.presentSources() };
        return answer(200, JSON.stringify(list));
      }
      if (request.method !== 'POST') return answer(405);
      const text = await bodyOf(request);
      if (text === undefined) {
        answer(413);
        return void request.destroy();
      }
      const leftOut = await store.learn(readPodReport(text), clock.now());
      if (leftOut > 0) {
        options.onUnheard?.(leftOut);
        logger.error('sidecars name more chains than they send: what is said of these is not kept', { heads: leftOut });
      }
      answer(204);
    } catch (error) {
      logger.error('a report of the controller was not taken', { error: describeError(error) });
      answer(error instanceof WireError ? 400 : 503);
    }
  };
}

/** Undefined: it is longer than a report. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxReportBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
