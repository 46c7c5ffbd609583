"""Field numbers of pods and their templates, whole: `kubectl debug --copy-to` and `create job --from` send any of them.

Written as protobuf_fields.py says. Volumes of cloud disks and of retired drivers are not here, and refused by name.
"""

from __future__ import annotations

POD_MESSAGES: dict[str, str] = {
    "PodTemplateSpec": "1 metadata ObjectMeta, 2 spec PodSpec",
    "PodSpec": "1 volumes [Volume], 2 containers [Container], 3 restartPolicy, 4 terminationGracePeriodSeconds int?, "
    "5 activeDeadlineSeconds int?, 6 dnsPolicy, 7 nodeSelector map, 8 serviceAccountName, 9 serviceAccount, "
    "10 nodeName, 11 hostNetwork bool, 12 hostPID bool, 13 hostIPC bool, 14 securityContext PodSecurityContext, "
    "15 imagePullSecrets [LocalObjectReference], 16 hostname, 17 subdomain, 18 affinity Affinity, 19 schedulerName, "
    "20 initContainers [Container], 21 automountServiceAccountToken bool?, 22 tolerations [Toleration], "
    "23 hostAliases [HostAlias], 24 priorityClassName, 25 priority int?, 26 dnsConfig PodDNSConfig, "
    "27 shareProcessNamespace bool?, 28 readinessGates [PodReadinessGate], 29 runtimeClassName, "
    "30 enableServiceLinks bool?, 31 preemptionPolicy, 32 overhead quantitymap, "
    "33 topologySpreadConstraints [TopologySpreadConstraint], 35 setHostnameAsFQDN bool?, 36 os PodOS, "
    "37 hostUsers bool?, 38 schedulingGates [PodSchedulingGate], 39 resourceClaims [PodResourceClaim], "
    "40 resources ResourceRequirements, 41 hostnameOverride, 43 schedulingGroup PodSchedulingGroup",
    "PodSchedulingGroup": "1 podGroupName",
    "Container": "1 name, 2 image, 3 command [], 4 args [], 5 workingDir, 6 ports [ContainerPort], 7 env [EnvVar], "
    "8 resources ResourceRequirements, 9 volumeMounts [VolumeMount], 10 livenessProbe Probe, 11 readinessProbe Probe, "
    "12 lifecycle Lifecycle, 13 terminationMessagePath, 14 imagePullPolicy, 15 securityContext SecurityContext, "
    "16 stdin bool, 17 stdinOnce bool, 18 tty bool, 19 envFrom [EnvFromSource], 20 terminationMessagePolicy, "
    "21 volumeDevices [VolumeDevice], 22 startupProbe Probe, 23 resizePolicy [ContainerResizePolicy], "
    "24 restartPolicy, 25 restartPolicyRules [ContainerRestartRule]",
    "ContainerPort": "1 name, 2 hostPort int, 3 containerPort int, 4 protocol, 5 hostIP",
    "ContainerResizePolicy": "1 resourceName, 2 restartPolicy",
    "ContainerRestartRule": "1 action, 2 exitCodes ContainerRestartRuleOnExitCodes",
    "ContainerRestartRuleOnExitCodes": "1 operator, 2 values [int]",
    "EnvVar": "1 name, 2 value, 3 valueFrom EnvVarSource",
    "EnvVarSource": "1 fieldRef ObjectFieldSelector, 2 resourceFieldRef ResourceFieldSelector, "
    "3 configMapKeyRef KeySelector, 4 secretKeyRef KeySelector, 5 fileKeyRef FileKeySelector",
    "ObjectFieldSelector": "1 apiVersion, 2 fieldPath",
    "ResourceFieldSelector": "1 containerName, 2 resource, 3 divisor Quantity",
    "KeySelector": "1 localObjectReference inline LocalObjectReference, 2 key, 3 optional bool?",
    "FileKeySelector": "1 volumeName, 2 path, 3 key, 4 optional bool?",
    "EnvFromSource": "1 prefix, 2 configMapRef EnvSource, 3 secretRef EnvSource",
    "EnvSource": "1 localObjectReference inline LocalObjectReference, 2 optional bool?",
    "VolumeMount": "1 name, 2 readOnly bool, 3 mountPath, 4 subPath, 5 mountPropagation, 6 subPathExpr, "
    "7 recursiveReadOnly",
    "VolumeDevice": "1 name, 2 devicePath",
    "ResourceRequirements": "1 limits quantitymap, 2 requests quantitymap, 3 claims [ResourceClaim]",
    "ResourceClaim": "1 name, 2 request",
    "Probe": "1 handler inline ProbeHandler, 2 initialDelaySeconds int, 3 timeoutSeconds int, 4 periodSeconds int, "
    "5 successThreshold int, 6 failureThreshold int, 7 terminationGracePeriodSeconds int?",
    "ProbeHandler": "1 exec ExecAction, 2 httpGet HTTPGetAction, 3 tcpSocket TCPSocketAction, 4 grpc GRPCAction",
    "Lifecycle": "1 postStart LifecycleHandler, 2 preStop LifecycleHandler, 3 stopSignal",
    "LifecycleHandler": "1 exec ExecAction, 2 httpGet HTTPGetAction, 3 tcpSocket TCPSocketAction, 4 sleep SleepAction",
    "ExecAction": "1 command []",
    "HTTPGetAction": "1 path, 2 port IntOrString, 3 host, 4 scheme, 5 httpHeaders [HTTPHeader]",
    "HTTPHeader": "1 name, 2 value",
    "TCPSocketAction": "1 port IntOrString, 2 host",
    "GRPCAction": "1 port int, 2 service string?",
    "SleepAction": "1 seconds int?",
    "SecurityContext": "1 capabilities Capabilities, 2 privileged bool?, 3 seLinuxOptions SELinuxOptions, "
    "4 runAsUser int?, 5 runAsNonRoot bool?, 6 readOnlyRootFilesystem bool?, 7 allowPrivilegeEscalation bool?, "
    "8 runAsGroup int?, 9 procMount, 10 windowsOptions WindowsOptions, 11 seccompProfile Profile, "
    "12 appArmorProfile Profile",
    "PodSecurityContext": "1 seLinuxOptions SELinuxOptions, 2 runAsUser int?, 3 runAsNonRoot bool?, "
    "4 supplementalGroups [int], 5 fsGroup int?, 6 runAsGroup int?, 7 sysctls [Sysctl], "
    "8 windowsOptions WindowsOptions, 9 fsGroupChangePolicy, 10 seccompProfile Profile, 11 appArmorProfile Profile, "
    "12 supplementalGroupsPolicy, 13 seLinuxChangePolicy",
    "Capabilities": "1 add [], 2 drop []",
    "SELinuxOptions": "1 user, 2 role, 3 type, 4 level",
    "WindowsOptions": "1 gmsaCredentialSpecName, 2 gmsaCredentialSpec, 3 runAsUserName, 4 hostProcess bool?",
    "Profile": "1 type, 2 localhostProfile",
    "Sysctl": "1 name, 2 value",
    "Affinity": "1 nodeAffinity NodeAffinity, 2 podAffinity PodAffinity, 3 podAntiAffinity PodAffinity",
    "NodeAffinity": "1 requiredDuringSchedulingIgnoredDuringExecution NodeSelector, "
    "2 preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm]",
    "NodeSelector": "1 nodeSelectorTerms [NodeSelectorTerm]",
    "NodeSelectorTerm": "1 matchExpressions [LabelSelectorRequirement], 2 matchFields [LabelSelectorRequirement]",
    "PreferredSchedulingTerm": "1 weight int, 2 preference NodeSelectorTerm",
    "PodAffinity": "1 requiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm], "
    "2 preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm]",
    "WeightedPodAffinityTerm": "1 weight int, 2 podAffinityTerm PodAffinityTerm",
    "PodAffinityTerm": "1 labelSelector LabelSelector, 2 namespaces [], 3 topologyKey, "
    "4 namespaceSelector LabelSelector, 5 matchLabelKeys [], 6 mismatchLabelKeys []",
    "Toleration": "1 key, 2 operator, 3 value, 4 effect, 5 tolerationSeconds int?",
    "HostAlias": "1 ip, 2 hostnames []",
    "PodDNSConfig": "1 nameservers [], 2 searches [], 3 options [PodDNSConfigOption]",
    "PodDNSConfigOption": "1 name, 2 value string?",
    "PodReadinessGate": "1 conditionType",
    "TopologySpreadConstraint": "1 maxSkew int, 2 topologyKey, 3 whenUnsatisfiable, 4 labelSelector LabelSelector, "
    "5 minDomains int?, 6 nodeAffinityPolicy, 7 nodeTaintsPolicy, 8 matchLabelKeys []",
    "PodOS": "1 name",
    "PodSchedulingGate": "1 name",
    "PodResourceClaim": "1 name, 3 resourceClaimName, 4 resourceClaimTemplateName",
    "Volume": "1 name, 2 volumeSource inline VolumeSource",
    "VolumeSource": "1 hostPath HostPathVolumeSource, 2 emptyDir EmptyDirVolumeSource, 6 secret SecretVolumeSource, "
    "7 nfs NFSVolumeSource, 10 persistentVolumeClaim PersistentVolumeClaimVolumeSource, "
    "16 downwardAPI DownwardAPIVolumeSource, 19 configMap ConfigMapVolumeSource, "
    "26 projected ProjectedVolumeSource, 28 csi CSIVolumeSource, 29 ephemeral EphemeralVolumeSource, "
    "30 image ImageVolumeSource",
    "HostPathVolumeSource": "1 path, 2 type string?",
    "EmptyDirVolumeSource": "1 medium, 2 sizeLimit Quantity",
    "SecretVolumeSource": "1 secretName, 2 items [KeyToPath], 3 defaultMode int?, 4 optional bool?",
    "ConfigMapVolumeSource": "1 localObjectReference inline LocalObjectReference, 2 items [KeyToPath], "
    "3 defaultMode int?, 4 optional bool?",
    "KeyToPath": "1 key, 2 path, 3 mode int?",
    "NFSVolumeSource": "1 server, 2 path, 3 readOnly bool",
    "PersistentVolumeClaimVolumeSource": "1 claimName, 2 readOnly bool",
    "DownwardAPIVolumeSource": "1 items [DownwardAPIVolumeFile], 2 defaultMode int?",
    "DownwardAPIVolumeFile": "1 path, 2 fieldRef ObjectFieldSelector, 3 resourceFieldRef ResourceFieldSelector, "
    "4 mode int?",
    "ProjectedVolumeSource": "1 sources [VolumeProjection], 2 defaultMode int?",
    "VolumeProjection": "1 secret ItemsProjection, 2 downwardAPI DownwardAPIProjection, 3 configMap ItemsProjection, "
    "4 serviceAccountToken ServiceAccountTokenProjection, 5 clusterTrustBundle ClusterTrustBundleProjection, "
    "6 podCertificate PodCertificateProjection",
    "ItemsProjection": "1 localObjectReference inline LocalObjectReference, 2 items [KeyToPath], 4 optional bool?",
    "DownwardAPIProjection": "1 items [DownwardAPIVolumeFile]",
    "ServiceAccountTokenProjection": "1 audience, 2 expirationSeconds int?, 3 path",
    "ClusterTrustBundleProjection": "1 name, 2 signerName, 3 labelSelector LabelSelector, 4 path, 5 optional bool?",
    "PodCertificateProjection": "1 signerName, 2 keyType, 3 maxExpirationSeconds int?, 4 credentialBundlePath, "
    "5 keyPath, 6 certificateChainPath, 7 userAnnotations map",
    "CSIVolumeSource": "1 driver, 2 readOnly bool?, 3 fsType, 4 volumeAttributes map, "
    "5 nodePublishSecretRef LocalObjectReference",
    "EphemeralVolumeSource": "1 volumeClaimTemplate PersistentVolumeClaimTemplate",
    "PersistentVolumeClaimTemplate": "1 metadata ObjectMeta, 2 spec PersistentVolumeClaimSpec",
    "PersistentVolumeClaimSpec": "1 accessModes [], 2 resources ResourceRequirements, 3 volumeName, "
    "4 selector LabelSelector, 5 storageClassName, 6 volumeMode, 7 dataSource TypedObjectReference, "
    "8 dataSourceRef TypedObjectReference, 9 volumeAttributesClassName",
    "TypedObjectReference": "1 apiGroup, 2 kind, 3 name, 4 namespace",
    "ImageVolumeSource": "1 reference, 2 pullPolicy",
}
