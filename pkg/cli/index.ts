export type { Cluster, Command, CommandIo, ExitCode, HttpAnswer, HttpQuestion } from './command.ts';
export { run } from './run.ts';
