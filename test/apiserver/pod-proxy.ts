import { request as httpsRequest } from 'node:https';
import { networkInterfaces } from 'node:os';
import { jsonValue, parseJson } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import { KubeError } from '../../pkg/kube/index.ts';
import type { KubeClient } from '../../pkg/kube/index.ts';

/** An address of this machine that the API server takes for a pod's; undefined: it has no address but loopback. */
export const machineAddress = Object.values(networkInterfaces())
  .flat()
  .find(
    (one) => one !== undefined && !one.internal && one.family === 'IPv4' && !one.address.startsWith('169.254.'),
  )?.address;

/** Where the API server's pod proxy has no address to go to, questions go past it, to a port of this machine. */
export function aroundPodProxy(client: KubeClient): KubeClient {
  if (machineAddress !== undefined) return client;
  return {
    ...client,
    request(call) {
      const [, port, path] = /\/pods\/https:[^:]+:(\d+)\/proxy(\/.*)$/.exec(call.path) ?? [];
      return path === undefined ? client.request(call) : askDirectly(Number(port), path, call.headers ?? {});
    },
  };
}

function askDirectly(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<JsonValue> {
  return new Promise((done, failed) => {
    // As the proxy does, which knows no authority of pods.
    const sent = httpsRequest({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false });
    sent.on('error', (cause) => failed(new KubeError('unreachable', 'error trying to reach pod', { cause })));
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const answer = jsonValue(parseJson(text)) as { readonly message?: string };
        const { statusCode: status = 0 } = response;
        if (status === 200) done(answer as JsonValue);
        else failed(new KubeError('refused', answer.message ?? '', { status }));
      });
    });
    sent.end();
  });
}
