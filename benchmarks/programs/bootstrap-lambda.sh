#!/bin/bash
# examples/bash/bootstrap for AWS Lambda's runtime API: the same handler, the same two curls per event, and no
# process more. The request id is in a header and goes into a path, so it is read with bash's own means.
set -euo pipefail

api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
file=${_HANDLER%%.*} handler=${_HANDLER#*.}

# shellcheck source=/dev/null
source "./$file.sh"

while true; do
  event=$(curl --silent --show-error --dump-header /tmp/head "$api/invocation/next")
  while IFS=': ' read -r name value; do
    [[ ${name,,} != lambda-runtime-aws-request-id ]] || id=${value%$'\r'}
  done </tmp/head
  result=$("$handler" "$event")
  curl --silent --data "$result" "$api/invocation/$id/response"
done
