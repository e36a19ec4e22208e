// In place of the thread that searches: answers a search when it is asked how far behind it is, and ends when it is asked for a block.
import { parentPort } from 'node:worker_threads';
import type { ReaderCall } from '../search/messages.ts';

const held: number[] = [];
const answer = (id: number, value: unknown): void => parentPort?.postMessage({ id, value });

parentPort?.on('message', (call: ReaderCall | 'close') => {
  if (call === 'close') return parentPort?.close();
  if (call.method === 'search') return void held.push(call.id);
  if (call.method === 'blockLines') process.exit(1);
  for (const id of held.splice(0)) answer(id, { sessions: [], cursors: [], cursor: undefined });
  answer(call.id, 0);
});
