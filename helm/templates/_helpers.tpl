{{/* The name that all objects of one release share. */}}
{{- define "dispatcher.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What selects the pods of one plane: (list $ "worker"). It never changes between releases. */}}
{{- define "dispatcher.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of an object: (list $ "worker"). */}}
{{- define "dispatcher.labels" -}}
{{- $root := index . 0 -}}
{{ include "dispatcher.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dispatcher.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "dispatcher.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "dispatcher.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* Two secrets in one pod must not share a file system with anybody else. */}}
{{- define "dispatcher.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.runAs.user }}
runAsGroup: {{ .Values.runAs.group }}
fsGroup: {{ .Values.runAs.group }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dispatcher.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{/* Where everything is, told to the process by the environment, which wins over the file. */}}
{{- define "dispatcher.environment" -}}
- name: DISPATCHER_CONFIG
  value: /etc/dispatcher/dispatcher.toml
- name: DISPATCHER__REGISTRY__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.registry.existingSecret }}
      key: {{ .Values.registry.key }}
- name: DISPATCHER__OUTBOX__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.outbox.existingSecret }}
      key: {{ .Values.outbox.key }}
- name: DISPATCHER__VAULT__KEYRING
  value: /run/dispatcher/keyring.json
{{- if .Values.transitToken.existingSecret }}
- name: DISPATCHER__VAULT__TRANSIT_TOKEN_FILE
  value: /run/vault/token
{{- end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: DISPATCHER__AUDIT__CHECKPOINT_FILE
  value: {{ ternary "/run/audit/$(POD_NAME)" "" (ne .Values.audit.existingClaim "") | quote }}
- name: DISPATCHER__API__HOST
  value: {{ .Values.listen.host | quote }}
- name: DISPATCHER__API__PORT
  value: {{ .Values.listen.port | quote }}
- name: DISPATCHER__WORKER__DRAIN_SECONDS
  value: {{ .Values.worker.drainSeconds | quote }}
{{- end }}

{{/*
Copies files out of a mounted secret: (list $ "keyring" "keyring.json" ...). A mounted secret is owned
by root and readable by the pod's group. A key must be its owner's alone, so it is copied into memory
as the user that reads it.
*/}}
{{- define "dispatcher.privateCopy" -}}
{{- $root := index . 0 -}}
{{- $secret := index . 1 -}}
- name: {{ $secret }}
  image: {{ include "dispatcher.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command:
    - install
    - --mode=0600
    - --target-directory=/run/dispatcher
    {{- range slice . 2 }}
    - /run/{{ $secret }}/{{ . }}
    {{- end }}
  securityContext:
    {{- include "dispatcher.containerSecurity" $root | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: {{ $secret }}, mountPath: /run/{{ $secret }}, readOnly: true}
    - {name: private, mountPath: /run/dispatcher}
{{- end }}

{{/*
Files of client certificates: (list $ "certificate" "key"), without "key" where no key may come. An
array of the secret, its key, and the path, whose end tells what it is: names may have dots in them.
*/}}
{{- define "dispatcher.identityFiles" -}}
{{- $kinds := slice . 1 -}}
{{- $names := dict "certificate" "tls.crt" "key" "tls.key" -}}
{{- $files := list -}}
{{- range $name, $identity := (index . 0).Values.clientIdentities -}}
{{- range $when, $pair := dict "" $identity "next_" $identity.next -}}
{{- range $kind := ternary $kinds list (not (empty $pair)) -}}
{{- $key := get $pair $kind | default (get $names $kind) -}}
{{- $path := printf "%s.%s%s" $name $when $kind -}}
{{- $files = append $files (dict "secret" $pair.existingSecret "key" $key "path" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{- define "dispatcher.identityVolume" -}}
{{- with include "dispatcher.identityFiles" . | fromJsonArray -}}
- name: identities
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret: {name: {{ .secret | quote }}, items: [{key: {{ .key | quote }}, path: {{ .path }}}]}
      {{- end }}
{{- end -}}
{{- end }}

{{- define "dispatcher.identityCopy" -}}
{{- $arguments := list (index . 0) "identities" -}}
{{- range include "dispatcher.identityFiles" . | fromJsonArray -}}
{{- $arguments = append $arguments .path -}}
{{- end -}}
{{- if gt (len $arguments) 2 -}}
{{- include "dispatcher.privateCopy" $arguments -}}
{{- end -}}
{{- end }}

{{/* Where they are, whoever may read them: one table in JSON, for a name may have dashes and dots. */}}
{{- define "dispatcher.identityEnvironment" -}}
{{- $tables := dict -}}
{{- range $name, $identity := .Values.clientIdentities -}}
{{- $table := dict -}}
{{- range $key := list "certificate" "key" "next_certificate" "next_key" -}}
{{- if or $identity.next (not (hasPrefix "next_" $key)) -}}
{{- $_ := set $table $key (printf "/run/dispatcher/%s.%s" $name $key) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $tables $name $table -}}
{{- end -}}
{{- with $tables -}}
- name: DISPATCHER__NETWORK__IDENTITIES
  value: {{ toJson . | squote }}
{{- end -}}
{{- end }}

{{- define "dispatcher.mounts" -}}
- {name: config, mountPath: /etc/dispatcher, readOnly: true}
- {name: private, mountPath: /run/dispatcher, readOnly: true}
- {name: scratch, mountPath: /tmp}
{{- if .Values.transitToken.existingSecret }}
- {name: transit-token, mountPath: /run/vault, readOnly: true}
{{- end }}
{{- if .Values.audit.existingClaim }}
- {name: audit, mountPath: /run/audit}
{{- end }}
{{- end }}

{{/* Volumes of a pod: (list $ "name of the config map"). */}}
{{- define "dispatcher.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap:
    name: {{ index . 1 }}
- name: keyring
  secret:
    secretName: {{ $root.Values.keyring.existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ $root.Values.keyring.key }}
        path: keyring.json
- name: private
  emptyDir: {medium: Memory, sizeLimit: {{ len $root.Values.clientIdentities | add1 }}Mi}
- name: scratch
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- with $root.Values.transitToken }}
{{- if .existingSecret }}
- name: transit-token
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: token
{{- end }}
{{- end }}
{{- with $root.Values.audit.existingClaim }}
- name: audit
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end }}

{{/* Alive: the loop turns. Ready: the policy can be read. */}}
{{- define "dispatcher.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/* Where the pods of one plane may run: its section of the values. */}}
{{- define "dispatcher.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every pod behind a policy may reach: networkPolicy of the values. */}}
{{- define "dispatcher.inwardEgress" -}}
- ports:
    - {port: {{ .databases.port }}, protocol: TCP}
  to:
    {{- if not .databases.to }}{{ fail "networkPolicy.databases.to must say where the databases are" }}{{ end }}
    {{- toYaml .databases.to | nindent 4 }}
{{- with .nameServers.to }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
