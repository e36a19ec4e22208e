import { maxModelRequests } from '../../pkg/contract/index.ts';
import type { FlagReader } from '../../pkg/process/index.ts';

/** The same of a sidecar on its own and in a pod. */
export const modelRequestsFlag = {
  help: 'requests at the model at once, WebSockets among them, of one caller half of it',
  fallback: '4096',
} as const;

/** A fault beside it where it is no whole number from 1 to {@link maxModelRequests}. */
export function readModelRequests({ text, faults }: FlagReader<'model-requests'>): number {
  const count = Number(text('model-requests'));
  if (!Number.isInteger(count) || count < 1 || count > maxModelRequests)
    faults.push(`--model-requests must be a whole number from 1 to ${maxModelRequests}`);
  return count;
}
