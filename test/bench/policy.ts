/** The bench's policy: "full policy" is TLS, OIDC, access, two guards, all detectors on request and response, audit. */
export function benchPolicy(issuer: string, patterns = 0): string {
  // As operators write them: a literal to begin with, then something that varies.
  const extra = Array.from({ length: patterns }, (_, n) => `(?i)codename[ -]${word(n)}[0-9]{2,6}`);
  const guards = chunks(extra, 50).map(
    (some, at) => `
  - name: codenames-${at}
    direction: Request
    match: { patterns: [${some.map((one) => JSON.stringify(one)).join(', ')}] }
    action: Block`,
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
    action: Block${guards.join('')}
  classification:
  - label: confidential
    detectors: [Pii, Secrets]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
  audit: { content: Masked, onFailure: Deny }
`;
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
