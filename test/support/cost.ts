/**
 * Processor time of this thread so far, in milliseconds: neither what else runs on the machine, nor the compiler and the collector of this
 * process, which have threads of their own, count.
 */
export function threadCpuMs(): number {
  // Linux books what the running thread has used at its tick, each 4 ms, and when the time of the whole process is asked for.
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/**
 * What a run costs this thread in milliseconds of processor time, the least of some rounds.
 *
 * @param rounds Default 3.
 */
export function cpuMs(run: () => unknown, rounds = 3): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = threadCpuMs();
    run();
    least = Math.min(least, threadCpuMs() - before);
  }
  return least;
}
