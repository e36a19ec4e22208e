{{/*
Values that this folder uses, beside what config/parameters.yaml renders: breakGlassGroup, webhook.timeoutSeconds.
*/}}

{{- define "sidegate.admissionLabels" -}}
{{ include "sidegate.labels" . }}
app.kubernetes.io/component: admission
{{- end }}

{{/* Annotations of a configuration that calls the webhook. */}}
{{- define "sidegate.injectedAuthority" -}}
{{- if .Values.webhook.certManager.enabled }}
  annotations: { cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/sidegate-webhook }
{{- end }}
{{- end }}

{{- define "sidegate.controllerAccount" -}}
system:serviceaccount:{{ .Release.Namespace }}:sidegate-controller
{{- end }}

{{/* The picture of a static pod, as a kubelet draws it: admission does not reach the pod itself. Anybody else's is no picture. */}}
{{- define "sidegate.notMirror" -}}
- name: not-the-picture-of-a-static-pod
  expression: "!('system:nodes' in request.userInfo.groups && has(object.metadata.annotations) && 'kubernetes.io/config.mirror' in object.metadata.annotations)"
{{- end }}

{{/* What is being deleted loses its finalizers unasked, and must not wait for a webhook; its spec can still be edited, and still counts. */}}
{{- define "sidegate.notOnlyDeleted" -}}
- name: not-only-being-deleted
  expression: "request.operation != 'UPDATE' || !has(object.metadata.deletionTimestamp) || object.spec != oldObject.spec"
{{- end }}

{{/* Argument: list of root, name of the policy. */}}
{{- define "sidegate.binding" -}}
{{- $root := index . 0 }}{{ $name := index . 1 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "sidegate.admissionLabels" $root | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
  {{- with slice . 2 }}
  paramRef: { name: {{ first . }}, namespace: {{ $root.Release.Namespace }}, parameterNotFoundAction: Deny }
  {{- end }}
{{- end }}

{{/* Containers of a labelled pod by what they are, for policies with sidegate-parameters. Sets are names, which a pod has once. */}}
{{- define "sidegate.podVariables" -}}
- name: inits
  expression: "object.spec.?initContainers.orValue([])"
- name: all
  expression: "variables.inits + object.spec.containers"
- name: sidecars
  expression: "variables.all.filter(c, c.name == 'sidegate')"
- name: setup
  expression: "variables.all.filter(c, c.name == 'sidegate-init')"
- name: others
  expression: "variables.all.filter(c, !(c.name in ['sidegate', 'sidegate-init']))"
- name: native
  expression: "params.data.nativeSidecars == 'true'"
- name: redirect
  expression: >-
    params.data.captureModes.split('\n').exists(l, l.startsWith(request.namespace + '='))
    ? (request.namespace + '=Redirect') in params.data.captureModes.split('\n')
    : params.data.captureMode == 'Redirect'
- name: networkInits
  expression: >-
    variables.inits.filter(c, params.data.networkInits.split('\n').exists(l, l != '' && c.name == l.split(' ')[0]
    && [':', '@', '/'].exists(s, (c.?image.orValue('') + ':').startsWith(l.split(' ')[1] + s))
    && (size(l.split(' ')) < 3 || (size(c.?args.orValue([])) > 0 && c.args[0] == l.split(' ')[2])))
    && size(c.?command.orValue([])) == 0 && c.?restartPolicy.orValue('') != 'Always'
    && c.?args.orValue([]).all(a, !a.contains('/') || a.matches('^[0-9a-fA-F.:,/*]+$'))
    && c.?workingDir.orValue('') == ''
    && size(c.?envFrom.orValue([])) == 0 && c.?env.orValue([]).all(e, ['ISTIO_', 'AWS_', 'AZURE_'].exists(s, e.name.startsWith(s))
    || e.name in ['DNS_AGENT', 'PROXY_CONFIG_XDS_AGENT', 'BOOTSTRAP_XDS_AGENT', 'EXIT_ON_ZERO_ACTIVE_CONNECTIONS', 'INVALID_DROP',
    'MINIMUM_DRAIN_DURATION', 'DUAL_STACK'])
    && c.?volumeMounts.orValue([]).all(m, m.mountPath in ['/run', '/var/run/secrets/kubernetes.io/serviceaccount',
    '/var/run/secrets/eks.amazonaws.com/serviceaccount', '/var/run/secrets/azure/tokens'])
    && size(c.?volumeDevices.orValue([])) == 0
    && c.?securityContext.?capabilities.?add.orValue([]).all(a, a.upperAscii().replace('CAP_', '') in ['NET_ADMIN', 'NET_RAW'])
    ).map(c, c.name)
# What runs beside the model as the mesh's own program.
- name: proxies
  expression: >-
    (variables.inits.filter(c, c.?restartPolicy.orValue('') == 'Always') + object.spec.containers).filter(c, size(c.?command.orValue([])) == 0
    && params.data.meshProxies.split('\n').exists(l, l != '' && c.name == l.split(' ')[0]
    && [':', '@', '/'].exists(s, (c.?image.orValue('') + ':').startsWith(l.split(' ')[1] + s))
    && (size(l.split(' ')) < 4 || (size(c.?args.orValue([])) > 0 && c.args[0] == l.split(' ')[3])))).map(c, c.name)
- name: validators
  expression: >-
    variables.inits.filter(c, c.?restartPolicy.orValue('') != 'Always' && params.data.meshValidators.split('\n').exists(l, l != '' && c.name == l.split(' ')[0]
    && [':', '@', '/'].exists(s, (c.?image.orValue('') + ':').startsWith(l.split(' ')[1] + s)))).map(c, c.name)
- name: mesh
  expression: "variables.networkInits + variables.proxies + variables.validators"
- name: wrappers
  expression: >-
    object.spec.containers.filter(c, size(c.?command.orValue([])) == 0 && params.data.wrappers.split('\n').exists(l, l != '' && c.name == l.split(' ')[0]
    && [':', '@', '/'].exists(s, (c.?image.orValue('') + ':').startsWith(l.split(' ')[1] + s)))).map(c, c.name)
- name: helpers
  expression: >-
    variables.all.filter(c, params.data.helpers.split('\n').exists(l, l != '' && c.name == l.split(' ')[0]
    && [':', '@', '/'].exists(s, (c.?image.orValue('') + ':').startsWith(l.split(' ')[1] + s)))).map(c, c.name)
# Ports that stay open beside the governed ones, as text: fixed, whatever the pod's author declares.
- name: mayOpen
  expression: >-
    (params.data.meshProxies.split('\n').filter(l, l.split(' ')[0] in variables.proxies).map(l, l.split(' ')[2])
    + params.data.wrappers.split('\n').filter(l, l.split(' ')[0] in variables.wrappers && size(l.split(' ')) > 3).map(l, l.split(' ')[3])).join(',').split(',')
{{- end }}
