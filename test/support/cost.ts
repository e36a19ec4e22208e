/**
 * What a run costs this thread in milliseconds of processor time, the least of some rounds: neither what else runs on the machine, nor the
 * compiler and the collector of this process, which have threads of their own, count.
 *
 * @param rounds Default 3.
 */
export function cpuMs(run: () => unknown, rounds = 3): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.threadCpuUsage();
    run();
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1_000);
  }
  return least;
}
