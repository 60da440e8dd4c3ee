#!/usr/bin/env bash
# Makes the base images that the Dockerfile and docker-compose.yml name, as file systems, where no registry can be reached:
# Debian's own packages by debootstrap, and on it what deploy/setup.sh installs. `images.sh FOLDER` leaves run.tar, compile.tar,
# redis.tar and mariadb.tar there; made again only when this script or setup.sh has changed. HAWSER_DEBIAN_MIRROR: another mirror than
# debootstrap's own.
set -euo pipefail
folder=$1
here=$(dirname "$(readlink -f "$0")")
setup=$here/../../deploy/setup.sh
suite=bookworm
made_of=$(cat "$setup" "$0" | sha256sum | cut -d' ' -f1)

mkdir -p "$folder/debs" "$folder/archives"
folder=$(readlink -f "$folder")
exec 9>"$folder/lock"
flock 9 # two runs in one tree: the second takes what the first has made
root=
unmount() {
    [ -z "$root" ] || ! mountpoint -q "$root/var/cache/apt/archives" || umount "$root/var/cache/apt/archives"
    [ -z "$root" ] || ! mountpoint -q "$root/proc" || umount "$root/proc"
    [ -z "$root" ] || rm -rf --one-file-system "$root"
    root=
}
trap unmount EXIT

is_made() {
    [ -f "$folder/$1.tar" ] && [ "$(cat "$folder/$1.made-of" 2>/dev/null)" = "$made_of" ]
}

keep() {
    tar -C "$root" --numeric-owner --one-file-system -cf "$folder/$1.tar.new" .
    mv "$folder/$1.tar.new" "$folder/$1.tar"
    echo "$made_of" >"$folder/$1.made-of"
}

base() {
    root=$(mktemp -d "$folder/root.XXXXXX")
    chmod 755 "$root"
    debootstrap --variant=minbase --cache-dir="$folder/debs" "$suite" "$root" ${HAWSER_DEBIAN_MIRROR:+"$HAWSER_DEBIAN_MIRROR"} \
        >"$folder/debootstrap.log"
    rm -f "$root"/var/cache/apt/archives/*.deb "$root/etc/hosts" "$root/etc/resolv.conf"
    keep base
    unmount
}

# derive NAME COMMAND...: the base and what the command, run inside it, has added; packages are kept in the cache, not in it.
derive() {
    local name=$1
    shift
    root=$(mktemp -d "$folder/root.XXXXXX")
    chmod 755 "$root"
    tar -C "$root" -xf "$folder/base.tar"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    cp "$setup" "$root/setup.sh"
    mount --bind "$folder/archives" "$root/var/cache/apt/archives"
    mount -t proc proc "$root/proc"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # no package starts a service
    chmod 755 "$root/usr/sbin/policy-rc.d"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        chroot "$root" "$@" >"$folder/$name.log" 2>&1 || { tail -20 "$folder/$name.log" >&2; exit 1; }
    umount "$root/proc" "$root/var/cache/apt/archives"
    rm -rf "$root/setup.sh" "$root/usr/sbin/policy-rc.d" "$root/etc/hosts" "$root/etc/resolv.conf" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin
    [ "$name" != redis ] || redis_entrypoint
    [ "$name" != mariadb ] || mariadb_entrypoint
    keep "$name"
    unmount
}

# As the official image does: started as root, it gives the folder of the data to redis and goes on as redis.
redis_entrypoint() {
    mkdir -p "$root/data"
    cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'END'
#!/bin/sh
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid redis --regid redis --clear-groups "$@"
fi
exec "$@"
END
    chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"
}

# As the official image does: goes on as mysql, and where there is no data makes it, with the database and the user that are asked for.
mariadb_entrypoint() {
    rm -rf "$root/var/lib/mysql"
    mkdir -p "$root/var/lib/mysql" "$root/run/mysqld"
    cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'END'
#!/bin/sh
set -e
[ "$1" = mariadbd ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p /run/mysqld
    chown mysql /var/lib/mysql /run/mysqld
    exec setpriv --reuid mysql --regid mysql --clear-groups "$0" "$@"
fi
[ -d /var/lib/mysql/mysql ] || {
    mariadb-install-db --no-defaults --datadir=/var/lib/mysql --skip-test-db
    (umask 077 && cat >/var/lib/mysql/first.sql) <<SQL
CREATE DATABASE \`$MARIADB_DATABASE\`;
CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$(cat "$MARIADB_PASSWORD_FILE")';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
SQL
    set -- "$@" --init-file=/var/lib/mysql/first.sql
}
shift
exec mariadbd --no-defaults --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock "$@"
END
    chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"
}

is_made base || base
is_made run || derive run bash /setup.sh run
is_made compile || derive compile bash /setup.sh compile
is_made redis || derive redis sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server'
is_made mariadb || derive mariadb sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends mariadb-server'
