// The record of a pod in this process, spooled in a folder of its own and sent to a test's recorder.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Clock } from '../../pkg/base/index.ts';
import type { RecordSender } from '../../pkg/record/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import type { TestSession } from '../../pkg/recorder/testing/chains.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord, PodRecordOptions } from '../../pkg/remote/index.ts';
import type { TestRecorder } from './recorder.ts';

export interface RecordPod {
  readonly uid: string;
  /** SPIFFE id. */
  readonly source: string;
  readonly record: PodRecord;
  readonly sender: RecordSender;
  /** Ids of sessions that the spool took, in order. */
  readonly taken: readonly string[];
  /** How many it refused. */
  refused(): number;
  /** False: the spool refused it. */
  write(session?: Omit<TestSession, 'id'>): boolean;
  close(): Promise<void>;
}

/** @param more `port`: of what stands before the recorder; `limit`: bytes of the spool, default 1 GiB; `io`: of its disk. */
export async function recordPod(
  recorder: TestRecorder,
  namespace: string,
  uid: string,
  more: {
    readonly port?: number;
    readonly limit?: number;
    readonly clock?: Clock;
    readonly io?: PodRecordOptions['io'];
  } = {},
): Promise<RecordPod> {
  const { port = recorder.port(), limit = 1 << 30, clock = systemClock } = more;
  const material = await recorder.identity(uid, { namespace });
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  const record = openPodRecord({
    folder,
    limit,
    pod: { namespace, name: `pod-${uid}`, uid },
    clock,
    logger: silentLogger,
    onEvent: () => undefined,
    ...(more.io !== undefined && { io: more.io }),
  });
  const sender = record.sendBy({
    identity: () => material,
    trust: () => recorder.authority.bundle(),
    recorder: () => `https://localhost:${port}`,
    onRecorder: () => () => undefined,
  });
  const taken: string[] = [];
  let refused = 0;
  return {
    uid,
    source: `spiffe://cluster.local/ns/${namespace}/sa/default/pod/${uid}`,
    record,
    sender,
    taken,
    refused: () => refused,
    write(session = {}) {
      const id = randomId();
      try {
        record.audit.append(sessionEvents({ ...session, id }));
      } catch {
        refused++;
        return false;
      }
      taken.push(id);
      return true;
    },
    async close() {
      await record.finish(0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
