import { parseArgs } from 'node:util';

/** One flag: `text` takes a value, `list` may be given several times, `switch` takes none. */
export interface FlagSpec {
  readonly kind: 'text' | 'list' | 'switch';
  /** For `text` and `list`: the only values that are taken. */
  readonly choices?: readonly string[];
  /** One letter: `n` for `-n`. */
  readonly short?: string;
}

export interface Flags {
  text(name: string): string | undefined;
  list(name: string): readonly string[];
  on(name: string): boolean;
  readonly positionals: readonly string[];
}

export type FlagsResult = { readonly flags: Flags } | { readonly faults: readonly string[] } | { readonly help: true };

type Token = ReturnType<typeof tokensOf>[number];

function tokensOf(args: readonly string[], specs: Readonly<Record<string, FlagSpec>>) {
  const options = Object.fromEntries(
    [...Object.entries(specs), ['help', { kind: 'switch' } as FlagSpec] as const].map(([name, { kind, short }]) => [
      name,
      {
        type: kind === 'switch' ? ('boolean' as const) : ('string' as const),
        multiple: true,
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  // Not strict: the parser would stop at the first fault, and all of them are to be reported together.
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

class Reading {
  readonly faults: string[] = [];
  readonly positionals: string[] = [];
  readonly values = new Map<string, string[]>();
  help = false;
  readonly #specs: Readonly<Record<string, FlagSpec>>;

  constructor(specs: Readonly<Record<string, FlagSpec>>) {
    this.#specs = specs;
  }

  take(token: Token): void {
    if (token.kind === 'positional') this.positionals.push(token.value);
    if (token.kind === 'option') this.#option(token);
  }

  #option({ name, rawName, value, inlineValue }: Extract<Token, { kind: 'option' }>): void {
    if (name === 'help' || rawName === '-h') {
      this.help = true;
      return;
    }
    const spec = Object.hasOwn(this.#specs, name) ? this.#specs[name] : undefined;
    if (spec === undefined) {
      const known = Object.keys(this.#specs).map((one) => `--${one}`);
      this.faults.push(`${rawName}: there is no such flag. Known: ${[...known, '--help'].join(', ')}`);
      return;
    }
    if (spec.kind === 'switch') {
      if (value !== undefined) this.faults.push(`${rawName} takes no value`);
      this.values.set(name, ['true']);
      return;
    }
    // The parser takes whatever comes next.
    if (value === undefined || value === '' || (inlineValue === false && this.#isFlag(value))) {
      const hint =
        value === undefined || value === '' ? '' : `: ${value} is a flag (${rawName}=${value} if it is meant)`;
      this.faults.push(`${rawName} needs a value${hint}`);
      return;
    }
    if (spec.choices !== undefined && !spec.choices.includes(value)) {
      this.faults.push(`${rawName} must be one of ${spec.choices.join(', ')}`);
    }
    const before = this.values.get(name) ?? [];
    if (spec.kind === 'text' && before.length > 0) this.faults.push(`${rawName} is given twice`);
    this.values.set(name, [...before, value]);
  }

  #isFlag(text: string): boolean {
    return (
      text.startsWith('--') || text === '-h' || Object.values(this.#specs).some(({ short }) => text === `-${short}`)
    );
  }
}

/** Reads arguments; everything that is wrong with them comes back together. */
export function parseFlags(
  args: readonly string[],
  specs: Readonly<Record<string, FlagSpec>>,
  positionals: { readonly name: string; readonly least: number; readonly most: number },
): FlagsResult {
  const reading = new Reading(specs);
  for (const token of tokensOf(args, specs)) reading.take(token);
  if (reading.help) return { help: true };
  const { faults, values } = reading;
  const count = reading.positionals.length;
  if (count < positionals.least) faults.push(`${positionals.name} is missing`);
  if (count > positionals.most) {
    faults.push(`${reading.positionals.slice(positionals.most).join(' ')}: there is nothing more to give`);
  }
  if (faults.length > 0) return { faults };
  return {
    flags: {
      text: (name) => values.get(name)?.[0],
      list: (name) => values.get(name) ?? [],
      on: (name) => values.has(name),
      positionals: reading.positionals,
    },
  };
}
