// A sidecar's end of the stream to a recorder, written out by hand, so that it can lie.
import type { Duplex } from 'node:stream';
import type { TlsMaterial } from '../../pkg/pki/index.ts';
import { createRecordDownReader, encodeRecordFrame } from '../../pkg/wire/index.ts';
import type { RecordDownMessage, RecordUpMessage } from '../../pkg/wire/index.ts';
import type { TestRecorder } from './recorder.ts';
import { until } from './wait.ts';

export interface RecordPeer {
  readonly socket: Duplex;
  readonly heard: RecordDownMessage[];
  readonly closed: () => boolean;
  say(message: RecordUpMessage, lines?: Uint8Array): void;
  /** Resolves with the first message of this type that has not been waited for yet. */
  hear<Type extends RecordDownMessage['type']>(type: Type): Promise<Extract<RecordDownMessage, { type: Type }>>;
}

export async function recordPeer(recorder: TestRecorder, as: TlsMaterial): Promise<RecordPeer> {
  const socket = await recorder.connect(as);
  const heard: RecordDownMessage[] = [];
  const waited = new Set<RecordDownMessage>();
  let closed = false;
  const reader = createRecordDownReader((message) => void heard.push(message));
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  socket.resume();
  return {
    socket,
    heard,
    closed: () => closed,
    say: (message, lines) => void socket.write(encodeRecordFrame(message, lines)),
    async hear<Type extends RecordDownMessage['type']>(type: Type) {
      const find = (): RecordDownMessage | undefined => heard.find((one) => one.type === type && !waited.has(one));
      await until(() => find() !== undefined, `a message ${type}; heard: ${JSON.stringify(heard)}`);
      const found = find();
      if (found === undefined) throw new Error('gone');
      waited.add(found);
      return found as Extract<RecordDownMessage, { type: Type }>;
    },
  };
}
