"""Field numbers of the kinds kubectl sends as protobuf (`kubectl create …`, `auth can-i`, `drain`).

Facts of Kubernetes's published `generated.proto` files, written as `number name type`. Types: none for a string,
`int`, `bool` (`?` keeps a zero that was set), `bytes`, `Quantity`, `[]` a list of strings, `[int]` of numbers, `map`,
`bytesmap`, `quantitymap`, a message, `[message]`, `inline message` for one whose fields appear in the parent, and
`-` for what is left out. Where versions of a kind differ, the apiVersion stands before it.
"""

from __future__ import annotations

from kaiki.apiserver.protobuf_pod_fields import POD_MESSAGES

MESSAGES: dict[str, str] = {
    "ObjectMeta": "1 name, 2 generateName, 3 namespace, 5 uid, 6 resourceVersion, 7 generation int, "
    "8 creationTimestamp Time, 9 deletionTimestamp Time, 10 deletionGracePeriodSeconds int?, 11 labels map, "
    "12 annotations map, 13 ownerReferences [OwnerReference], 14 finalizers [], 17 managedFields -",
    "OwnerReference": "1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller bool?, 7 blockOwnerDeletion bool?",
    "LabelSelector": "1 matchLabels map, 2 matchExpressions [LabelSelectorRequirement]",
    "LabelSelectorRequirement": "1 key, 2 operator, 3 values []",
    "DeleteOptions": "1 gracePeriodSeconds int?, 2 preconditions Preconditions, 3 orphanDependents bool?, "
    "4 propagationPolicy, 5 dryRun []",
    "Preconditions": "1 uid, 2 resourceVersion",
    "Namespace": "1 metadata ObjectMeta, 2 spec NamespaceSpec",
    "NamespaceSpec": "1 finalizers []",
    "Secret": "1 metadata ObjectMeta, 2 data bytesmap, 3 type, 4 stringData map, 5 immutable bool?",
    "ConfigMap": "1 metadata ObjectMeta, 2 data map, 3 binaryData bytesmap, 4 immutable bool?",
    "ServiceAccount": "1 metadata ObjectMeta, 2 secrets [ObjectReference], 3 imagePullSecrets [LocalObjectReference], "
    "4 automountServiceAccountToken bool?",
    "ObjectReference": "1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath",
    "LocalObjectReference": "1 name",
    "Binding": "1 metadata ObjectMeta, 2 target ObjectReference",
    "Service": "1 metadata ObjectMeta, 2 spec ServiceSpec",
    "ServiceSpec": "1 ports [ServicePort], 2 selector map, 3 clusterIP, 4 type, 5 externalIPs [], 7 sessionAffinity, "
    "8 loadBalancerIP, 9 loadBalancerSourceRanges [], 10 externalName, 11 externalTrafficPolicy, "
    "12 healthCheckNodePort int, "
    "13 publishNotReadyAddresses bool, 17 ipFamilyPolicy, 18 clusterIPs [], 19 ipFamilies [], "
    "14 sessionAffinityConfig SessionAffinityConfig, 20 allocateLoadBalancerNodePorts bool?, 21 loadBalancerClass, "
    "22 internalTrafficPolicy, 23 trafficDistribution",
    "SessionAffinityConfig": "1 clientIP ClientIPConfig",
    "ClientIPConfig": "1 timeoutSeconds int?",
    "ServicePort": "1 name, 2 protocol, 3 port int, 4 targetPort IntOrString, 5 nodePort int, 6 appProtocol",
    "Deployment": "1 metadata ObjectMeta, 2 spec DeploymentSpec",
    "DeploymentSpec": "1 replicas int?, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy "
    "DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit int?, 7 paused bool, 9 "
    "progressDeadlineSeconds int?",
    "DeploymentStrategy": "1 type, 2 rollingUpdate RollingUpdateDeployment",
    "RollingUpdateDeployment": "1 maxUnavailable IntOrString, 2 maxSurge IntOrString",
    "Pod": "1 metadata ObjectMeta, 2 spec PodSpec",
    **POD_MESSAGES,
    "TokenRequest": "1 metadata ObjectMeta, 2 spec TokenRequestSpec",
    "TokenRequestSpec": "1 audiences [], 3 boundObjectRef BoundObjectReference, 4 expirationSeconds int?",
    "BoundObjectReference": "1 kind, 2 apiVersion, 3 name, 4 uid",
    "TokenReview": "1 metadata ObjectMeta, 2 spec TokenReviewSpec",
    "TokenReviewSpec": "1 token, 2 audiences []",
    "SelfSubjectReview": "1 metadata ObjectMeta",
    "SelfSubjectAccessReview": "1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec",
    "SelfSubjectAccessReviewSpec": "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes "
    "NonResourceAttributes",
    "SubjectAccessReview": "1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec",
    "LocalSubjectAccessReview": "1 metadata ObjectMeta, 2 spec SubjectAccessReviewSpec",
    "SubjectAccessReviewSpec": "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes "
    "NonResourceAttributes, 3 user, 4 groups [], 5 extra -, 6 uid",
    "CertificateSigningRequest": "1 metadata ObjectMeta, 2 spec CertificateSigningRequestSpec, "
    "3 status CertificateSigningRequestStatus",
    "CertificateSigningRequestSpec": "1 request bytes, 2 username, 3 uid, 4 groups [], 5 usages [], 6 extra -, "
    "7 signerName, 8 expirationSeconds int?",
    "CertificateSigningRequestStatus": "1 conditions [CertificateSigningRequestCondition], 2 certificate bytes",
    "CertificateSigningRequestCondition": "1 type, 2 reason, 3 message, 4 lastUpdateTime Time, "
    "5 lastTransitionTime Time, 6 status",
    "SelfSubjectRulesReview": "1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec",
    "SelfSubjectRulesReviewSpec": "1 namespace",
    "ResourceAttributes": "1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name, "
    "8 fieldSelector -, 9 labelSelector -",
    "NonResourceAttributes": "1 path, 2 verb",
    "Role": "1 metadata ObjectMeta, 2 rules [PolicyRule]",
    "ClusterRole": "1 metadata ObjectMeta, 2 rules [PolicyRule], 3 aggregationRule AggregationRule",
    "AggregationRule": "1 clusterRoleSelectors [LabelSelector]",
    "PolicyRule": "1 verbs [], 2 apiGroups [], 3 resources [], 4 resourceNames [], 5 nonResourceURLs []",
    "RoleBinding": "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef",
    "ClusterRoleBinding": "1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef",
    "Subject": "1 kind, 2 apiGroup, 3 name, 4 namespace",
    "RoleRef": "1 apiGroup, 2 kind, 3 name",
    "Job": "1 metadata ObjectMeta, 2 spec JobSpec",
    "JobSpec": "1 parallelism int?, 2 completions int?, 3 activeDeadlineSeconds int?, 4 selector LabelSelector, "
    "5 manualSelector bool?, 6 template PodTemplateSpec, 7 backoffLimit int?, 8 ttlSecondsAfterFinished int?, "
    "9 completionMode, 10 suspend bool?, 11 podFailurePolicy PodFailurePolicy, 12 backoffLimitPerIndex int?, "
    "13 maxFailedIndexes int?, 14 podReplacementPolicy, 15 managedBy, 16 successPolicy SuccessPolicy",
    "PodFailurePolicy": "1 rules [PodFailurePolicyRule]",
    "PodFailurePolicyRule": "1 action, 2 onExitCodes PodFailurePolicyOnExitCodes, "
    "3 onPodConditions [PodFailurePolicyOnPodCondition]",
    "PodFailurePolicyOnExitCodes": "1 containerName, 2 operator, 3 values [int]",
    "PodFailurePolicyOnPodCondition": "1 type, 2 status",
    "SuccessPolicy": "1 rules [SuccessPolicyRule]",
    "SuccessPolicyRule": "1 succeededIndexes, 2 succeededCount int?",
    "CronJob": "1 metadata ObjectMeta, 2 spec CronJobSpec",
    "CronJobSpec": "1 schedule, 2 startingDeadlineSeconds int?, 3 concurrencyPolicy, 4 suspend bool?, "
    "5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit int?, 7 failedJobsHistoryLimit int?, 8 timeZone",
    "JobTemplateSpec": "1 metadata ObjectMeta, 2 spec JobSpec",
    "ResourceQuota": "1 metadata ObjectMeta, 2 spec ResourceQuotaSpec",
    "ResourceQuotaSpec": "1 hard quantitymap, 2 scopes [], 3 scopeSelector NodeSelectorTerm",
    "PodDisruptionBudget": "1 metadata ObjectMeta, 2 spec PodDisruptionBudgetSpec",
    "PodDisruptionBudgetSpec": "1 minAvailable IntOrString, 2 selector LabelSelector, 3 maxUnavailable IntOrString, "
    "4 unhealthyPodEvictionPolicy",
    "Eviction": "1 metadata ObjectMeta, 2 deleteOptions DeleteOptions",
    "PriorityClass": "1 metadata ObjectMeta, 2 value int, 3 globalDefault bool, 4 description, 5 preemptionPolicy",
    "Scale": "1 metadata ObjectMeta, 2 spec ScaleSpec",
    "ScaleSpec": "1 replicas int?",
    "Ingress": "1 metadata ObjectMeta, 2 spec IngressSpec",
    "IngressSpec": "1 defaultBackend IngressBackend, 2 tls [IngressTLS], 3 rules [IngressRule], 4 ingressClassName",
    "IngressTLS": "1 hosts [], 2 secretName",
    "IngressRule": "1 host, 2 value inline IngressRuleValue",
    "IngressRuleValue": "1 http HTTPIngressRuleValue",
    "HTTPIngressRuleValue": "1 paths [HTTPIngressPath]",
    "HTTPIngressPath": "1 path, 2 backend IngressBackend, 3 pathType",
    "IngressBackend": "3 resource TypedObjectReference, 4 service IngressServiceBackend",
    "IngressServiceBackend": "1 name, 2 port ServiceBackendPort",
    "ServiceBackendPort": "1 name, 2 number int",
    "HorizontalPodAutoscaler": "1 metadata ObjectMeta, 2 spec HorizontalPodAutoscalerSpec",
    "HorizontalPodAutoscalerSpec": "1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas int?, 3 maxReplicas "
    "int, "
    "4 metrics [MetricSpec]",
    "autoscaling/v1.HorizontalPodAutoscaler": "1 metadata ObjectMeta, 2 spec HorizontalPodAutoscalerSpecV1",
    "HorizontalPodAutoscalerSpecV1": "1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas int?, 3 maxReplicas "
    "int, 4 targetCPUUtilizationPercentage int?",
    "CrossVersionObjectReference": "1 kind, 2 name, 3 apiVersion",
    "MetricSpec": "1 type, 4 resource ResourceMetricSource",
    "ResourceMetricSource": "1 name, 2 target MetricTarget",
    "MetricTarget": "1 type, 2 value Quantity, 3 averageValue Quantity, 4 averageUtilization int?",
}
