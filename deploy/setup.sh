#!/usr/bin/env bash
# Installs what Hawser needs to be built, tested and run on Debian 12: packages by name, nothing else.
# Does nothing when all are there. `deploy/setup.sh run` installs only what the finished daemons need,
# `deploy/setup.sh compile` that and what their executables are made with.
set -euo pipefail

run_packages=(
    libhiredis0.14 libprotobuf-c1 libyaml-0-2 libhttp-parser2.9 libjansson4 libjwt0 libssl3
    libcurl4 libjemalloc2 libmariadb3 ca-certificates curl
)
compile_packages=(
    build-essential cmake ninja-build pkg-config libhiredis-dev libprotobuf-c-dev protobuf-c-compiler
    libyaml-dev libhttp-parser-dev libjansson-dev libjwt-dev libssl-dev libcurl4-openssl-dev
    uthash-dev libjemalloc-dev libmariadb-dev check python3
)
test_packages=(
    clang clang-format libclang-rt-14-dev protobuf-compiler redis-server mariadb-server jq
    lua5.1 python3-pytest python3-pytest-xdist python3-protobuf python3-redis python3-pymysql python3-jwt python3-yaml
    python3-requests python3-jsonschema python3-hypothesis python3-websockets
    docker.io docker-compose debootstrap e2fsprogs iproute2 iptables
)
command -v npm >/dev/null || test_packages+=(nodejs npm) # whoever has a newer one brings its npm along
case "${1:-all}" in
run) packages=("${run_packages[@]}") ;;
compile) packages=("${run_packages[@]}" "${compile_packages[@]}") ;;
all) packages=("${run_packages[@]}" "${compile_packages[@]}" "${test_packages[@]}") ;;
*) echo "setup: '$1' is neither run nor compile" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' \
        || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "setup: installing ${missing[*]}"
# A service that a package would start is none of ours: every server a test needs is started by the test.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
