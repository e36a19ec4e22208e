// After the node tier: takes the cluster down if tests brought it up and no other run uses it; leaves one that was there before.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import { chosenContext, contextFolder } from './context.ts';
import { otherUsers, startedByTests, stateFolder, userFile } from './node.ts';

export default async function takeDown(): Promise<void> {
  rmSync(contextFolder(process.pid), { recursive: true, force: true });
  // An existing cluster is somebody's.
  if (chosenContext() !== undefined) return;
  const state = stateFolder();
  rmSync(userFile(state, process.pid), { force: true });
  if (!existsSync(startedByTests(state)) || otherUsers(state).length > 0) return;
  const { status, stderr } = await runCommand(join(import.meta.dirname, 'down.sh'), []);
  if (status !== 0) throw new Error(`the cluster could not be taken down: ${stderr}`);
}
