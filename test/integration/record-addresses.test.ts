import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from '@jest/globals';
import type { IngestLimits } from '../../pkg/recorder/index.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// Many pods may come from one address: a node that masquerades, a gateway between clusters. Who they are is what counts, once they have shown it.

let recorder: TestRecorder;
const open: (Duplex | Socket)[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await recorder.close();
});
const start = async (limits: Partial<IngestLimits>): Promise<void> => {
  recorder = await startRecorder({ limits });
};
const stream = async (uid: string): Promise<void> => {
  open.push(await recorder.connect(await recorder.identity(uid)));
};

test('any number of sidecars of one address is let in', async () => {
  await start({ perAddress: 2 });
  for (let n = 0; n < 12; n++) await stream(`uid-${n}`);
  expect(recorder.told).toEqual([]);
});

test('connections of one address that show nothing are few, and give their places back', async () => {
  await start({ perAddress: 2 });
  const raw = (): Socket => {
    const socket = connect(recorder.port(), '127.0.0.1');
    socket.on('error', () => undefined);
    open.push(socket);
    return socket;
  };
  const [one, two] = [raw(), raw()];
  await Promise.all([once(one, 'connect'), once(two, 'connect')]);
  await once(raw(), 'close');
  await expect(stream('uid-1')).rejects.toThrow();
  expect(recorder.told.filter((told) => told === 'refused overloaded')).toHaveLength(2);
  one.destroy();
  await until(async () => {
    await stream('uid-1').catch(() => undefined);
    return open.length === 4;
  }, 'the place is free again');
});

test('one sidecar has few streams, whatever address it comes from', async () => {
  await start({ perSource: 2 });
  await stream('uid-1');
  await stream('uid-1');
  await expect(stream('uid-1')).rejects.toThrow('not ready');
  expect(recorder.told).toEqual(['refused overloaded']);
  await stream('uid-2');
});
