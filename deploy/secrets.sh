#!/usr/bin/env bash
# Writes fresh secrets for docker-compose.yml, by default to the folder `secrets` beside this script; what exists is left alone.
#
#   deploy/secrets.sh [FOLDER]
#
# To rotate one: write "new,old" into its file (into it: the file itself is mounted) and `docker-compose kill -s HUP`; once
# every daemon has it, write "new" and do so again. The password of Redis stands in redis_conf, which Redis reads when it starts, and
# in redis_url, which register and saver do: write both, and start the three again. That of MariaDB stands in mariadb_password, which
# MariaDB reads when it makes its data, and in mariadb_url, which register and saver do. An empty mariadb_url: there is no class durable,
# and products and keys are in Redis alone.
set -euo pipefail
folder=${1:-$(dirname "$(readlink -f "$0")")/secrets}

random_hex() {
    od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'
}

# The container's user must read the files, whose owner on the machine is somebody else; nobody else gets through the folder.
write() {
    [ -e "$folder/$1" ] || (umask 222 && printf '%s\n' "$2" >"$folder/$1")
}

mkdir -p "$folder"
chmod 700 "$folder"
write cluster_secrets "$(random_hex 32)"
write admin_keys "hwa_$(random_hex 16)"
password=$(random_hex 32)
[ -e "$folder/redis_conf" ] || [ -e "$folder/redis_url" ] || {
    write redis_conf "requirepass $password"
    write redis_url "redis://:$password@127.0.0.1:6379"
}
password=$(random_hex 32)
[ -e "$folder/mariadb_password" ] || [ -e "$folder/mariadb_url" ] || {
    write mariadb_password "$password"
    write mariadb_url "mariadb://hawser:$password@127.0.0.1:3306/hawser"
}
echo "secrets: $folder has cluster_secrets, admin_keys, redis_conf, redis_url, mariadb_password and mariadb_url"
