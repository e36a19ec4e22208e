import { accessSync, constants, statSync } from 'node:fs';
import { errorCode } from '../base/index.ts';
import type { LogLevel } from '../base/index.ts';

/** What a process may be told, by flag: `--log-level`, or by the environment: `SIDEGATE_LOG_LEVEL`. Flags win. */
export interface Flag {
  readonly help: string;
  /** Where nobody says anything. */
  readonly fallback?: string;
  /** Its absence is a fault. */
  readonly required?: boolean;
  /** Has no value: given or not (in the environment: `true`). */
  readonly isSwitch?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** Where a server listens. An empty host: all addresses. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * The values of flags. What is wrong with one is added to `faults` and a value of its type given all the same, so that all faults are
 * told together; whoever reads looks at `faults` last.
 */
export interface FlagReader<Name extends string> {
  readonly faults: string[];
  /** Empty: not given. */
  text(name: Name): string;
  /** Undefined: not given. */
  optional(name: Name): string | undefined;
  /** The one of `values` that is given; the first of them beside the fault. */
  oneOf<Value extends string>(name: Name, values: readonly [Value, ...Value[]]): Value;
  /** A file that is read when the process starts: that it cannot be is a fault. Undefined: not given. */
  file(name: Name): string | undefined;
  isOn(name: Name): boolean;
  /** Items joined by commas. */
  list(name: Name): readonly string[];
  /** Not negative. @param of What it counts, for the fault: `seconds`. @param most Default: any. */
  number(name: Name, of: string, most?: number): number;
  /** `host:port`, `[::1]:port` or `:port`. */
  address(name: Name): Address;
  logLevel(name: Name): LogLevel;
}

/** How the environment names a flag. */
const variable = (name: string): string => `SIDEGATE_${name.toUpperCase().replaceAll('-', '_')}`;

/** What follows a flag, and is none. */
const isValue = (arg: string | undefined): arg is string => arg !== undefined && !/^-./.test(arg);

/** Values by name, of switches `true`. What cannot be read is a fault, and nothing else is read otherwise for it. */
function readArguments(
  definitions: Flags,
  args: readonly string[],
  faults: string[],
): ReadonlyMap<string, string | true> {
  const given = new Map<string, string | true>();
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(arg);
    const [name, inline] = [match?.[1], match?.[2]];
    if (name === undefined || !(name === 'help' || Object.hasOwn(definitions, name))) {
      faults.push(`${name === undefined ? arg : `--${name}`}: there is no such flag`);
      if (name !== undefined && inline === undefined && isValue(args[at + 1])) at++;
      continue;
    }
    if (name === 'help' || definitions[name]?.isSwitch === true) {
      given.set(name, true);
      if (inline !== undefined) faults.push(`--${name} takes no value`);
      continue;
    }
    const value = inline ?? (isValue(args[at + 1]) ? args[++at] : undefined);
    // There, with a fault of its own: it is not missing as well.
    given.set(name, value ?? true);
    if (value === undefined) faults.push(`--${name} needs a value: --${name}=…`);
  }
  return given;
}

/** Why a file cannot be read, or undefined. */
function unreadable(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isDirectory() ? 'EISDIR' : undefined;
  } catch (error) {
    return errorCode(error) ?? 'unknown';
  }
}

/**
 * @returns Undefined where `--help` is asked for. A flag that does not exist, or lacks its value, is a fault.
 */
export function readFlags<Definitions extends Flags>(
  definitions: Definitions,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): FlagReader<keyof Definitions & string> | undefined {
  const faults: string[] = [];
  const given = readArguments(definitions, args, faults);
  if (given.has('help')) return undefined;
  const text = (name: string): string => {
    const value = given.get(name) ?? environment[variable(name)];
    return typeof value === 'string' && value !== '' ? value : (definitions[name]?.fallback ?? '');
  };
  for (const [name, { help, required = false }] of Object.entries(definitions))
    if (required && text(name) === '' && given.get(name) !== true) faults.push(`--${name} is missing: ${help}`);

  const oneOf = <Value extends string>(name: string, values: readonly [Value, ...Value[]]): Value => {
    const value = values.find((one) => one === text(name));
    if (value === undefined)
      faults.push(`--${name} must be ${[values.slice(0, -1).join(', '), ...values.slice(-1)].join(' or ')}`);
    return value ?? values[0];
  };
  return {
    faults,
    text,
    optional: (name) => (text(name) === '' ? undefined : text(name)),
    oneOf,
    file(name) {
      const path = text(name);
      if (path === '') return undefined;
      const why = unreadable(path);
      if (why !== undefined) faults.push(`--${name}: ${path} cannot be read (${why})`);
      return path;
    },
    isOn: (name) => given.has(name) || environment[variable(name)] === 'true',
    list: (name) =>
      text(name)
        .split(',')
        .filter((item) => item !== ''),
    number(name, of, most = Number.MAX_VALUE) {
      const value = Number(text(name));
      if (Number.isFinite(value) && value >= 0 && value <= most) return value;
      faults.push(`--${name} must be a number of ${of}${most === Number.MAX_VALUE ? '' : `, at most ${most}`}`);
      return 0;
    },
    address(name) {
      const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text(name));
      const port = Number(match?.[3]);
      if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
      faults.push(`--${name} must be host:port`);
      return { host: '', port: 0 };
    },
    logLevel: (name) => oneOf(name, ['debug', 'info', 'warn', 'error']),
  };
}

/**
 * What `--help` prints.
 *
 * @param about One line: the name of the process, and what it does.
 * @param flagsAlone It takes nothing from the environment.
 */
export function usageOf(about: string, definitions: Flags, flagsAlone = false): string {
  const lines = Object.entries(definitions).map(([name, { help, fallback = '', required = false }]) => {
    const note = required ? ' (required)' : fallback === '' ? '' : ` (default ${fallback})`;
    return `  --${name.padEnd(24)} ${help}${note}\n`;
  });
  const note = '\nEach flag may also be given by the environment: --log-level as SIDEGATE_LOG_LEVEL.\n';
  return `${about}\n\n${lines.join('')}${flagsAlone ? '' : note}`;
}
