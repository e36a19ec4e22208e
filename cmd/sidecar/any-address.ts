import { createServer } from 'node:net';
import { errorCode } from '../../pkg/base/index.ts';

/** What to listen on for all addresses of the pod: `::` takes IPv4 too; `0.0.0.0` where there is no IPv6. @throws Error of node:net. */
export function anyAddress(): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(error) ?? '')) resolve('0.0.0.0');
      else reject(error);
    });
    server.listen(0, '::', () => server.close(() => resolve('::')));
  });
}
