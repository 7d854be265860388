{{- define "batua.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "batua.component" -}}
{{ . | kebabcase }}
{{- end }}

{{- /* Labels by which pods are found; `list . "userApp"`. */ -}}
{{- define "batua.selector" -}}
app.kubernetes.io/name: batua
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ include "batua.component" (index . 1) }}
{{- end }}

{{- define "batua.labels" -}}
{{ include "batua.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{- define "batua.image" -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end }}

{{- /* What every pod has: `list . "userApp" secretName`. */ -}}
{{- define "batua.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
automountServiceAccountToken: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- if ne $component "migrate" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "batua.selector" (list $root $component) | nindent 8 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
  - name: secrets
    secret:
      secretName: {{ index . 2 }}
      defaultMode: 0440
  {{- with $root.Values.authorities.configMap }}
  - name: authorities
    configMap:
      name: {{ . }}
  {{- end }}
{{- end }}

{{- /* What every container has: `list . settings`. */ -}}
{{- define "batua.container" -}}
{{- $root := index . 0 -}}
image: {{ include "batua.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: secrets
    mountPath: /run/secrets/batua
    readOnly: true
  {{- if $root.Values.authorities.configMap }}
  - name: authorities
    mountPath: /etc/batua/authorities
    readOnly: true
  {{- end }}
env:
  - name: BATUA_ENV
    value: {{ $root.Values.environment }}
  - name: BATUA_SECRETS_DIRECTORY
    value: /run/secrets/batua
  - name: BATUA_METRICS_PORT
    value: "9000"
  - name: BATUA_METRICS_HOST
    value: 0.0.0.0
  {{- range $name, $value := merge (dict) (index . 1) ($root.Values.settings | default dict) }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}
