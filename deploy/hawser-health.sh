#!/bin/sh
# The health check of a container: asks /readyz at the ops port that the daemon wrote to its ports file.
# The file is on a tmpfs, so one from before a restart cannot point at another daemon's port.
set -eu
ports=${1:-/run/hawser/ports.json}
[ -r "$ports" ] || { echo "not ready: no $ports yet"; exit 1; }
ops=$(sed -n 's/.*"ops": \([0-9]*\).*/\1/p' "$ports")
exec curl --silent --show-error --fail-with-body --noproxy '*' --max-time 3 "http://127.0.0.1:$ops/readyz"
