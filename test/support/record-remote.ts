import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Remote } from '../../pkg/remote/index.ts';

/** What the controller would have said to a sidecar of its recorder; from files. */
export function createIngestClientRemote(
  folder: string,
  port: number,
): Pick<Remote, 'identity' | 'trust' | 'recorder' | 'onRecorder'> {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const material = { cert: read('identity.pem'), key: read('identity-key.pem') };
  const trust = read('trust.pem');
  return {
    identity: () => material,
    trust: () => trust,
    recorder: () => `https://localhost:${port}`,
    onRecorder: () => () => undefined,
  };
}
