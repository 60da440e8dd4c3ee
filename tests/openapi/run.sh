#!/usr/bin/env bash
# Holds docs/openapi.yaml to an independent validator: `redocly lint`, as package-lock.json pins it, installed once
# per lock file into build/openapi.
set -euo pipefail
cd "$(dirname "$0")"
root=$(git rev-parse --show-toplevel 2>/dev/null || (cd ../.. && pwd))
place=$root/build/openapi
mkdir -p "$place"
if ! cmp -s package-lock.json "$place/installed.json"; then
    cp package.json package-lock.json .npmrc "$place"
    (cd "$place" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp package-lock.json "$place/installed.json"
fi
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
"$place/node_modules/.bin/redocly" lint --config redocly.yaml "${1:-$root/docs/openapi.yaml}"
