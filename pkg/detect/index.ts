export { checkPattern } from './automaton/pattern.ts';
export { carriedOut } from './carried-out.ts';
export type { CarriedOut } from './carried-out.ts';
export { compileScanner } from './compile-scanner.ts';
export { mayReadOtherwise, otherReadings, readsAcross } from './decode/index.ts';
export type { Joints, Reading, ReadingOptions } from './decode/index.ts';
export type { Detector } from './detector.ts';
export { idlePatterns } from './idle-patterns.ts';
export { preparedProgramsText } from './prepare.ts';
export type {
  Edit,
  Hit,
  LaneEnd,
  LaneKind,
  LaneScanner,
  MaskResult,
  PairLane,
  PairResult,
  PatternFault,
  Scanner,
  ScannerOptions,
  View,
  ViewPair,
  ViewSpec,
} from './scanner.ts';
