import type { KubeClient } from '../kube/index.ts';
import type { LoginIo } from './login/login-io.ts';

/** A cluster, as the flags and the kubeconfig choose it. */
export interface Cluster {
  readonly client: KubeClient;
  /** Of the kubeconfig's context; `default` where it names none. */
  readonly namespace: string;
}

/** What a command may touch: arguments, so that every command runs in a test without a process of its own. */
export interface CommandIo {
  /** What would move a terminal's cursor, or is not seen, does not come through: see {@link run}. */
  stdout(text: string): void;
  stderr(text: string): void;
  /** Of standard output, every character as it is; default: by `stdout`. */
  raw?(text: string): void;
  /** @throws as node:fs readFileSync. */
  readFile(path: string): string;
  /** @throws as node:fs writeFileSync. */
  writeFile(path: string, text: string): void;
  /** A file line by line, however long it is, without its line feeds; default: by {@link readFile}. @throws as node:fs, or RangeError for a line of more than 256 MiB */
  lines?(path: string): AsyncIterable<string>;
  /** A file that is written piece by piece; default: by {@link writeFile}, when it is whole. @throws as node:fs openSync */
  output?(path: string): FileOutput;
  /** Says why a pattern is not RE2 syntax; undefined when it is. */
  checkPattern(pattern: string, maxLength: number): string | undefined;
  /** PEM certificates that this machine trusts without being told: Node's own list. */
  readonly publicRoots: readonly string[];
  /** Epoch milliseconds. */
  now(): number;
  /** @throws AbortError once the signal says so: until then it keeps the process */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Lines of the terminal that `stdout` is; undefined: it is none. */
  screenRows?(): number | undefined;
  /** And cells of each. */
  screenColumns?(): number | undefined;
  /** @throws Error where no kubeconfig names a cluster. Undefined flags: kubectl's own choice, or in a pod its own account. */
  openCluster(choice: {
    readonly kubeconfig?: string | undefined;
    readonly context?: string | undefined;
  }): Promise<Cluster>;
  readonly login: LoginIo;
  readonly folder: FolderIo;
  /** One HTTP exchange, for asking a sidecar or a model. @throws Error where there is no answer. */
  ask(request: HttpQuestion): Promise<HttpAnswer>;
}

/** A file on its way: what stood in its place stays there until the new one is whole. All may throw as node:fs. */
export interface FileOutput {
  write(text: string): void;
  /** It is whole: it takes its place. */
  finish(): void;
  /** It never will be: nothing is left of it. */
  discard(): void;
}

/** What commands about a sidecar that runs on its own touch. All may throw as node:fs. */
export interface FolderIo {
  /** Name of the person to this machine. */
  readonly user: string;
  names(folder: string): readonly string[];
  /** Whether anybody but its owner may write there. */
  isWritableByOthers(path: string): boolean;
  /** A new file that its owner alone may write. */
  write(path: string, text: string): void;
  remove(path: string): void;
  /** One POST of JSON to a socket of the file system. @throws Error where there is no answer. */
  ask(question: SocketQuestion): Promise<HttpAnswer>;
}

export interface SocketQuestion {
  readonly socket: string;
  readonly path: string;
  readonly token: string;
  readonly body: string;
}

export interface HttpQuestion {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Undefined: plain HTTP. */
  readonly tls?: { readonly ca: string; readonly serverName?: string };
  /** JSON, sent by POST; undefined: a GET. */
  readonly body?: string;
  /** Bearer. */
  readonly token?: string;
  /** Silence that ends the exchange; default 10 s. */
  readonly timeoutMs?: number;
  /** Of the answer that is read, what is beyond them is left out; default 64 KiB. */
  readonly mostBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** 0: done. 1: the answer is no (a fault was found). 2: the command was not understood. 3: a part alone could be proven. */
export type ExitCode = 0 | 1 | 2 | 3;

/** What a cluster knows by name; `Undecided`: approvals and grants that wait. */
export type NameKind = 'Decidable' | 'Undecided' | 'Grant' | 'Workload';

export interface Command {
  /** Words that call it: `policy validate`. */
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  /** What its positional argument names, for completion. */
  readonly names?: NameKind;
  run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode>;
}
