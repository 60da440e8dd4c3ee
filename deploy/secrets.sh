#!/usr/bin/env bash
# Writes fresh secrets for docker-compose.yml, by default to the folder `secrets` beside this script; what exists is left alone.
#
#   deploy/secrets.sh [FOLDER]
#
# To rotate one: write "new,old" into its file (into it: the file itself is mounted) and `docker-compose kill -s HUP`; once
# every daemon has it, write "new" and do so again.
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
echo "secrets: $folder has cluster_secrets and admin_keys"
