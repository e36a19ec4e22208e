/** What logging in touches, beside {@link CommandIo}. */
export interface LoginIo {
  /** Folder of the caller's own settings, such as `~/.config/sidegate`. */
  readonly folder: string;
  /** One exchange: https, or http on a loopback address; no redirect is followed. @throws Error where there is no answer. */
  exchange(request: WebRequest): Promise<WebAnswer>;
  /** Undefined: there is no such file. */
  readPrivate(path: string): string | undefined;
  /** Replaces a file that its owner alone can read (0600), in a folder that is its owner's alone (0700). */
  writePrivate(path: string, text: string): void;
  /** Runs `act` while no other process does with this path. @throws Error after 30 s of waiting. */
  alone<T>(path: string, act: () => Promise<T>): Promise<T>;
  /** Shows an address to the person; false: there is no browser to show it in. */
  browse(url: string): boolean;
  /** Listens on a free port of 127.0.0.1 until it is closed; `late` is called where that has not happened after `ms`. */
  listen(options: {
    readonly answer: (request: LoopbackRequest) => LoopbackAnswer;
    readonly ms: number;
    readonly late: () => void;
  }): Promise<{ readonly port: number; close(): void }>;
}

export interface WebRequest {
  readonly url: string;
  /** Absent: GET. */
  readonly form?: Readonly<Record<string, string>>;
  /** PEM of authorities beside the public ones. */
  readonly ca?: string | undefined;
}

export interface WebAnswer {
  readonly status: number;
  readonly body: string;
}

export interface LoopbackRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Of a POST, at most 64 KiB. */
  readonly body: string;
}

export interface LoopbackAnswer {
  readonly status: number;
  /** Plain text. */
  readonly text: string;
}

/** What went wrong, in words for the person, with what to do. */
export class LoginError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LoginError';
  }
}
