import { request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { onUnaskedUpgrade } from '../../pkg/base/index.ts';
import type { CommandIo, HttpAnswer } from '../../pkg/cli/index.ts';

const limitMs = 10_000;
/** Of an answer that is read; ours are some hundred bytes. */
const limitBytes = 64 << 10;

/** Reads an answer; what of it is beyond our own sizes is left out. */
export function readAnswer(
  response: IncomingMessage,
  resolve: (answer: HttpAnswer) => void,
  reject: (error: Error) => void,
  mostBytes = limitBytes,
): void {
  const parts: Buffer[] = [];
  let length = 0;
  response.on('data', (part: Buffer) => {
    length += part.length;
    if (length <= mostBytes) parts.push(part);
  });
  response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }));
  response.on('error', reject);
}

/** One GET or POST, with the certificate checked against the authorities and the name that are given. */
export const ask: CommandIo['ask'] = ({ host, port, path, tls, body, token, timeoutMs = limitMs, mostBytes }) =>
  new Promise<HttpAnswer>((resolve, reject) => {
    const headers = {
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
    const method = body === undefined ? 'GET' : 'POST';
    const options = { host, port, path, method, headers, agent: false, timeout: timeoutMs };
    const read = (response: IncomingMessage): void => readAnswer(response, resolve, reject, mostBytes);
    const call =
      tls === undefined
        ? plainRequest(options, read)
        : tlsRequest({ ...options, ca: tls.ca, servername: tls.serverName, minVersion: 'TLSv1.2' }, read);
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    call.on('error', reject);
    onUnaskedUpgrade(call, () => reject(new Error('it answers 101, and is no server of this protocol')));
    call.end(body);
  });
