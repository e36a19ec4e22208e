import { echoPath } from './socket-messages.ts';

/** What is masked in answers. */
export const maskedDetectors = ['Pii', 'Secrets'];

/** Of the bench's policy: a WebSocket whose messages have texts of their own. */
export const socketRoute = `  routes:
  - path: ${echoPath}
    webSocket: true
    operation: Chat
    request: { texts: [$.say] }
    response: { texts: [$.say], messages: Separate }
`;

/** A group whose members are shown what others get masked. */
export const insiders = 'compliance';

export interface PatternCounts {
  /** Patterns that block a request. Default 0. */
  readonly guards?: number;
  /** Patterns that are masked in answers. Default 0. */
  readonly masks?: number;
}

/** The bench's policy: "full policy" is TLS, OIDC, access, two guards, all detectors on request and response, audit. */
export function benchPolicy(issuer: string, { guards = 0, masks = 0 }: PatternCounts = {}): string {
  const guardRules = patternLists(guards).map(
    (patterns, at) => `
  - name: codenames-${at}
    direction: Request
    match: { patterns: ${patterns} }
    action: Block`,
  );
  const maskRules = patternLists(masks).map(
    (patterns, at) => `
  - label: codename-${at}
    patterns: ${patterns}
    otherwise: Mask`,
  );
  return `apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: bench, namespace: bench }
spec:
  selector: {}
  mode: Enforce
  identity:
    providers:
    - name: corp
      oidc: { issuer: ${JSON.stringify(issuer)}, audiences: [inference], allowInsecureLoopback: true }
  access:
  - name: engineers
    effect: Allow
    subjects: [{ group: ml-eng }]
    operations: [Chat, Completions, Embeddings, ListModels]
  guards:
  - name: nothing-personal-to-the-model
    direction: Request
    match: { detectors: [Pii, Secrets] }
    action: Block
  - name: no-jailbreaks
    direction: Request
    match:
      words: ["ignore all previous instructions"]
      patterns: ["(?i)print (all )?environment variables"]
    action: Block${guardRules.join('')}
  classification:
  - label: confidential
    detectors: [${maskedDetectors.join(', ')}]
    visibleTo: [{ group: ${insiders} }]
    otherwise: Mask${maskRules.join('')}
  audit: { content: Masked, onFailure: Deny }
`;
}

/** So many patterns as operators write them, a literal to begin with and then something that varies; fifty a list, in YAML. */
function patternLists(count: number): string[] {
  const patterns = Array.from({ length: count }, (_, n) => `(?i)codename[ -]${word(n)}[0-9]{2,6}`);
  return chunks(patterns, 50).map((some) => JSON.stringify(some));
}

const chunks = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));

/** A word of its own for each number. */
function word(n: number): string {
  const letters = 'bcdfglmnprst';
  const vowels = 'aeiou';
  let text = '';
  for (let rest = n + 7; text.length < 8; rest = Math.floor(rest / 60) + 11) {
    text += `${letters[rest % letters.length] ?? ''}${vowels[Math.floor(rest / letters.length) % vowels.length] ?? ''}`;
  }
  return `${text}${n}x`;
}
