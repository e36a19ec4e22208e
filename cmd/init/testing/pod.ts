// A pod without Kubernetes: a network namespace with an address on a cable to another namespace, which is everybody outside.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { join } from 'node:path';
import { parseJson } from '../../../pkg/base/index.ts';
import type { Order } from './peer.ts';

export const podAddresses = { IPv4: '10.77.0.2', IPv6: 'fd77::2' } as const;

/** Resolves when the process is gone. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** A process in one of the two namespaces. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #answers: Promise<unknown> = Promise.resolve();

  /** @param enter what goes into the namespaces, and becomes the user */
  constructor(enter: readonly string[]) {
    const [program = '', ...args] = [...enter, process.execPath, join(import.meta.dirname, 'peer.ts'), 'serve'];
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
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

  /** @param ms How long an answer is waited for; default: long. */
  dial(host: string, port: number, ms?: number): Promise<string> {
    return this.do({ do: 'dial', host, port, ...(ms === undefined ? {} : { ms }) });
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const enter = (namespace: number | undefined): readonly string[] => ['nsenter', '-t', `${namespace ?? 0}`, '-n'];

const become = (uid: number, gid: number): readonly string[] => [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--clear-groups',
];

export class TestPod {
  readonly #sleepers: readonly ChildProcess[];
  readonly #peers: Peer[] = [];
  readonly #programs: ChildProcess[] = [];
  readonly #hostUsers: boolean;

  private constructor(sleepers: readonly ChildProcess[], hostUsers: boolean) {
    this.#sleepers = sleepers;
    this.#hostUsers = hostUsers;
  }

  /**
   * @param hostUsers false: the pod has a user namespace of its own, as `spec.hostUsers: false` gives it
   * @throws where this is not root on Linux, or a tool is missing; the message says what to do
   */
  static async start(hostUsers = true): Promise<TestPod> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0)
      throw new Error('these tests set nftables rules in network namespaces: run them as root on Linux');
    for (const tool of ['nft', 'ip', 'unshare', 'nsenter', 'setpriv'])
      if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
        throw new Error(`${tool} is missing: apt-get install nftables iproute2 util-linux`);
    const sleepers = [hostUsers ? ['-n'] : ['-U', '-n'], ['-n']].map((namespaces) =>
      spawn('unshare', [...namespaces, 'sh', '-c', 'echo up; exec sleep 600']),
    );
    await Promise.all(sleepers.map(({ stdout }) => new Promise((resolve) => stdout?.once('data', resolve))));
    const pod = new TestPod(sleepers, hostUsers);
    const [inside = 0, outside = 0] = sleepers.map(({ pid }) => pid);
    if (!hostUsers) for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${inside}/${map}`, '0 100000 65536');
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
        execFileSync('nsenter', [...enter(namespace).slice(1), 'ip', ...line.split(' ')]);
    });
    return pod;
  }

  #peer(command: readonly string[]): Peer {
    const peer = new Peer(command);
    this.#peers.push(peer);
    return peer;
  }

  get #enter(): readonly string[] {
    const users = this.#hostUsers ? [] : ['-U', '-S', '0', '-G', '0'];
    return [...enter(this.#sleepers[0]?.pid), ...users];
  }

  /** A process of one of the pod's containers. */
  inside(uid: number, gid = uid): Peer {
    return this.#peer([...this.#enter, ...become(uid, gid)]);
  }

  /** The container runtime, which dials for port-forward: root of the node, in the pod's network alone. */
  runtime(): Peer {
    return this.#peer(enter(this.#sleepers[0]?.pid));
  }

  outside(): Peer {
    return this.#peer(enter(this.#sleepers[1]?.pid));
  }

  /** Runs a program in the pod: as root with the capabilities named and no others (all of root's where none are named). */
  run(command: readonly string[], capabilities?: string, input = ''): Ran {
    const caps =
      capabilities === undefined ? [] : ['setpriv', `--bounding-set=-all,${capabilities}`, `--inh-caps=-all`];
    const [program = '', ...args] = [...this.#enter, ...caps, ...command];
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input });
    return { status, stdout, stderr };
  }

  /** Runs a program as a container's user to its end. */
  runAs(uid: number, command: readonly string[]): Ran {
    const [program = '', ...args] = [...this.#enter, ...become(uid, uid), ...command];
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  /** Starts a program as a container's user; it ends with the pod. */
  start(uid: number, command: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    const [program = '', ...args] = [...this.#enter, ...become(uid, uid), ...command];
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#programs.push(child);
    return child;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#programs.map(end), ...this.#peers.map((peer) => peer.stop())]);
    await Promise.all(this.#sleepers.map(end));
  }
}
