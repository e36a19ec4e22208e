import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Clock, Logger } from '../base/index.ts';
import { boundSpool, createChainSigner, createRecordSender, openSpool } from '../record/index.ts';
import type { BoundedSink, RecordSender, Spool, SpoolOptions } from '../record/index.ts';
import { recordPath, recordProtocol } from '../wire/index.ts';
import type { AuditHead, PodName } from '../wire/index.ts';
import { createBackoff } from './backoff.ts';
import { connectStream } from './transport.ts';
import type { Remote } from './types.ts';

export interface RecorderFacts extends Pick<Remote, 'identity' | 'trust' | 'recorder' | 'onRecorder'> {
  /** Name that its certificate must have; default the host of its address. */
  recorderName?(): string;
}

/** The record of a pod: spooled on the node's disk, signed with the pod's own key, sent to the recorder. */
export interface PodRecord {
  readonly audit: BoundedSink;
  /** Where the chain stands on the disk, for the controller's heartbeat: what a crash of the machine takes back was never told. */
  head(): AuditHead;
  /** Begins to send; before it, lines wait in the spool. */
  sendBy(remote: RecorderFacts): RecordSender;
  /** Signs what is there, waits until it has arrived, for so long at most, and ends. */
  finish(timeoutMs: number): Promise<void>;
}

export interface PodRecordOptions {
  readonly folder: string;
  readonly limit: number;
  readonly pod: PodName;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Version of this build; default `source`. */
  readonly software?: string;
  readonly onEvent: (event: string) => void;
  /** As in {@link SpoolOptions}. */
  readonly bootId?: () => string | undefined;
  readonly io?: SpoolOptions['io'];
}

const connectTimeoutMs = 15_000;
const random = (): number => randomInt(2 ** 32) / 2 ** 32;

export function openPodRecord(options: PodRecordOptions): PodRecord {
  const { folder, limit, pod, clock, logger } = options;
  const spool: Spool = openSpool({
    folder,
    clock,
    logger,
    ...(options.bootId !== undefined && { bootId: options.bootId }),
    ...(options.io !== undefined && { io: options.io }),
  });
  const audit = boundSpool(spool.record, { folder, limit, clock, logger });
  let sending: { readonly sender: RecordSender; end(timeoutMs: number): Promise<void> } | undefined;

  return {
    audit,
    head() {
      const { seq, hash } = spool.record.durable();
      return { sequence: seq, hash, chain: spool.chain, ...(spool.record.ended() && { ended: true }) };
    },
    sendBy(remote) {
      const connect = async (signal: AbortSignal): Promise<Duplex | undefined> => {
        const address = remote.recorder();
        const material = remote.identity();
        if (address === undefined || material === undefined) return undefined;
        const url = new URL(address);
        const { socket, head } = await connectStream({
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port === '' ? 443 : Number(url.port),
          name: remote.recorderName?.() ?? url.hostname,
          trust: remote.trust(),
          proof: { kind: 'certificate', material },
          localAddress: undefined,
          endpoint: { path: recordPath, protocol: recordProtocol },
          clock,
          timeoutMs: connectTimeoutMs,
          signal,
        });
        if (head.length > 0) socket.unshift(head);
        return socket;
      };
      const sender = createRecordSender({
        folder,
        spool,
        connect,
        pod,
        software: options.software ?? 'source',
        clock,
        logger,
        backoff: createBackoff(random),
        onEvent: options.onEvent,
      });
      const signer = createChainSigner({ spool, sink: audit, identity: () => remote.identity(), clock, logger });
      const stop = remote.onRecorder(() => sender.kick());
      sending = {
        sender,
        async end(timeoutMs) {
          stop();
          signer.sign();
          signer.close();
          if (remote.recorder() !== undefined && !(await sender.flush(timeoutMs)))
            logger.warn('the record was not sent to its end: it is lost with the pod', { lines: sender.pending() });
          sender.close();
        },
      };
      return sender;
    },
    async finish(timeoutMs) {
      await sending?.end(timeoutMs);
      await audit.close();
      spool.closed();
    },
  };
}
