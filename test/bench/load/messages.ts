import { WebSocket } from '../../support/socket-model.ts';
import { answerPath, answerTo, echoPath, echoed, question } from '../socket-messages.ts';
import type { MessagesJob, MessagesResult } from './jobs.ts';

/** Callers of WebSockets: each sends as much as its window lets it, and takes nothing but the model's own words. */
export async function messages(job: MessagesJob): Promise<MessagesResult> {
  const begun = performance.now();
  let seen = 0;
  let started = 0;
  const goesOn = (): boolean => started < job.messages && performance.now() - begun < job.seconds * 1_000;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const path = job.what === 'echo' ? echoPath : answerPath;
      const { port, token } = job.target;
      const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, [], {
        rejectUnauthorized: false,
        perMessageDeflate: false,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
      let asked = 0;
      let answers = 0;
      let waiting = 0;
      let due: string[] = [];
      const ask = (): void => {
        started++;
        waiting++;
        seen++;
        if (job.what === 'answer') due = [...due, ...answerTo(asked)];
        asked++;
        socket.send(job.what === 'echo' ? echoed : question);
      };
      socket.on('open', () => {
        while (waiting < job.window && goesOn()) ask();
        if (waiting === 0) socket.close();
      });
      socket.on('message', (data) => {
        const text = data.toString('utf8');
        seen++;
        const expected = job.what === 'echo' ? echoed : due[answers];
        if (text !== expected) return reject(new Error(`${text} came where ${expected ?? 'nothing'} was due`));
        answers++;
        if (job.what === 'answer' && answers < due.length) return;
        waiting--;
        if (goesOn()) ask();
        else if (waiting === 0) socket.close();
      });
      socket.on('error', reject);
      socket.on('close', (code) => {
        if (waiting === 0) resolve();
        else reject(new Error(`a connection was closed with ${code}`));
      });
    });
  await Promise.all(Array.from({ length: job.connections }, one));
  return { messages: seen };
}
