#!/usr/bin/env bash
# A trial cluster to look at: builds and starts it, makes the product `demo`, connects a client, pushes to it and to everyone, shows both
# arrive, prints how to go on by hand, and stays until Ctrl-C or SIGTERM. Called by `./dev up [--redis [--mariadb]]`.
#   default    one `hawser` process on the memory stores
#   --redis    six daemons and a private redis-server with AOF
#   --mariadb  with it, and a private mariadbd, for the class durable, and for products and keys
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/build/release/bin
mode=${1:-} back=${2:-}
case "$# $mode $back" in
'0  ' | '1 --redis ' | '2 --redis --mariadb') ;;
*) echo "usage: ./dev up [--redis [--mariadb]]" >&2; exit 2 ;;
esac
./dev build release
dir=$(mktemp -d --suffix=.hawser-up)
pids=()

finish() {
    trap - EXIT INT TERM
    local i
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[$i]}" 2>/dev/null || true
        wait "${pids[$i]}" 2>/dev/null || true
    done
    rm -rf "$dir"
    echo
    echo "hawser: ended"
}
trap finish EXIT
trap 'exit 0' INT TERM

wait_for() { # file, pid, what
    for _ in $(seq 600); do
        [ ! -s "$1" ] || return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.05
    done
    echo "up: $3 did not come up; its log:" >&2
    tail -n 20 "$dir"/*.log >&2
    exit 1
}

port_of() { jq -r "$2" "$1"; }

start_one_process() {
    "$bin/hawser" --dir "$dir/cluster" 2>"$dir/hawser.log" &
    pids+=($!)
    wait_for "$dir/cluster/cluster.json" $! hawser
    center=$(port_of "$dir/cluster/cluster.json" .center)
    dispatcher=$(port_of "$dir/cluster/cluster.json" .dispatcher)
    key=$(port_of "$dir/cluster/cluster.json" .admin_key)
}

start_daemon() { # role, listen override
    local role=$1
    env "HAWSER_${role^^}__LISTEN=127.0.0.1:0" "HAWSER_${role^^}__OPS_LISTEN=127.0.0.1:0" HAWSER_DISPATCHER__HTTP_LISTEN=127.0.0.1:0 \
        ${2:+"$2"} "$bin/hawser-$role" --config "$dir/hawser.yaml" --ports-file "$dir/$role.json" 2>"$dir/$role.log" &
    pids+=($!)
    wait_for "$dir/$role.json" $! "hawser-$role"
}

start_mariadb() {
    local sizes=(--innodb-log-file-size=16M --innodb-buffer-pool-size=32M) as=()
    [ "$(id -u)" -ne 0 ] || as=(--user=root)
    mariadb-install-db --no-defaults --datadir="$dir/mariadb" --tmpdir="$dir" --skip-test-db --auth-root-authentication-method=normal "${sizes[@]}" \
        >"$dir/mariadb-install.log" 2>&1
    printf '%s\n' "CREATE DATABASE hawser;" "CREATE USER hawser@localhost IDENTIFIED BY 'trial';" \
        "GRANT ALL ON hawser.* TO hawser@localhost;" >"$dir/mariadb.sql"
    mariadbd --no-defaults --datadir="$dir/mariadb" --tmpdir="$dir" --socket="$dir/mariadb.sock" --pid-file="$dir/mariadb.pid" --skip-networking \
        --init-file="$dir/mariadb.sql" "${sizes[@]}" "${as[@]}" >"$dir/mariadb.log" 2>&1 &
    pids+=($!)
    export HAWSER_MARIADB__URL="unix://hawser:trial@$dir/mariadb.sock?db=hawser"
}

start_six_daemons() {
    [ -z "$back" ] || start_mariadb
    redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --save '' --appendonly yes --appendfsync everysec \
        --maxmemory-policy noeviction >"$dir/redis.log" 2>&1 &
    pids+=($!)
    for _ in $(seq 200); do [ -S "$dir/redis.sock" ] && break; sleep 0.05; done
    "$bin/hawserctl" init "$dir/hawser.yaml" >/dev/null
    export HAWSER_REDIS__URL="unix://$dir/redis.sock"
    start_daemon register
    export HAWSER_CLUSTER__REGISTERS="127.0.0.1:$(port_of "$dir/register.json" .register)"
    local role
    for role in saver room dispatcher center coordinator; do
        start_daemon "$role"
    done
    center=$(port_of "$dir/center.json" .center)
    dispatcher=$(port_of "$dir/dispatcher.json" .dispatcher)
    key=$(sed -n 's/.*admin_keys: \[\(.*\)\]/\1/p' "$dir/hawser.yaml")
}

ctl() { "$bin/hawserctl" --center "127.0.0.1:$center" --key "$key" "$@"; }

if [ "$mode" = --redis ]; then start_six_daemons; else start_one_process; fi
ctl product create demo >/dev/null
token=$(ctl token demo alice | jq -r .token)
"$bin/hawser-sub" --dispatcher "127.0.0.1:$dispatcher" --device laptop --token "$token" --positions "$dir/laptop.positions" >"$dir/alice.out" 2>"$dir/alice.log" &
pids+=($!)
for _ in $(seq 200); do
    [ "$(ctl user demo alice | jq '.sessions | length')" -gt 0 ] && break
    sleep 0.05
done
echo "alice is connected; pushing to her and to everyone:"
ctl push demo alice 'Hello, Alice' | jq -c '{id, class, seq}'
ctl push --all demo 'Hello, everyone' | jq -c '{id, class}'
for _ in $(seq 200); do
    grep -q 'Hello, Alice' "$dir/alice.out" && grep -q 'Hello, everyone' "$dir/alice.out" && break
    sleep 0.05
done
push_durable() {
    curl -sS -H "Authorization: Bearer $key" -d '{"to": {"user": "alice"}, "payload": "For good, Alice", "class": "durable"}' \
        "http://127.0.0.1:$center/v1/products/demo/messages"
}
if [ -n "$back" ]; then
    echo "and one that is committed in MariaDB first:"
    for _ in $(seq 20); do # while the server starts
        durable=$(push_durable)
        [ "$(jq -r .class <<<"$durable")" != durable ] || break
    done
    jq -c '{id, class, seq}' <<<"$durable"
    for _ in $(seq 200); do
        ! grep -q 'For good, Alice' "$dir/alice.out" || break
        sleep 0.05
    done
    grep -q 'For good, Alice' "$dir/alice.out" || { echo "up: the durable message did not arrive" >&2; tail -n 5 "$dir"/*.log >&2; exit 1; }
fi
echo "what alice's client printed:"
sed 's/^/  /' "$dir/alice.out"
grep -q 'Hello, everyone' "$dir/alice.out" || { echo "up: the messages did not arrive" >&2; tail -n 5 "$dir"/*.log >&2; exit 1; }
bob=$(ctl token demo bob | jq -r .token)
cat <<EOT

push to alice:
  curl -H 'Authorization: Bearer $key' -d '{"to": {"user": "alice"}, "payload": "hi"}' http://127.0.0.1:$center/v1/products/demo/messages
connect another client, bob:
  build/release/bin/hawser-sub --dispatcher 127.0.0.1:$dispatcher --device phone --token $bob
push to bob:
  curl -H 'Authorization: Bearer $key' -d '{"to": {"user": "bob"}, "payload": "hi"}' http://127.0.0.1:$center/v1/products/demo/messages

Ctrl-C ends it all. New messages for alice:
EOT
tail -n 0 -F "$dir/alice.out" 2>/dev/null &
pids+=($!)
wait "${pids[0]}"
