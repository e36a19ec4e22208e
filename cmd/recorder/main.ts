// The recorder. A young generation of 4 MB (32 by default) in both of its threads saves 90 MB at 10,000 lines a second (`make bench`) and
// costs nothing that can be measured. V8 reads that when it starts, so the process puts itself in its own place with it, unless whoever
// started it has set it.
const flag = '--max-semi-space-size';
const given = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];
if (!given.some((one) => one.replaceAll('_', '-').startsWith(flag)) && process.execve !== undefined) {
  const program = [process.execPath, `${flag}=4`, ...process.execArgv, import.meta.filename, ...process.argv.slice(2)];
  // Fewer arenas: not each thread keeps memory that it has freed.
  process.execve(process.execPath, program, { MALLOC_ARENA_MAX: '2', ...process.env });
}
await import('./run.ts');

export {};
