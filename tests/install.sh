#!/usr/bin/env bash
# Installs what a Debian or Ubuntu machine lacks for the demo or the tests; returns at once when all is there.
#
#   tests/install.sh demo               MariaDB and PostgreSQL (servers and clients), a C compiler
#   tests/install.sh test PYTHON_DIR    these, sysbench, haproxy, and the Python drivers in a private environment
#
# Works as root or as a user with sudo. Starts no service, creates no PostgreSQL cluster, and leaves servers that
# already run alone: service starts are denied while packages are installed, and every setting changed for that
# is put back afterwards.
set -euo pipefail

purpose="${1:?usage: tests/install.sh demo | test PYTHON_DIR}"
python_dir="${2:-}"
[[ "$purpose" == demo || ( "$purpose" == test && -n "$python_dir" ) ]] || {
    echo "usage: tests/install.sh demo | test PYTHON_DIR" >&2
    exit 2
}
# Server programs live in sbin, which the PATH of an ordinary user often lacks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

have() { command -v "$1" >/dev/null 2>&1; }
have_postgres() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { have postgres && have initdb; }; }
as_root() {
    if [[ $EUID -eq 0 ]]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

declare -a missing=()
have cc || missing+=(gcc libc6-dev)
have mariadbd && have mariadb-install-db || missing+=(mariadb-server-core)
have mariadb || missing+=(mariadb-client-core)
have psql && have pgbench || missing+=(postgresql-client postgresql-contrib)
have_postgres || missing+=(postgresql)
if [[ "$purpose" == test ]]; then
    have sysbench || missing+=(sysbench)
    have haproxy || missing+=(haproxy)
    if ! have python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=(python3 python3-venv)
    fi
fi

undo=()
put_back() {
    local i
    for ((i = ${#undo[@]} - 1; i >= 0; i--)); do eval "${undo[i]}"; done
    undo=()
}
trap put_back EXIT

# The name under which this release of Debian or Ubuntu ships a MariaDB core package.
mariadb_package() {
    if apt-cache show "$1" >/dev/null 2>&1; then
        echo "$1"
    else
        apt-cache pkgnames "$1-" | sort -V | tail -n 1
    fi
}

install_packages() {
    if ! have apt-get; then
        echo "tests/install.sh: missing: ${missing[*]}; this script can only install on Debian or Ubuntu" >&2
        exit 1
    fi
    if [[ $EUID -ne 0 ]] && ! have sudo; then
        echo "tests/install.sh: missing: ${missing[*]}; run as root or install sudo" >&2
        exit 1
    fi
    echo "tests/install.sh: installing ${missing[*]}" >&2
    local -a apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)
    as_root "${apt[@]}" update >&2

    # While this file denies it, no package script starts or restarts a service.
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        undo+=('as_root rm -f /usr/sbin/policy-rc.d')
        as_root chmod 755 /usr/sbin/policy-rc.d
    fi

    local -a names=()
    local name
    for name in "${missing[@]}"; do
        case "$name" in
        mariadb-*-core) names+=("$(mariadb_package "$name")") ;;
        *) names+=("$name") ;;
        esac
    done

    if [[ " ${names[*]} " == *" postgresql"* ]]; then
        # The cluster is created by the server package, as this file of the common package says.
        local settings=/etc/postgresql-common/createcluster.conf
        as_root "${apt[@]}" install --no-install-recommends postgresql-common >&2
        as_root cp -p "$settings" "$settings.before-dbmesh"
        undo+=("as_root mv -f '$settings.before-dbmesh' '$settings'")
        printf 'create_main_cluster = false\n' | as_root tee -a "$settings" >/dev/null
    fi
    as_root "${apt[@]}" install --no-install-recommends "${names[@]}" >&2
    put_back
}

[[ ${#missing[@]} -eq 0 ]] || install_packages

if [[ "$purpose" == test ]]; then
    # Marked with the list it was made from: another list makes it again.
    drivers=('PyMySQL>=1.1,<2' 'psycopg[binary]>=3.1,<4' 'asyncpg>=0.29,<1')
    if [[ "$(cat "$python_dir/drivers" 2>/dev/null)" != "${drivers[*]}" ]] ||
        ! "$python_dir/bin/python" -c 'import pymysql, psycopg, asyncpg' 2>/dev/null; then
        echo "tests/install.sh: installing Python drivers into $python_dir" >&2
        rm -rf "$python_dir"
        python3 -m venv "$python_dir"
        "$python_dir/bin/python" -m pip install --quiet --disable-pip-version-check "${drivers[@]}" >&2
        printf '%s' "${drivers[*]}" >"$python_dir/drivers"
    fi
fi
