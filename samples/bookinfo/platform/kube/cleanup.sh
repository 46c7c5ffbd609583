#!/usr/bin/env bash
# Takes Bookinfo and its routes out of a namespace: NAMESPACE=default cleanup.sh (asks when the variable is not set).
set -euo pipefail
folder=$(cd "$(dirname "$0")/../.." && pwd)
if [[ -z ${NAMESPACE:-} ]]; then read -rp "namespace ? [default] " NAMESPACE; fi
namespace=${NAMESPACE:-default}
for file in "$folder"/networking/*.yaml "$folder"/gateway-api/*.yaml "$folder"/platform/bookinfo*.yaml; do
  kubectl delete -n "$namespace" --ignore-not-found=true -f "$file" > /dev/null
done
echo "Bookinfo is gone from $namespace"
