// The thread that opens one PKCS#12 file, says what is in it or why it cannot be opened, and ends.
import { parentPort, workerData } from 'node:worker_threads';
import { PkiError } from './pki-error.ts';
import { readPkcs12 } from './pkcs12.ts';
import type { Pkcs12Answer, Pkcs12Question } from './pkcs12-opener.ts';

const { file, passphrase } = workerData as Pkcs12Question;
const answer: Pkcs12Answer = await readPkcs12(file, passphrase).then(
  (content) => ({ content }),
  (error: unknown) =>
    error instanceof PkiError
      ? { code: error.code, message: error.message }
      : { code: 'pkcs12_invalid', message: 'the PKCS#12 file cannot be read' },
);
parentPort?.postMessage(answer);
