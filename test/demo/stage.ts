import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startIssuer } from '../support/issuer.ts';
import type { Issuer, TokenOptions } from '../support/issuer.ts';
import { startModelServer } from '../support/model-server.ts';
import type { ModelServer } from '../support/model-server.ts';
import { policyYaml } from './policy.ts';

/** Who calls in the demo. The password at the issuer is the name. */
export const people = {
  ana: { name: 'ana', groups: ['ml-eng'] },
  carla: { name: 'carla', groups: ['compliance'] },
  sam: { name: 'sam', groups: ['sales'] },
  tina: { name: 'tina', groups: ['trial'] },
  cy: { name: 'cy', groups: ['contractors'] },
} as const;
export type Person = keyof typeof people;

const modelKey = 'demo-model-key';
/** Beside the policy that names it. */
const credentialFile = 'model.key';

/** Everything that the tour walks through, up and running. */
export interface Stage {
  readonly folder: string;
  /** `https://127.0.0.1:PORT`, the sidecar. */
  readonly url: string;
  readonly port: number;
  /** `http://127.0.0.1:PORT`, its health and metrics. */
  readonly admin: string;
  /** The model's own address, for comparison. */
  readonly direct: string;
  /** The key that the model wants of the sidecar; undefined: it wants none. */
  readonly modelKey: string | undefined;
  /** Undefined in front of somebody's own model. */
  readonly scripted: ModelServer | undefined;
  readonly model: string;
  readonly issuer: string;
  /** What the sidecar shows and people decide; what they are given for a time. */
  readonly approvals: string;
  readonly grants: string;
  readonly auditFile: string;
  readonly auditKey: Uint8Array;
  readonly caFile: string;
  readonly sidecarLog: string;
  token(person: Person, more?: TokenOptions): Promise<string>;
  /** Rewrites the policy file; the running sidecar notices by itself. */
  allowContractors(allowed: boolean): void;
  close(): Promise<void>;
}

export interface OwnModel {
  readonly origin: string;
  /** Undefined: the first that the server lists. */
  readonly model: string | undefined;
  /** File with the key that the server wants; undefined: it wants none. */
  readonly keyFile: string | undefined;
}

export interface StageOptions {
  readonly folder: string;
  /** Somebody's own model server, in place of the scripted one. */
  readonly upstream: OwnModel | undefined;
  /** Called when the sidecar ends before `close`. */
  readonly onDeath: (code: number | null) => void;
}

export async function setStage({ folder, upstream, onDeath }: StageOptions): Promise<Stage> {
  const issuer = await startIssuer({ port: await portOr(9400), users: Object.values(people) });
  const scripted = upstream === undefined ? await startModelServer({ apiKey: modelKey }) : undefined;
  const direct = upstream?.origin ?? scripted?.url ?? '';
  const key = upstream === undefined ? modelKey : ownKey(upstream);
  const model = upstream === undefined ? 'llama-3.1-8b' : (upstream.model ?? (await firstModel(upstream.origin, key)));
  const policyFile = join(folder, 'policy.yaml');
  const auditFile = join(folder, 'audit.jsonl');
  const sidecarLog = join(folder, 'sidecar.log');
  const [approvals, grants] = [join(folder, 'approvals'), join(folder, 'grants')];
  rmSync(grants, { recursive: true, force: true });
  mkdirSync(grants, { mode: 0o700 });
  if (key !== undefined) writeFileSync(join(folder, credentialFile), key, { mode: 0o600 });
  const writePolicy = (contractors: boolean): void => {
    const credential = key === undefined ? undefined : credentialFile;
    writeFileSync(`${policyFile}.new`, policyYaml({ issuer: issuer.url, credentialFile: credential, contractors }));
    renameSync(`${policyFile}.new`, policyFile);
  };
  writePolicy(true);

  const sidecar = spawn(
    process.execPath,
    [
      'dist/sidecar.js',
      ...['--policy', policyFile],
      ...['--upstream', direct],
      ...['--listen', `127.0.0.1:${await portOr(8443)}`],
      ...['--admin', `127.0.0.1:${await portOr(9090)}`],
      ...['--data', join(folder, 'data')],
      ...['--audit', auditFile],
      ...['--approvals', approvals],
      ...['--grants', grants],
    ],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  // However this process ends, the sidecar does not outlive it.
  process.once('exit', () => sidecar.kill());
  const up = await sidecarUp(sidecar, sidecarLog);
  let closing = false;
  sidecar.on('exit', (code) => {
    if (!closing) onDeath(code);
  });

  return {
    folder,
    url: `https://${up.listen}`,
    port: Number(up.listen.split(':').at(-1)),
    admin: `http://${up.admin}`,
    direct,
    modelKey: key,
    scripted,
    model,
    issuer: issuer.url,
    approvals,
    grants,
    auditFile,
    auditKey: readFileSync(join(folder, 'data', 'record.key')),
    caFile: join(folder, 'data', 'ca.pem'),
    sidecarLog,
    token: (person, more) => tokenOf(issuer, person, more),
    allowContractors: writePolicy,
    async close() {
      closing = true;
      const gone = new Promise((resolve) => sidecar.once('exit', resolve));
      if (sidecar.exitCode === null && sidecar.signalCode === null && sidecar.kill('SIGTERM')) await gone;
      await scripted?.close();
      await issuer.close();
    },
  };
}

/** As its owner gets it, over HTTP; minted only where the tour needs one that no issuer should hand out. */
function tokenOf(issuer: Issuer, person: Person, more: TokenOptions | undefined): Promise<string> {
  if (more === undefined) return issuer.fetchToken(person);
  return issuer.token({ sub: person, groups: people[person].groups, ...more });
}

function ownKey({ keyFile }: OwnModel): string | undefined {
  if (keyFile === undefined) return undefined;
  try {
    return readFileSync(keyFile, 'utf8').trim();
  } catch (cause) {
    throw new Error(`UPSTREAM_KEY_FILE: ${keyFile} cannot be read`, { cause });
  }
}

async function firstModel(origin: string, key: string | undefined): Promise<string> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const answer = await fetch(`${origin}/v1/models`, { headers }).catch((cause: unknown) => {
    throw new Error(`the model server at ${origin} does not answer`, { cause });
  });
  const { data } = (await answer.json().catch(() => ({}))) as { readonly data?: readonly { readonly id: string }[] };
  const id = data?.[0]?.id;
  if (id !== undefined) return id;
  const why = answer.ok ? 'lists no model' : `says ${answer.status}`;
  throw new Error(
    `the model server at ${origin} ${why} at /v1/models: give MODEL=name (and UPSTREAM_KEY_FILE=file where it wants a key)`,
  );
}

/** The port if it is free, so that the printed commands look alike each time; else 0, any. */
function portOr(wanted: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(0));
    probe.listen(wanted, '127.0.0.1', () => probe.close(() => resolve(wanted)));
  });
}

/** Waits for the line that names the ports, and keeps all lines in a file. */
async function sidecarUp(sidecar: ChildProcess, log: string): Promise<{ listen: string; admin: string }> {
  const { stderr } = sidecar;
  if (stderr === null) throw new Error('the sidecar has no log');
  const file = createWriteStream(log);
  const lines: string[] = [];
  return await new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${why}:\n${lines.slice(-5).join('\n')}`));
    const patience = setTimeout(() => fail('the sidecar did not come up in a minute'), 60_000);
    sidecar.once('exit', (code) => {
      clearTimeout(patience);
      fail(`the sidecar ended with ${code}`);
    });
    createInterface({ input: stderr }).on('line', (line) => {
      file.write(`${line}\n`);
      lines.push(line);
      if (lines.length > 50) lines.shift();
      const up = readUp(line);
      if (up === undefined) return;
      clearTimeout(patience);
      resolve(up);
    });
  });
}

function readUp(line: string): { listen: string; admin: string } | undefined {
  try {
    const { message, listen, admin } = JSON.parse(line) as Record<string, unknown>;
    if (message !== 'sidecar is up' || typeof listen !== 'string' || typeof admin !== 'string') return undefined;
    return { listen, admin };
  } catch {
    return undefined; // A line that is not from the logger, such as a warning of Node's.
  }
}
