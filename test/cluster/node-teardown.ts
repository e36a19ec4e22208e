// After the node tier: takes the cluster down if the tests brought it up, and leaves one that was there before.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import { startedByTests, stateFolder } from './node.ts';

export default async function takeDown(): Promise<void> {
  if (!existsSync(startedByTests(stateFolder()))) return;
  const { status, stderr } = await runCommand(join(import.meta.dirname, 'down.sh'), []);
  if (status !== 0) throw new Error(`the cluster could not be taken down: ${stderr}`);
}
