// The scripted model server as a process of a pod: `node model.js [PORT [HOST]]`. Each request that it saw is a line of JSON on
// standard output, once it is over, so that a test reads from the pod's log what reached the model, and what did not.
import { startModelServer } from '../support/model-server.ts';

const [, , port = '8000', host = '0.0.0.0'] = process.argv;
const server = await startModelServer({ host, port: Number(port) });
let told = 0;
setInterval(() => {
  for (
    let next = server.requests[told];
    next !== undefined && next.outcome !== 'open';
    next = server.requests[++told]
  ) {
    const { method, path, headers, body, outcome } = next;
    process.stdout.write(`${JSON.stringify({ method, path, headers, body, outcome })}\n`);
  }
}, 50);
process.on('SIGTERM', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ listening: server.port })}\n`);
