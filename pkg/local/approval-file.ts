import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { connect } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CodedError } from '../base/index.ts';
import type { ApprovalAsk, ApprovalPhase, ApprovalSpec, Snapshot, TokenVote } from '../core/index.ts';
import { apiVersion } from '../crd/index.ts';
import type { ApprovalSpecResource, ApprovalStatusResource } from '../crd/index.ts';
import { settledFolder } from './settled-folder.ts';

/** Name of the socket in the folder of approvals. */
export const decisionSocket = 'decide.sock';

/** The folder of approvals cannot be used. Messages are for the operator. */
export class ApprovalFolderError extends CodedError<'writable_by_others' | 'taken' | 'path_too_long'> {}

/**
 * Approvals as files for people to read, one each, in the form of the resources of a cluster.
 *
 * Promise: nothing is ever read from them. Who may write one changes what others read, and nothing that is decided.
 */
export interface ApprovalFiles {
  /** @throws as node:fs. */
  write(approval: ApprovalFile): void;
  remove(name: string): void;
}

export interface ApprovalFile {
  readonly name: string;
  readonly namespace: string;
  readonly createdAt: string;
  readonly spec: Omit<ApprovalSpecResource, 'expiresAt'>;
  /** Wall clock, milliseconds. */
  readonly expiresAt: number;
  readonly phase: ApprovalPhase;
  readonly votes: readonly TokenVote[];
  /** Session that it let through. */
  readonly usedBy: string | undefined;
}

const fileName = /^\.?[0-9a-f]{16}-[1-9][0-9]{0,8}\.yaml$/;

/**
 * Takes a folder that nobody but this process's user may write or put another in place of, and removes what an earlier process left: what
 * waited there is over.
 *
 * @returns `folder`: its path without symbolic links, where the socket belongs.
 * @throws ApprovalFolderError, FolderPlaceError, or as node:fs
 */
export async function openApprovalFiles(asked: string): Promise<ApprovalFiles & { readonly folder: string }> {
  mkdirSync(asked, { recursive: true, mode: 0o700 });
  const folder = await settledFolder(asked);
  const { mode, uid } = statSync(folder);
  if ((mode & 0o022) !== 0 || uid !== process.getuid?.()) {
    throw new ApprovalFolderError(
      'writable_by_others',
      `${folder}: must belong to the user of the sidecar, and be writable by nobody else (chmod go-w): people trust what stands there`,
    );
  }
  if (await isAnswered(join(folder, decisionSocket)))
    throw new ApprovalFolderError('taken', `${folder}: another sidecar uses this folder`);
  for (const name of readdirSync(folder)) if (fileName.test(name)) rmSync(join(folder, name), { force: true });
  const pathOf = (name: string): string => join(folder, `${name}.yaml`);
  return {
    folder,
    write(approval) {
      const draft = join(folder, `.${approval.name}.yaml`);
      writeFileSync(draft, stringify(resourceOf(approval)), { mode: 0o640 });
      // Whatever the umask: who may enter the folder by their group is meant to read.
      chmodSync(draft, 0o640);
      renameSync(draft, pathOf(approval.name));
    },
    remove: (name) => rmSync(pathOf(name), { force: true }),
  };
}

const isAnswered = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

function resourceOf({ name, namespace, createdAt, spec, expiresAt, phase, votes, usedBy }: ApprovalFile): object {
  const status: ApprovalStatusResource = {
    phase,
    ...(votes.length > 0 && { decisions: votes }),
    ...(usedBy !== undefined && { usedBy: { pod: spec.pod.uid, session: usedBy } }),
  };
  return {
    apiVersion,
    kind: 'InferenceApproval',
    metadata: { name, namespace, creationTimestamp: createdAt },
    spec: { ...spec, expiresAt: new Date(expiresAt).toISOString() },
    status,
  };
}

/** What an approval is about and who decides it. */
export function specOf(
  ask: ApprovalAsk,
  { sources }: Pick<Snapshot, 'sources'>,
  approvals: Pick<ApprovalSpec, 'approvers' | 'required'>,
  digest: string,
): ApprovalFile['spec'] {
  const { provider, issuer, subject, kubernetesUser, naming, sub } = ask.requester;
  return {
    policies: sources.map(({ kind, name, uid, generation }) => ({ kind, name, uid, generation })),
    rules: ask.rules,
    direction: ask.direction,
    pod: { name: hostname(), uid: `process-${process.pid}` },
    requester: {
      provider,
      issuer,
      subject,
      ...(kubernetesUser !== undefined && { kubernetesUser }),
      ...(naming !== undefined && { naming }),
      ...(sub !== undefined && { sub }),
    },
    operation: ask.operation,
    ...(ask.model !== undefined && { model: ask.model }),
    digest,
    session: ask.session,
    excerpt: ask.excerpt.toWellFormed(),
    approvers: approvals.approvers.map((one) => ({
      ...(one.authenticated && { authenticated: true as const }),
      ...(one.group !== undefined && { group: one.group }),
      ...(one.subject !== undefined && { subject: one.subject }),
      ...(one.scope !== undefined && { scope: one.scope }),
      ...(one.provider !== undefined && { provider: one.provider }),
    })),
    required: approvals.required ?? 1,
  };
}
