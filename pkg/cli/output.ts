import type { CommandIo } from './command.ts';
import type { FlagSpec, Flags } from './flags.ts';
import { jsonText, printable, yamlText } from './terminal-text.ts';

/** `-o json|yaml|wide`, as kubectl has it. */
export const outputFlags = {
  output: { kind: 'text', short: 'o', choices: ['json', 'yaml', 'wide'] },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const outputUsage = '  -o, --output FORMAT    json, yaml or wide; default a table\n';

/** `-o json|yaml`, of commands that answer in words otherwise. */
export const answerFlags = {
  output: { kind: 'text', short: 'o', choices: ['json', 'yaml'] },
} as const satisfies Readonly<Record<string, FlagSpec>>;

export const answerUsage = '  -o, --output FORMAT    json or yaml; default words\n';

/** `--json`, the older spelling of `-o json`. */
export const jsonFlag = { json: { kind: 'switch' } } as const satisfies Readonly<Record<string, FlagSpec>>;

export const doubleJson = (flags: Flags): readonly string[] =>
  flags.on('json') && flags.on('output') ? ['--json and -o are one or the other'] : [];

/** Prints a value as `-o` or `--json` says; false: they do not say json or yaml, and nothing is printed. */
export function printValue(value: unknown, flags: Flags, io: Pick<CommandIo, 'stdout'>): boolean {
  const format = flags.on('json') ? 'json' : flags.text('output');
  if (format === 'json') io.stdout(`${jsonText(value, 2)}\n`);
  else if (format === 'yaml') io.stdout(yamlText(value));
  else return false;
  return true;
}

/** Bytes that must stay as they are: a terminal's own commands, or what was hashed. */
export function printRaw(text: string, io: Pick<CommandIo, 'raw' | 'stdout'>): void {
  if (io.raw === undefined) io.stdout(text);
  else io.raw(text);
}

export interface Column<T> {
  readonly title: string;
  read(item: T): string;
  /** Shown with `-o wide` alone. */
  readonly wide?: boolean;
}

/** Of each column, characters. Rows may be more than one call has arguments. */
export function widthsOf(rows: readonly (readonly string[])[]): readonly number[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return widths;
}

export function table<T>(items: readonly T[], columns: readonly Column<T>[], wide: boolean): string {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const rows = [
    shown.map(({ title }) => title),
    ...items.map((item) => shown.map(({ read }) => printable(read(item)))),
  ];
  const widths = widthsOf(rows);
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Objects as they are, or a table of them. */
export function printObjects<T>(
  items: readonly T[],
  {
    flags,
    columns,
    none,
    single = false,
  }: {
    readonly flags: Flags;
    readonly columns: readonly Column<T>[];
    /** Said where there are none. */
    readonly none: string;
    /** One object is meant: it is printed by itself and not in a list. */
    readonly single?: boolean;
  },
  io: CommandIo,
): void {
  if (printValue(single ? items[0] : { apiVersion: 'v1', kind: 'List', items }, flags, io)) return;
  if (items.length === 0) io.stderr(`${none}\n`);
  else io.stdout(table(items, columns, flags.text('output') === 'wide'));
}

/** `4m`, `2h`: how far away a time is; `0s` for what is over. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
