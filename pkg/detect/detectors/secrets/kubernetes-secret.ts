import type { Detector } from '../../detector.ts';
import { likelyAsTold } from '../../verdict.ts';
import { holdsWord, isWordCharacter } from '../characters.ts';

// A value under `data:` of a Kubernetes Secret in YAML, whatever its key: base64 in whole groups of four.
// Coverage: the value. Limit: values more than `reach` characters behind `kind: Secret`, and manifests in which `kind` comes last: there the key
// must tell (assignment.ts).

const reach = 160;
const longest = 160;
const inBase64 = (code: number): boolean => isWordCharacter(code) || code === 0x2b || code === 0x2f || code === 0x3d;

function valueFrom(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && text.charCodeAt(at) !== 0x3a) at += 1;
  at += 1;
  while (at < end && text.charCodeAt(at) === 0x20) at += 1;
  const code = text.charCodeAt(at);
  return code === 0x22 || code === 0x27 ? at + 1 : at;
}

export const kubernetesSecret: Detector = {
  name: 'Credential',
  pattern: `\\n {1,8}["']?[0-9A-Za-z._-]{1,63}["']?: {1,2}["']?[0-9A-Za-z+/]{4,${longest}}={0,2}`,
  maxLength: 1 + 8 + 1 + 63 + 1 + 1 + 2 + 1 + longest + 2,
  left: reach,
  right: 1,
  verdict: likelyAsTold,
  accept(text, start, end) {
    if (inBase64(text.charCodeAt(end)) || (end - valueFrom(text, start, end)) % 4 !== 0) return false;
    return holdsWord(text, start - reach, start, kinds) && holdsWord(text, start - reach, start, data);
  },
  from: valueFrom,
  significant: isWordCharacter,
  leastSignificant: 40,
};

const kinds = ['kind: secret'];
const data = ['data:'];
