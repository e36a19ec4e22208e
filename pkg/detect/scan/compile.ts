import { Recent } from '../../base/index.ts';
import type { ScanRule } from '../../core/index.ts';
import type { Scanner, ScannerOptions, View, ViewPair, ViewSpec } from '../scanner.ts';
import { compileFieldPaths } from './field-path.ts';
import { CompiledPair } from './pair.ts';
import { Compiled } from './plan.ts';
import { checkUnits, collectUnits } from './unit.ts';
import type { Environment } from './unit.ts';
import { CompiledView } from './view.ts';

/** Views that are kept for the next who asks for the same. */
const mostViews = 64;

class CompiledScanner implements Scanner {
  readonly rules: readonly ScanRule[];
  readonly #compiled: Compiled;
  readonly #decode: boolean;
  readonly #views = new Recent<string, View>(mostViews);

  constructor(compiled: Compiled, decode: boolean) {
    this.#decode = decode;
    this.rules = compiled.rules;
    this.#compiled = compiled;
  }

  view(spec: ViewSpec): View {
    const key = [spec.replace, spec.stop, spec.note].map((one) => setOf(one, this.rules.length)).join('|');
    let view = this.#views.get(key);
    if (view === undefined) this.#views.set(key, (view = new CompiledView(this.#compiled, spec, this.#decode)));
    return view;
  }

  pair(caller: View, record: View): ViewPair {
    if (!(caller instanceof CompiledView && record instanceof CompiledView))
      throw new TypeError('a view of another scanner');
    return new CompiledPair(caller, record, this.view(eitherOf(caller.spec, record.spec)) as CompiledView);
  }
}

/** Looks for what either looks for, and does nothing about it. */
function eitherOf(a: ViewSpec, b: ViewSpec): ViewSpec {
  const note = Uint8Array.from(a.note, (_, rule) => {
    const asks = [a.replace, a.stop, a.note, b.replace, b.stop, b.note].some((one) => one[rule] === 1);
    return asks ? 1 : 0;
  });
  const none = new Uint8Array(note.length);
  return { replace: none, stop: none, note };
}

function setOf(selection: Uint8Array, rules: number): string {
  const members: number[] = [];
  for (let rule = 0; rule < rules; rule++) if (selection[rule] === 1) members.push(rule);
  return members.join();
}

/**
 * Compiles all scan rules of a snapshot.
 *
 * @throws CodedError `invalid_pattern`, `unknown_detector`, `invalid_word`, `invalid_field_path`
 */
export function compileWith(rules: readonly ScanRule[], options: ScannerOptions, environment: Environment): Scanner {
  compileFieldPaths(rules, () => true);
  const units = collectUnits(rules, environment);
  return new CompiledScanner(
    new Compiled(rules, units, options.hashKey, environment.fold),
    environment.decode ?? false,
  );
}

/**
 * Refuses what {@link compileWith} refuses, without building what searches.
 *
 * @throws as compileWith
 */
export function checkWith(rules: readonly ScanRule[], environment: Environment): void {
  compileFieldPaths(rules, () => true);
  checkUnits(rules, environment);
}
