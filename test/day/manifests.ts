/** A user's day on a cluster: a model, a caller, a policy. For the node tier and `make demo-cluster`. */

export interface DayImages {
  readonly sidegate: string;
  readonly tools: string;
}

/** As a team would have it before Sidegate: two replicas behind a Service, and somebody who calls. Without any label of ours. */
export const workloads = (namespace: string, tools: string): string => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: caller, namespace: ${namespace} }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: llama, namespace: ${namespace} }
spec:
  replicas: 2
  selector: { matchLabels: { app: llama } }
  strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }
  template:
    metadata: { labels: { app: llama } }
    spec:
      automountServiceAccountToken: false
      containers:
      - name: model
        image: ${tools}
        command: [node, /app/model.js]
        ports: [{ name: http, containerPort: 8000 }]
        readinessProbe: { httpGet: { path: /health, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: llama, namespace: ${namespace} }
spec: { selector: { app: llama }, ports: [{ name: https, port: 443, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: caller, namespace: ${namespace} }
spec:
  serviceAccountName: caller
  terminationGracePeriodSeconds: 1
  containers: [{ name: caller, image: "${tools}", command: [sleep, "100000"] }]
`;

export interface PolicyChoice {
  /** Operations that the caller's service account may use. */
  readonly operations: readonly string[];
  /** More access rules, as YAML in the place of a list's entries. */
  readonly rules?: string;
}

/** The caller's own service account may chat; personal data is masked; credentials do not reach the model. */
export const policy = (namespace: string, { operations, rules = '' }: PolicyChoice): string => `
apiVersion: sidegate.dev/v1alpha1
kind: InferencePolicy
metadata: { name: support, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: llama } }
  upstream: { ports: [{ containerPort: 8000 }] }
  identity:
    providers:
    - name: workloads
      serviceAccount: { audiences: [inference] }
  access:
  - name: callers
    effect: Allow
    subjects: [{ subject: "system:serviceaccount:${namespace}:caller" }]
    operations: [${operations.join(', ')}]
  - name: probes
    effect: Allow
    subjects: [{ anyone: true }]
    operations: [Health]${rules}
  guards:
  - name: no-secrets
    direction: Request
    match: { detectors: [Secrets] }
    action: Block
  classification:
  - label: confidential
    detectors: [Pii]
    otherwise: Mask
`;
