import type { MatchSpec, Policy, PolicyNotice } from '../core/index.ts';
import { readPattern } from './automaton/pattern.ts';
import type { Pattern } from './automaton/pattern.ts';

/** Patterns that find nothing whatever the text, since what they describe has no characters: `$`, `\b`, `(?i)^$`. Those that cannot be used are not named. */
export function idlePatterns({ kind, name, spec }: Policy): readonly PolicyNotice[] {
  const policy = kind === 'ClusterInferencePolicy' ? `cluster/${name}` : name;
  const noticesOf = (match: MatchSpec, field: string): PolicyNotice[] =>
    match.patterns
      .filter(({ pattern, maxLength }) => isIdle(readPattern(pattern, maxLength)))
      .map(({ pattern }) => ({
        policy,
        field,
        message: `pattern ${pattern} never finds anything: it describes a place and no characters. Give it some`,
      }));
  return [
    ...spec.guards.flatMap((guard) => noticesOf(guard.match, `guards[${guard.name}].match`)),
    ...spec.classification.flatMap((rule) => noticesOf(rule.match, `classification[${rule.label}]`)),
  ];
}

function isIdle(pattern: Pattern | object): boolean {
  if (!('instructions' in pattern)) return false;
  const seen = new Set([pattern.start]);
  for (const at of seen) {
    const one = pattern.instructions[at];
    if (one?.op === 'char') return false;
    if (one === undefined || !('out' in one)) continue;
    seen.add(one.out);
    if (one.op === 'alt') seen.add(one.other);
  }
  return true;
}
