// A pod without Kubernetes: a network namespace with an address on a cable to another namespace, which is everybody outside.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { join } from 'node:path';
import { parseJson } from '../../../pkg/base/index.ts';
import type { Order } from './peer.ts';

export const podAddresses = { IPv4: '10.77.0.2', IPv6: 'fd77::2' } as const;

/** A process in one of the two namespaces. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #answers: Promise<unknown> = Promise.resolve();

  constructor(namespace: number, uid: number) {
    this.#child = spawn(
      'nsenter',
      [
        ...['-t', `${namespace}`, '-n', 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
        ...[process.execPath, join(import.meta.dirname, 'peer.ts'), 'serve'],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    if (this.#child.stdout === null) throw new Error('no output of the peer');
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Orders are obeyed one after the other. */
  do(order: Order): Promise<string> {
    const answer = this.#answers.then(
      () =>
        new Promise<string>((resolve) => {
          this.#lines.once('line', (line) => resolve(parseJson(line).text));
          this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
        }),
    );
    this.#answers = answer;
    return answer;
  }

  dial(host: string, port: number): Promise<string> {
    return this.do({ do: 'dial', host, port });
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestPod {
  readonly #sleepers: readonly ChildProcess[];
  readonly #peers: Peer[] = [];

  private constructor(sleepers: readonly ChildProcess[]) {
    this.#sleepers = sleepers;
  }

  /** @throws where this is not root on Linux, or a tool is missing; the message says what to do */
  static async start(): Promise<TestPod> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0)
      throw new Error('these tests set nftables rules in network namespaces: run them as root on Linux');
    for (const tool of ['nft', 'ip', 'unshare', 'nsenter', 'setpriv'])
      if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
        throw new Error(`${tool} is missing: apt-get install nftables iproute2 util-linux`);
    const sleepers = [0, 1].map(() => spawn('unshare', ['-n', 'sh', '-c', 'echo up; exec sleep 600']));
    await Promise.all(sleepers.map(({ stdout }) => new Promise((resolve) => stdout?.once('data', resolve))));
    const pod = new TestPod(sleepers);
    const [inside = 0, outside = 0] = sleepers.map(({ pid }) => pid);
    execFileSync('ip', [
      'link',
      'add',
      'eth0',
      'netns',
      `${inside}`,
      'type',
      'veth',
      'peer',
      'eth0',
      'netns',
      `${outside}`,
    ]);
    [inside, outside].forEach((namespace, at) => {
      const host = 2 - at;
      for (const line of [
        'link set lo up',
        'link set eth0 up',
        `address add 10.77.0.${host}/24 dev eth0`,
        `address add fd77::${host}/64 dev eth0 nodad`,
      ])
        execFileSync('nsenter', ['-t', `${namespace}`, '-n', 'ip', ...line.split(' ')]);
    });
    return pod;
  }

  get #inside(): number {
    return this.#sleepers[0]?.pid ?? 0;
  }

  inside(uid: number): Peer {
    const peer = new Peer(this.#inside, uid);
    this.#peers.push(peer);
    return peer;
  }

  outside(): Peer {
    const peer = new Peer(this.#sleepers[1]?.pid ?? 0, 0);
    this.#peers.push(peer);
    return peer;
  }

  /** Runs a program in the pod: as root with the capabilities named and no others (all of root's where none are named). */
  run(command: readonly string[], capabilities?: string, input = ''): Ran {
    const caps =
      capabilities === undefined ? [] : ['setpriv', `--bounding-set=-all,${capabilities}`, `--inh-caps=-all`];
    const { status, stdout, stderr } = spawnSync('nsenter', ['-t', `${this.#inside}`, '-n', ...caps, ...command], {
      encoding: 'utf8',
      input,
    });
    return { status, stdout, stderr };
  }

  stop(): void {
    for (const peer of this.#peers) peer.stop();
    for (const sleeper of this.#sleepers) sleeper.kill('SIGKILL');
  }
}
