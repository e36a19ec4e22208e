{{/* As `istio`, `linkerd`, `knativeQueueProxy` and `kserveAgent` of pkg/inject have them: a test compares both. */}}
{{- define "sidegate.meshes" -}}
{{- with .Values.meshes.istio }}{{ if .enabled }}
- name: istio
  networkInits: [{ name: istio-init, images: {{ toJson .images }}, firstArg: istio-iptables }]
  proxies: [{ name: istio-proxy, images: {{ toJson .images }}, firstArg: proxy }]
  validators: [{ name: istio-validation, images: {{ toJson .images }} }]
  proxyUid: 1337
  inboundTcp: [15006, 15008, 15020, 15021, 15090]
  loopbackTcp: 15000-15099
{{- end }}{{ end }}
{{- with .Values.meshes.linkerd }}{{ if .enabled }}
- name: linkerd
  networkInits: [{ name: linkerd-init, images: {{ toJson .initImages }} }]
  proxies: [{ name: linkerd-proxy, images: {{ toJson .proxyImages }} }]
  validators: [{ name: linkerd-network-validator, images: {{ toJson .proxyImages }} }]
  proxyUid: 2102
  inboundTcp: [4143, 4190, 4191]
  loopbackTcp: 4140-4143,4190-4191
{{- end }}{{ end }}
{{- end }}

{{/* Outermost first. */}}
{{- define "sidegate.wrappers" -}}
{{- with .Values.wrappers.knative }}{{ if .enabled }}
- { name: queue-proxy, images: {{ toJson .images }}, servingPorts: [8012, 8013, 8112], openPorts: [8022, 9090, 9091] }
{{- end }}{{ end }}
{{- with .Values.wrappers.kserve }}{{ if .enabled }}
- { name: agent, images: {{ toJson .images }}, servingPorts: [9081], openPorts: [] }
{{- end }}{{ end }}
{{- end }}
