export type { Command, CommandIo, ExitCode } from './command.ts';
export { run } from './run.ts';
