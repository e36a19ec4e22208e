// The thread that searches: opens the store that `workerData` names for reading, and answers one call after the other.
import { parentPort, workerData } from 'node:worker_threads';
import { describeError } from '../../../base/index.ts';
import { StoreError } from '../store-error.ts';
import type { ReaderAnswer, ReaderCall } from './messages.ts';
import { openReader } from './reader.ts';
import type { Reader, ReaderOptions } from './reader.ts';

let reader: Reader | undefined;

parentPort?.on('message', (call: ReaderCall | 'close') => {
  if (call === 'close') {
    reader?.close();
    parentPort?.close();
    return;
  }
  let answer: ReaderAnswer;
  try {
    reader ??= openReader(workerData as ReaderOptions);
    const method = reader[call.method] as (...args: readonly unknown[]) => unknown;
    answer = { id: call.id, value: method(...call.args) };
  } catch (error) {
    const code = error instanceof StoreError ? error.code : undefined;
    answer = { id: call.id, code, problem: error instanceof StoreError ? error.message : describeError(error) };
  }
  parentPort?.postMessage(answer);
});
