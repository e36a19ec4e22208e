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
import { auditEvidenceCommand } from './audit/evidence.ts';
import { auditExplainCommand } from './audit/explain.ts';
import { auditExportCommand } from './audit/export.ts';
import { auditKeygenCommand } from './audit/keygen.ts';
import { auditReplayCommand } from './audit/replay.ts';
import { auditHoldCommand, auditHoldsCommand, auditReleaseCommand } from './audit/hold.ts';
import { auditRestoreCommand } from './audit/restore.ts';
import { auditSearchCommand } from './audit/search.ts';
import { auditShipCommand } from './audit/ship.ts';
import { auditShowCommand } from './audit/show.ts';
import { auditVerifyCommand } from './audit/verify.ts';
import type { Command } from './command.ts';
import { admissionRemoveCommand } from './admission-remove.ts';
import { checkCommand } from './check.ts';
import { completionCommand, suggestCommand } from './completion.ts';
import { enableCommand } from './enable.ts';
import { gatewayCreateCommand } from './gateway-create.ts';
import { injectCommand } from './inject.ts';
import { loginCommand } from './login.ts';
import { policyExplainCommand } from './policy-explain.ts';
import { policyTestCommand } from './policy-test.ts';
import { policyValidateCommand } from './policy-validate.ts';
import { selfTestCommand } from './self-test.ts';
import { tokenCommand } from './token.ts';
import { topCommand } from './top/top.ts';
import { versionCommand } from './version.ts';

/** All commands, in the order of their help. docs/cli.md is made of them. */
export const commands: readonly Command[] = [
  enableCommand,
  injectCommand,
  gatewayCreateCommand,
  caCommand,
  checkCommand,
  policyValidateCommand,
  policyExplainCommand,
  policyTestCommand,
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
  topCommand,
  selfTestCommand,
  auditSearchCommand,
  auditShowCommand,
  auditVerifyCommand,
  auditEvidenceCommand,
  auditReplayCommand,
  auditExplainCommand,
  auditExportCommand,
  auditRestoreCommand,
  auditKeygenCommand,
  auditHoldsCommand,
  auditHoldCommand,
  auditReleaseCommand,
  auditShipCommand,
  admissionRemoveCommand,
  completionCommand,
  versionCommand,
];

/** Called by shells. */
export const hiddenCommands: readonly Command[] = [suggestCommand(commands)];
