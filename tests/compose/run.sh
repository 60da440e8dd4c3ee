#!/usr/bin/env bash
# Tests deploy/ as an operator uses it: builds the image, brings the compose file up on a Docker engine of the test's own, and
# looks at it from a client that reaches nothing but the machine's advertised address. Needs root, docker.io, docker-compose
# and debootstrap, and a Debian mirror the first time (what it makes is kept in build/compose/images).
#
# The machine is a network namespace, the client's machine another, a cable (veth) between them: so no port, bridge or
# firewall rule of the real machine is used or left behind. The last line is `compose-test: N checks passed`; exit 0 then.
#
# HAWSER_REDIS_URL=memory: leaves out what forgets everything then: restarts of register and saver, down and up.
set -euo pipefail
repo=$(readlink -f "$(dirname "$0")/../..")
here=$repo/tests/compose
images=$repo/build/compose/images
redis_url=${HAWSER_REDIS_URL:-} # empty: the compose file's own
export HAWSER_NOFILE=${HAWSER_NOFILE:-4096}
machine=hawser-machine-$$ away=hawser-away-$$
address=192.0.2.1 away_address=192.0.2.2
project=hawser$$
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-compose.XXXXXX")
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/client
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 COMPOSE_PROJECT_NAME=$project COMPOSE_HTTP_TIMEOUT=180
export HAWSER_IMAGE=$project:test HAWSER_BUILD_BASE=$project:compile
export HAWSER_ROOM__ADVERTISE=$address HAWSER_ROOM__DRAIN_WITHIN=5s
dockerd_pid='' subscriber_pid='' passed=0
key=/etc/docker/key.json # the engine makes one, wherever its own folders are
[ ! -e "$key" ] || key=''

# --- what it stands on

# In the background nsenter is called by itself: $! is then the program's own id.
on_machine() {
    nsenter --net="/run/netns/$machine" "$@"
}

on_away() {
    nsenter --net="/run/netns/$away" "$@"
}

compose() {
    docker-compose -f "$work/tree/deploy/docker-compose.yml" "$@"
}

say() {
    printf '%s %s\n' "$(date +%T)" "$*"
}

# eventually SECONDS COMMAND...: until it succeeds.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

make_networks() {
    ip netns add "$machine"
    ip netns add "$away"
    on_machine ip link set lo up
    on_away ip link set lo up
    on_machine ip link add hawser0 type veth peer name hawser1 netns "$away"
    on_machine ip addr add "$address/30" dev hawser0
    on_machine ip link set hawser0 up
    on_away ip addr add "$away_address/30" dev hawser1
    on_away ip link set hawser1 up
}

# Without a bridge or rules: every container is on the machine's network, and so are the steps of the build.
start_engine() {
    mkdir -p "$work/client"
    nsenter --net="/run/netns/$machine" dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" \
        --pidfile "$work/dockerd.pid" --bridge none --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
        --cgroup-parent "/$project" >"$work/dockerd.log" 2>&1 &
    dockerd_pid=$!
    eventually 60 docker version
}

load_bases() {
    local name tag
    for name in run compile redis mariadb; do
        local how=()
        case $name in
        run) tag=debian:bookworm-slim ;;
        compile) tag=$HAWSER_BUILD_BASE ;;
        redis)
            tag=redis:7-bookworm
            how=(--change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'WORKDIR /data' --change 'VOLUME /data')
            ;;
        mariadb)
            tag=mariadb:10.11
            how=(--change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'VOLUME /var/lib/mysql')
            ;;
        esac
        docker import "${how[@]}" "$images/$name.tar" "$tag" >/dev/null
    done
}

# The source tree as a fresh clone has it, uncommitted changes too, and its secrets.
copy_tree() {
    mkdir "$work/tree"
    git -C "$repo" ls-files -z --cached --others --exclude-standard |
        tar -C "$repo" --null -T - --ignore-failed-read -c | tar -C "$work/tree" -x
    "$work/tree/deploy/secrets.sh" >/dev/null
    [ -z "$redis_url" ] || { rm -f "$work/tree/deploy/secrets/redis_url" && echo "$redis_url" >"$work/tree/deploy/secrets/redis_url"; }
    password=$(sed -n 's/^requirepass //p' "$work/tree/deploy/secrets/redis_conf")
    admin_key=$(cat "$work/tree/deploy/secrets/admin_keys")
}

bring_up() {
    compose up -d "$@" >"$work/up.log" 2>&1 || { tail -40 "$work/up.log"; return 1; }
}

# --- its end, whatever happened

stop_engine() {
    local left mount
    left=$(docker ps -aq 2>/dev/null) || true
    [ -z "$left" ] || docker rm -f $left >/dev/null 2>&1 || true
    kill "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
    while read -r mount; do
        umount -l "$mount" || true
    done < <(awk -v under="$work/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r)
    find /sys/fs/cgroup -depth -type d -path "*/$project*" -exec rmdir {} + 2>/dev/null || true
    [ -z "$key" ] || rm -f "$key"
    rmdir /etc/docker /run/docker/plugins /run/docker /run/containerd/s /run/containerd \
        /opt/containerd/bin /opt/containerd/lib /opt/containerd 2>/dev/null || true # those that are empty
}

end() {
    local code=$?
    trap - EXIT INT TERM
    set +e
    if [ $code -ne 0 ] && [ -f "$work/up.log" ]; then
        compose ps
        compose logs --tail=25 --no-color
        tail -5 "$work/dockerd.log" "$work/subscriber.log" 2>/dev/null
    fi
    [ -z "$subscriber_pid" ] || kill "$subscriber_pid" 2>/dev/null
    if [ -n "$dockerd_pid" ]; then
        compose down -v -t 5 >/dev/null 2>&1
        stop_engine
    fi
    ip netns del "$away" 2>/dev/null
    ip netns del "$machine" 2>/dev/null
    rm -rf --one-file-system "$work"
    [ $code -eq 0 ] || echo "compose-test: failed after $passed checks"
    exit "$code"
}

# --- checks

check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        say "ok   $what"
    else
        say "FAIL $what"
        exit 1
    fi
}

# api METHOD PATH [BODY [HEADER]]: the center's API, as an app server on the machine calls it.
api() {
    on_machine curl -sS --fail-with-body --noproxy '*' --max-time 10 -X "$1" -H "Authorization: Bearer $admin_key" \
        ${3:+--data "$3"} ${4:+-H "$4"} "http://127.0.0.1:7300$2"
}

containers() {
    docker ps -aq --filter "label=com.docker.compose.project=$project" \
        ${1:+--filter "label=com.docker.compose.service=$1"}
}

# All containers of the project, or of one service, are healthy, and there are so many.
are_healthy() {
    local ids
    ids=$(containers "${2:-}")
    [ "$(wc -w <<<"$ids")" -eq "$1" ] &&
        [ "$(docker inspect -f '{{.State.Health.Status}}' $ids | sort -u)" = healthy ]
}

rooms_located() {
    on_away curl -sS --fail --noproxy '*' --max-time 5 "http://$address:7180/v1/locate?device=d&product=compose&want=16" |
        grep -o "\"host\": *\"$address\"" | wc -l
}

locates() {
    [ "$(rooms_located)" -eq "$1" ]
}

makes_product() {
    api PUT /v1/products/compose '{}' >/dev/null
}

start_subscriber() {
    local token
    token=$(api POST /v1/products/compose/tokens '{"user": "ann"}' | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
    [ -n "$token" ] || return 1
    : >"$work/received"
    nsenter --net="/run/netns/$away" /usr/bin/python3 -B "$here/subscriber.py" "$address" compose \
        <<<"$token" >"$work/received" 2>"$work/subscriber.log" &
    subscriber_pid=$!
    eventually 30 grep -q '^synced' "$work/received"
}

stop_subscriber() {
    kill "$subscriber_pid"
    wait "$subscriber_pid" 2>/dev/null || true
    subscriber_pid=''
}

# push SECONDS TO PAYLOAD: accepted within so long; as an app server does, it repeats the call with the same Idempotency-Key.
# 0: at the first call.
push() {
    eventually "$1" api POST /v1/products/compose/messages "{\"to\": $2, \"payload\": \"$3\"}" "Idempotency-Key: $3"
}

is_received() {
    eventually 30 grep -qx "push $1" "$work/received" || { tail -5 "$work/received"; return 1; }
}

# [SECONDS]: a new push, accepted within so long, reaches the client.
push_arrives() {
    local text
    text=push-$RANDOM-$RANDOM-$RANDOM
    push "${1:-0}" '{"user": "ann"}' "$text" && is_received "$text"
}

# [SECONDS]: the same of a durable one.
durable_arrives() {
    local text
    text=durable-$RANDOM-$RANDOM-$RANDOM
    eventually "${1:-0}" api POST /v1/products/compose/messages "{\"to\": {\"user\": \"ann\"}, \"payload\": \"$text\", \"class\": \"durable\"}" \
        "Idempotency-Key: $text" && is_received "$text"
}

broadcast_arrives() {
    local text
    text=news-$RANDOM-$RANDOM-$RANDOM
    push 0 '{"all": true}' "$text" && is_received "$text"
}

unreachable() {
    local port
    for port; do
        ! on_away timeout 2 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null || { echo "port $port answers"; return 1; }
    done
}

# What a daemon has under its container: no root, the descriptors asked for.
is_contained() {
    local id=$1 pid
    pid=$(docker inspect -f '{{.State.Pid}}' "$id")
    [ "$(awk '/^Uid:/ {print $2}' "/proc/$pid/status")" -eq 10001 ] &&
        [ "$(awk '/^CapEff:/ {print $2}' "/proc/$pid/status")" = 0000000000000000 ] &&
        [ "$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$pid/status")" -eq 1 ] &&
        [ "$(awk '/^Max open files/ {print $5}' "/proc/$pid/limits")" -eq "$HAWSER_NOFILE" ]
}

# Redis takes nobody without its password, which no list of processes, no environment and no log has.
keeps_its_password() {
    local id pid
    on_machine bash -c 'exec 3<>/dev/tcp/127.0.0.1/6379; printf "PING\r\n" >&3; head -1 <&3' | grep -q NOAUTH || return 1
    for id in $(containers); do
        pid=$(docker inspect -f '{{.State.Pid}}' "$id")
        ! cat "/proc/$pid/cmdline" "/proc/$pid/environ" | tr '\0' '\n' | grep "$password" >/dev/null || return 1
        ! docker inspect "$id" | grep "$password" >/dev/null || return 1
        ! docker logs "$id" 2>&1 | grep "$password" >/dev/null || return 1
    done
}

# Limits of memory and processes, and logs that do not fill the disk.
is_bounded() {
    [ "$(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{index .HostConfig.LogConfig.Config "max-size"}}' \
        $(containers) | awk '$1 > 0 && $2 == 64 && $3 == "10m"' | wc -l)" -eq "$(containers | wc -l)" ]
}

count_of() {
    containers "$1" | wc -l
}

# How long pushes may be refused after a service was down: only those that hold or reach the data make a difference.
refused_for() {
    case $1 in
    redis | register | saver) echo 30 ;;
    *) echo 0 ;;
    esac
}

restarts() {
    local service=$1 id
    for id in $(containers "$service"); do
        docker restart -t 75 "$id" >/dev/null && eventually 90 are_healthy "$(count_of "$service")" "$service" || return 1
    done
    push_arrives "$(refused_for "$service")"
}

# The container of the room that the client is at.
room_of_client() {
    local id port
    port=$(sed -n 's/^at //p' "$work/received" | tail -1)
    for id in $(containers room); do
        ! grep -q "\"room\": $port\>" "/proc/$(docker inspect -f '{{.State.Pid}}' "$id")/root/run/hawser/ports.json" || echo "$id"
    done
}

# A process that dies is started again by the engine, and the client finds its way.
survives_a_crash() {
    local service=$1 id before
    if [ "$service" = room ]; then
        id=$(room_of_client)
    else
        id=$(containers "$service")
    fi
    before=$(docker inspect -f '{{.RestartCount}}' "$id")
    kill -9 "$(docker inspect -f '{{.State.Pid}}' "$id")"
    eventually 30 test_restarted "$id" "$before" && eventually 90 are_healthy "$(count_of "$service")" "$service" &&
        push_arrives "$(refused_for "$service")" && { [ "$service" != mariadb ] || durable_arrives 30; }
}

# What was accepted outlives all containers: a client that was away meanwhile gets it.
survives_down() {
    stop_subscriber
    push 0 '{"user": "ann"}' kept || return 1
    compose down >/dev/null 2>&1
    bring_up --no-build --scale room=3 && eventually 120 are_healthy 10 && start_subscriber && is_received kept
}

test_restarted() {
    [ "$(docker inspect -f '{{.RestartCount}}' "$1")" -gt "$2" ]
}

reloads() {
    compose kill -s HUP register saver coordinator center dispatcher room >/dev/null 2>&1
    sleep 1
    are_healthy 10 && push_arrives
}

ends_well() {
    local id
    compose stop >/dev/null 2>&1 || return 1
    for id in $(containers); do
        [ "$(docker inspect -f '{{.State.ExitCode}}' "$id")" -eq 0 ] ||
            { docker inspect -f '{{.Name}}: exit {{.State.ExitCode}}' "$id"; return 1; }
    done
}

leaves_nothing() {
    compose down -v >/dev/null 2>&1
    [ -z "$(docker ps -aq)" ] && [ -z "$(docker volume ls -q)" ]
}

# --- the test

[ "$(id -u)" -eq 0 ] || { echo "compose-test: needs root"; exit 1; }
trap end EXIT
trap 'exit 1' INT TERM
say "images"
"$here/images.sh" "$images"
make_networks
say "engine"
start_engine
say "build and up"
load_bases
copy_tree
bring_up --build
check "all services are healthy, two rooms among them" eventually 120 are_healthy 9
check "the compose file is scaled to three rooms" bring_up --no-recreate --scale room=3
check "they are healthy" eventually 60 are_healthy 3 room
check "a daemon has no rights to spare, and the descriptors asked for" is_contained "$(containers center)"
check "a product is made over HTTP" makes_product
check "a client elsewhere is told all three rooms at the advertised address" eventually 30 locates 3
check "it logs in at one of them" start_subscriber
check "a push reaches it" push_arrives
check "a broadcast reaches it" broadcast_arrives
check "it cannot reach what is not for clients" unreachable 3306 6379 7300 7400 7500 7600 7700 7701 7702 8100 8200 8201 8202 8300 8400 8500 8600
check "Redis keeps its password to itself" keeps_its_password
check "memory, processes and logs have limits" is_bounded
check "all daemons reload, and a push arrives" reloads

durable=(register saver)
crashing=(mariadb register saver)
case $redis_url in memory:*) durable=() crashing=() ;; esac
[ ${#durable[@]} -eq 0 ] || check "a durable push reaches it" durable_arrives 30
for service in redis "${durable[@]}" coordinator center dispatcher room; do
    check "$service is started again, and a push arrives" restarts "$service"
done
for service in "${crashing[@]}" center room; do
    check "$service crashes, and a push arrives" survives_a_crash "$service"
done
[ ${#durable[@]} -eq 0 ] || check "what was accepted survives down and up" survives_down
check "all daemons end with 0 in their time" ends_well
check "down -v leaves no container and no volume" leaves_nothing
echo "compose-test: $passed checks passed"
