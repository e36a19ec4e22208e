{{/* Labels of every object. */}}
{{- define "sidegate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: sidegate
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "sidegate.selector" . }}
{{- end }}

{{/* What the pods of a component are selected by, and hooks find objects of this release by. */}}
{{- define "sidegate.selector" -}}
app.kubernetes.io/name: sidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sidegate.image" -}}
{{- if eq .Values.image.tag "latest" }}{{ fail "image.tag must not be latest: pods would run different versions under one name" }}{{ end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* auto: a kubelet may be three minor versions older than the API server, and has native sidecars since 1.29. */}}
{{/* `NAMESPACE=IMAGE`, joined by line breaks. */}}
{{- define "sidegate.namespaceImages" -}}
{{- $images := list }}{{ range $namespace, $image := .Values.image.namespaces }}{{ $images = append $images (printf "%s=%s" $namespace $image) }}{{ end }}
{{- join "\n" $images }}
{{- end }}

{{- define "sidegate.nativeSidecars" -}}
{{- if eq (toString .Values.sidecar.nativeSidecars) "auto" -}}
{{ semverCompare ">=1.32.0-0" .Capabilities.KubeVersion.Version }}
{{- else -}}
{{ .Values.sidecar.nativeSidecars }}
{{- end -}}
{{- end }}

{{- define "sidegate.controllerHost" -}}
sidegate-controller.{{ .Release.Namespace }}.svc
{{- end }}

{{/* Restricted, and nothing to write to. */}}
{{- define "sidegate.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 61337
runAsGroup: 61337
fsGroup: 61337
seccompProfile: { type: RuntimeDefault }
{{- end }}
{{- define "sidegate.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* The account's token, mounted by hand: only the container that needs it has it, and it ends within the hour. */}}
{{- define "sidegate.tokenVolume" -}}
- name: kubernetes
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: { path: token, expirationSeconds: 3600 }
    - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
    - downwardAPI: { items: [{ path: namespace, fieldRef: { apiVersion: v1, fieldPath: metadata.namespace } }] }
{{- end }}
{{- define "sidegate.tokenMount" -}}
- { name: kubernetes, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}

{{/* Where a pod of the control plane may stand. Argument: list of root, component, its values. */}}
{{- define "sidegate.placement" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $values := index . 2 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
nodeSelector: {{ merge (dict "kubernetes.io/os" "linux") $values.nodeSelector | toJson }}
{{- with $values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $values.affinity }}
affinity: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  # During a rollout, old and new are spread each for themselves.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "sidegate.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- end }}
{{- end }}

{{/* Argument: list of root, component, its values. */}}
{{- define "sidegate.podMeta" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $values := index . 2 -}}
metadata:
  labels:
    {{- include "sidegate.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $component }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Probes of a process of the control plane: its admin port. Argument: seconds within which it starts. */}}
{{- define "sidegate.probes" -}}
startupProbe: { httpGet: { path: /healthz, port: admin }, periodSeconds: 1, failureThreshold: {{ . }} }
livenessProbe: { httpGet: { path: /healthz, port: admin }, periodSeconds: 10, timeoutSeconds: 5 }
readinessProbe: { httpGet: { path: /readyz, port: admin }, periodSeconds: 2, timeoutSeconds: 2 }
{{- end }}

{{/* Labels and annotations of an object of a hook. Argument: list of root, hook, weight, component, more labels. */}}
{{- define "sidegate.hook" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "sidegate.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ index . 3 }}
  {{- if gt (len .) 4 }}
  {{- toYaml (index . 4) | nindent 2 }}
  {{- end }}
annotations:
  helm.sh/hook: {{ index . 1 }}
  helm.sh/hook-weight: {{ index . 2 | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* Pod of a job that asks the API server. Argument: list of root, component, arguments. */}}
{{- define "sidegate.jobPod" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
restartPolicy: Never
serviceAccountName: sidegate-{{ $component }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "sidegate.podSecurityContext" $root | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
nodeSelector: { kubernetes.io/os: linux }
containers:
- name: {{ $component }}
  image: {{ include "sidegate.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args:
  {{- range index . 2 }}
  - {{ . }}
  {{- end }}
  resources: { requests: { cpu: 10m, memory: 160Mi }, limits: { memory: 384Mi } }
  securityContext:
    {{- include "sidegate.securityContext" $root | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  {{- include "sidegate.tokenMount" $root | nindent 2 }}
volumes:
{{- include "sidegate.tokenVolume" $root | nindent 0 }}
{{- end }}
