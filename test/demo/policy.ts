/** The demo's InferencePolicy: also what docs/quickstart.md builds up to. */
export interface PolicyChoice {
  readonly issuer: string;
  /** File with the model's own key; undefined: it wants none. */
  readonly credentialFile: string | undefined;
  /** Whether contractors may chat: what the tour takes away while one of them is being answered. */
  readonly contractors: boolean;
}

export const trialRequestsPerMinute = 3;

export function policyYaml({ issuer, credentialFile, contractors }: PolicyChoice): string {
  const contractorRule = `
  - name: contractors-chat
    effect: Allow
    subjects: [{ group: contractors }]
    operations: [Chat]`;
  const upstream = `  upstream:
    credential: { file: ${JSON.stringify(credentialFile)} }
`;
  return `# Written by \`make demo\`. Edit it while the demo runs: changes take effect within a second.
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: demo, namespace: ml }
spec:
  selector: {}
  mode: Enforce
${credentialFile === undefined ? '' : upstream}  identity:
    providers:
    - name: corp
      oidc: { issuer: ${JSON.stringify(issuer)}, audiences: [inference], allowInsecureLoopback: true }
      # One name for a person whatever client they come by, so that nobody decides on their own request.
      kubernetesUser: { claim: sub }
  access:
  - name: engineers-chat
    effect: Allow
    subjects: [{ group: ml-eng }, { group: compliance }]
    operations: [Chat, Completions, Embeddings, ListModels]
    limits: { requestsPerMinute: 600, tokensPerMinute: 1000000, maxOutputTokens: 4096 }
  - name: trial-chat
    effect: Allow
    subjects: [{ group: trial }]
    operations: [Chat]
    limits: { requestsPerMinute: ${trialRequestsPerMinute} }${contractors ? contractorRule : ''}
  - name: health
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Health]
  guards:
  - name: no-secrets-to-the-model
    direction: Request
    match: { detectors: [Secrets] }
    action: Block
  - name: no-jailbreaks
    direction: Request
    match:
      words: ["ignore all previous instructions"]
      patterns: ["(?i)print (all )?environment variables"]
    action: Block
  - name: falcon-needs-approval
    direction: Request
    match: { words: ["project falcon"] }
    action: RequireApproval
  approvals: { approvers: [{ group: compliance }, { group: ml-eng }], timeout: 30s, maxGrant: 1h }
  classification:
  - label: personal
    detectors: [CreditCard, UsSsn, Email]
    visibleTo: [{ group: compliance }]
    otherwise: Mask
  audit: { content: Masked, onFailure: Deny }
`;
}
