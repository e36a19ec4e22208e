import type { DetectorName, ScanRule } from '../core/index.ts';
import type { Detector } from './detector.ts';
import { detectors } from './detectors/index.ts';
import { foldCodePoint } from './fold/index.ts';
import type { Scanner, ScannerOptions } from './scanner.ts';
import { checkWith, compileWith } from './scan/compile.ts';
import type { Environment } from './scan/unit.ts';

const byName = Object.fromEntries(detectors.map((one) => [one.name, one])) as Partial<Record<DetectorName, Detector>>;

const environment: Environment = { detectors: byName, fold: foldCodePoint, decode: true };

/**
 * Compiles a snapshot's scan rules, with the built-in detectors.
 *
 * @throws CodedError `invalid_pattern` (names the pattern and gives the parser's message), `unknown_detector`, `invalid_word`,
 * `invalid_field_path`
 */
export function compileScanner(rules: readonly ScanRule[], options: ScannerOptions): Scanner {
  return compileWith(rules, options, environment);
}

/**
 * Refuses what {@link compileScanner} refuses, without building what searches.
 *
 * @throws as compileScanner
 */
export function checkScanRules(rules: readonly ScanRule[]): void {
  checkWith(rules, environment);
}
