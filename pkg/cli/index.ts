export type {
  Cluster,
  Command,
  CommandIo,
  ExitCode,
  FileOutput,
  FolderIo,
  HttpAnswer,
  HttpQuestion,
} from './command.ts';
export type { LoginIo, WebAnswer } from './login/login-io.ts';
export { run } from './run.ts';
export { commands } from './commands.ts';
