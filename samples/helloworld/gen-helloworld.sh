#!/usr/bin/env bash
# Prints the manifests of one version of helloworld: gen-helloworld.sh --version NAME [--includeService false] [--includeDeployment false]
#
# A version that is called like a locality, region.zone[.subzone], also runs there: on one machine a pod's locality is its
# label istio-locality.
set -euo pipefail

version=v1 service=true deployment=true
while (($#)); do
  case $1 in
    --version) version=$2; shift 2 ;;
    --includeService) service=$2; shift 2 ;;
    --includeDeployment) deployment=$2; shift 2 ;;
    *) echo "gen-helloworld.sh: $1 is not known; there is --version, --includeService and --includeDeployment" >&2; exit 2 ;;
  esac
done

locality=
if [[ $version == *.* ]]; then locality=", istio-locality: $version"; fi

if [[ $service == true ]]; then
  cat <<YAML
apiVersion: v1
kind: Service
metadata:
  name: helloworld
  labels: {app: helloworld, service: helloworld}
spec:
  selector: {app: helloworld}
  ports:
  - {name: http, port: 5000}
---
YAML
fi
if [[ $deployment == true ]]; then
  cat <<YAML
apiVersion: apps/v1
kind: Deployment
metadata:
  name: helloworld-$version
  labels: {app: helloworld, version: $version}
spec:
  replicas: 1
  selector:
    matchLabels: {app: helloworld, version: $version}
  template:
    metadata:
      labels: {app: helloworld, version: $version$locality}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: helloworld
        image: docker.io/istio/examples-helloworld-v1:1.0
        imagePullPolicy: IfNotPresent
        env: [{name: SERVICE_VERSION, value: $version}]
        ports: [{containerPort: 5000}]
YAML
fi
