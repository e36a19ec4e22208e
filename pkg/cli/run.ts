import { accessListCommand } from './access-list.ts';
import { accessRequestCommand } from './access-request.ts';
import { accessRevokeCommand } from './access-revoke.ts';
import { accessRevokeTokenCommand } from './access-revoke-token.ts';
import { accessRevokedCommand } from './access-revoked.ts';
import { approvalsApproveCommand } from './approvals-approve.ts';
import { approvalsDenyCommand } from './approvals-deny.ts';
import { approvalsListCommand } from './approvals-list.ts';
import { approvalsShowCommand } from './approvals-show.ts';
import { approvalsWatchCommand } from './approvals-watch.ts';
import { caCommand } from './ca.ts';
import { auditExportCommand } from './audit/export.ts';
import { auditSearchCommand } from './audit/search.ts';
import { auditShowCommand } from './audit/show.ts';
import { auditVerifyCommand } from './audit/verify.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { admissionRemoveCommand } from './admission-remove.ts';
import { checkCommand } from './check.ts';
import { enableCommand } from './enable.ts';
import { gatewayCreateCommand } from './gateway-create.ts';
import { injectCommand } from './inject.ts';
import { loginCommand } from './login.ts';
import { policyExplainCommand } from './policy-explain.ts';
import { policyValidateCommand } from './policy-validate.ts';
import { selfTestCommand } from './self-test.ts';
import { tokenCommand } from './token.ts';

const commands: readonly Command[] = [
  enableCommand,
  injectCommand,
  gatewayCreateCommand,
  caCommand,
  checkCommand,
  policyValidateCommand,
  policyExplainCommand,
  approvalsListCommand,
  approvalsWatchCommand,
  approvalsShowCommand,
  approvalsApproveCommand,
  approvalsDenyCommand,
  accessRequestCommand,
  accessListCommand,
  accessRevokeCommand,
  accessRevokeTokenCommand,
  accessRevokedCommand,
  loginCommand,
  tokenCommand,
  selfTestCommand,
  auditSearchCommand,
  auditShowCommand,
  auditVerifyCommand,
  auditExportCommand,
  admissionRemoveCommand,
];

const usage = `sidegate: governs the traffic of inference pods

${commands.map((command) => `  sidegate ${command.name.padEnd(19)} ${command.summary}`).join('\n')}

sidegate COMMAND --help says more. As a kubectl plugin: kubectl sidegate COMMAND.
`;

function find(args: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  for (const command of commands) {
    const words = command.name.split(' ');
    if (words.every((word, at) => args[at] === word)) return { command, rest: args.slice(words.length) };
  }
  return undefined;
}

/** Runs one command line (without the program's own name). Never throws; commands that ask a cluster answer later. */
export function run(args: readonly string[], io: CommandIo): ExitCode | Promise<ExitCode> {
  const found = find(args);
  if (found === undefined) {
    const asked = args.length === 0 || args.includes('--help') || args.includes('-h') || args[0] === 'help';
    if (asked) io.stdout(usage);
    else io.stderr(`${args.slice(0, 2).join(' ').slice(0, 80)}: there is no such command\n\n${usage}`);
    return asked ? 0 : 2;
  }
  return found.command.run(found.rest, io);
}
