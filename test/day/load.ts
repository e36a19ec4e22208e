import type { ClusterNode } from '../cluster/node.ts';

/** Callers who ask without a pause, each request over a connection of its own: whatever a connection or a request can lose shows. */
export interface Load {
  /** No more questions; what came of them. `failed` holds a line for each that was not answered with 200, refused connections too. */
  stop(): Promise<{ readonly asked: number; readonly failed: readonly string[] }>;
}

/** In the caller's pod, with the published root at /tmp/ca.pem. Three at a time, until /tmp/load-ID.stop is there. */
const program = `
  import { existsSync, readFileSync } from 'node:fs';
  import { request } from 'node:https';
  const [, host, token, id] = process.argv;
  const ca = readFileSync('/tmp/ca.pem');
  const body = JSON.stringify({ model: 'llama-3', messages: [{ role: 'user', content: 'hi' }] });
  const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json', 'content-length': body.length };
  let asked = 0;
  const failed = [];
  const ask = () => new Promise((done) => {
    asked++;
    const began = new Date().toISOString();
    const fail = (what) => { failed.push(began + ' ' + what); done(); };
    const question = request({ host, path: '/v1/chat/completions', method: 'POST', ca, headers, agent: false, timeout: 20_000 }, (answer) => {
      let text = '';
      answer.on('data', (piece) => (text += piece));
      answer.on('error', (error) => fail(answer.statusCode + ' ' + error.message));
      answer.on('end', () => (answer.statusCode === 200 ? done() : fail(answer.statusCode + ' ' + text.slice(0, 200))));
    });
    question.on('timeout', () => question.destroy(new Error('no answer')));
    question.on('error', (error) => fail(error.message));
    question.end(body);
  });
  const caller = async () => {
    while (!existsSync('/tmp/load-' + id + '.stop')) {
      await ask();
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  console.log('asking');
  await Promise.all([caller(), caller(), caller()]);
  console.log(JSON.stringify({ asked, failed }));
`;

let loads = 0;

/** Asks the model behind Service `llama` of the namespace as the owner of `token`. It ends by itself after ten minutes. */
export function startLoad(node: ClusterNode, namespace: string, token: string): Load {
  const id = `${process.pid}-${++loads}`;
  const asking = node.exec(
    namespace,
    'pod/caller',
    ['node', '--input-type=module', '-e', program, `llama.${namespace}.svc`, token, id],
    { timeoutMs: 600_000 },
  );
  return {
    async stop() {
      await node.exec(namespace, 'pod/caller', ['touch', `/tmp/load-${id}.stop`]);
      const { status, stdout, stderr } = await asking;
      const last = stdout.trim().split('\n').at(-1) ?? '';
      if (status !== 0 || !last.startsWith('{')) throw new Error(`the callers ended: ${status} ${stderr}`);
      return JSON.parse(last) as { asked: number; failed: string[] };
    },
  };
}
