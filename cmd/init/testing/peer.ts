// One process in a network namespace, as one user, that listens and dials as it is told: a line of JSON each way.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { jsonValue, parseJson } from '../../../pkg/base/index.ts';

/** An order, and its answer: for `listen` and `bind` "ready", for `dial` and `send` what the other side said or an error code. */
export type Order =
  | { readonly do: 'listen' | 'bind'; readonly port: number; readonly say: string }
  | { readonly do: 'dial' | 'send'; readonly host: string; readonly port: number; readonly ms?: number };

/** Far more than an answer takes; who expects none says how long it listens for one (`ms`). */
const patienceMs = 15_000;
const timeoutOf = (order: Order): number => ('ms' in order ? order.ms : undefined) ?? patienceMs;

const answers: Readonly<Record<Order['do'], (order: Order, reply: (text: string) => void) => void>> = {
  listen: (order, reply) => {
    const say = 'say' in order ? order.say : '';
    const server = createServer((socket) => socket.on('error', () => undefined).end(say));
    // `::` takes IPv4 too.
    server.listen(order.port, '::', () => reply('ready'));
  },
  bind: (order, reply) => {
    const say = 'say' in order ? order.say : '';
    const socket = createSocket('udp6');
    socket.on('message', (_, from) => socket.send(say, from.port, from.address));
    socket.bind(order.port, '::', () => reply('ready'));
  },
  dial: (order, reply) => {
    const socket = connect({ host: 'host' in order ? order.host : '', port: order.port });
    let said = '';
    socket.setTimeout(timeoutOf(order), () => socket.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    socket.on('data', (bytes) => (said += bytes.toString()));
    socket.on('end', () => reply(said));
    socket.on('error', (error) => reply('code' in error ? String(error.code) : 'error'));
  },
  send: (order, reply) => {
    const host = 'host' in order ? order.host : '';
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const done = (text: string): void => {
      clearTimeout(timer);
      socket.close();
      reply(text);
    };
    const timer = setTimeout(() => done('ETIMEDOUT'), timeoutOf(order));
    socket.on('message', (bytes) => done(bytes.toString()));
    socket.on('error', () => done('error'));
    socket.send('hello', order.port, host);
  },
};

if (process.argv[2] === 'serve') {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = jsonValue(parseJson(line)) as unknown as Order;
    answers[order.do](order, (text) => process.stdout.write(`${JSON.stringify(text)}\n`));
  }
  process.exit(0);
}
