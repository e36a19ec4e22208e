// A real S3 server, for those who have one: versitygw, which `make test-s3` builds. It keeps objects as files in a temporary folder.
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedPorts } from './ports.ts';
import { until } from './wait.ts';

export interface S3Gateway {
  readonly endpoint: string;
  readonly credentials: { readonly id: string; readonly secret: string };
  close(): Promise<void>;
}

/** With the bucket `records`, which has object lock. @param program Path of versitygw. */
export async function startS3Gateway(program: string): Promise<S3Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-s3-'));
  for (const name of ['data', 'versions']) mkdirSync(join(folder, name));
  const [port = 0] = await fixedPorts(1);
  const credentials = { id: 'tester', secret: 'a secret of the test' };
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix'];
  const child = spawn(program, [...args, '--versioning-dir', join(folder, 'versions'), join(folder, 'data')], {
    env: { ...process.env, ROOT_ACCESS_KEY: credentials.id, ROOT_SECRET_KEY: credentials.secret },
    stdio: 'ignore',
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: credentials.id, secretAccessKey: credentials.secret },
  });
  await until(async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'records', ObjectLockEnabledForBucket: true }));
    return true;
  }, 'versitygw');
  client.destroy();
  return {
    endpoint,
    credentials,
    async close() {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
