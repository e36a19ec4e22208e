/** What came of one step. */
export interface Outcome {
  /** What came back, in a few words: `403 guard_blocked`. */
  readonly came: string;
  /** Why: the rule that acted, or what shows that the promise was kept. */
  readonly why: string;
  readonly kept: boolean;
}

const color = (code: number, text: string): string => (process.stdout.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text);

/** Prints one line a step, and counts. */
export class Report {
  kept = 0;
  broken = 0;
  skipped = 0;

  heading(text: string): void {
    process.stdout.write(`\n${color(1, text)}\n`);
  }

  note(text: string): void {
    process.stdout.write(`${color(2, text)}\n`);
  }

  async step(asked: string, run: () => Promise<Outcome>): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await run();
    } catch (error) {
      outcome = { came: 'failed', why: error instanceof Error ? error.message : String(error), kept: false };
    }
    if (outcome.kept) this.kept++;
    else this.broken++;
    this.#line(outcome.kept ? color(32, '✓') : color(31, '✗'), asked, outcome.came, outcome.why);
  }

  /** A step that needs scripted answers, in front of somebody's own model. */
  skip(asked: string): void {
    this.skipped++;
    this.#line(color(2, '–'), asked, 'n/a', 'needs the scripted model server');
  }

  /** True when every promise was kept. */
  finish(): boolean {
    const parts = [
      `${this.kept} as promised`,
      `${this.broken} not`,
      ...(this.skipped > 0 ? [`${this.skipped} n/a`] : []),
    ];
    process.stdout.write(`\n${color(this.broken === 0 ? 32 : 31, parts.join(', '))}\n`);
    return this.broken === 0 && this.kept > 0;
  }

  #line(mark: string, asked: string, came: string, why: string): void {
    process.stdout.write(` ${mark} ${asked.padEnd(52)} ${came.padEnd(28)} ${color(2, why)}\n`);
  }
}
