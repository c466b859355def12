#!/usr/bin/env bash
# Installs what a Debian or Ubuntu machine lacks for the demo or the tests; returns at once when all is there.
#
#   tests/install.sh demo               MariaDB and PostgreSQL (servers and clients), a C compiler
#   tests/install.sh bench              these, sysbench, the proxies that are compared, strace
#   tests/install.sh drivers BUILD_DIR  all of test, and what the whole driver matrix needs: Go, Java, compiled drivers
#   tests/install.sh test BUILD_DIR     all of demo, sysbench, haproxy, Node.js, and drivers in BUILD_DIR/python and .../javascript
#
# Works as root or as a user with sudo. Starts no service, creates no PostgreSQL cluster, and leaves servers that
# already run alone: service starts are denied while packages are installed, and every setting changed for that
# is put back afterwards.
set -euo pipefail

usage="usage: tests/install.sh demo | bench | test BUILD_DIR | drivers BUILD_DIR"
purpose="${1:?$usage}"
build="${2:-}"
[[ "$purpose" =~ ^(demo|bench)$ || ( "$purpose" =~ ^(test|drivers)$ && -n "$build" ) ]] || {
    echo "$usage" >&2
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
if [[ "$purpose" != demo ]]; then
    have sysbench || missing+=(sysbench)
    have haproxy || missing+=(haproxy)
fi
if [[ "$purpose" == bench ]]; then
    have pgbouncer || missing+=(pgbouncer)
    have strace || missing+=(strace)
fi
if [[ "$purpose" =~ ^(test|drivers)$ ]]; then
    have mariadb-dump || missing+=(mariadb-client)
    have node || missing+=(nodejs)
    have npm || missing+=(npm)
    if ! have python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=(python3 python3-venv)
    fi
fi
if [[ "$purpose" == drivers ]]; then
    have go || missing+=(golang-go)
    have javac || missing+=(default-jdk-headless)
    have mvn || missing+=(maven)
    have mariadb_config || missing+=(libmariadb-dev)
    have pg_config || missing+=(libpq-dev)
    have pkg-config || missing+=(pkg-config)
    compgen -G "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" >/dev/null ||
        missing+=(python3-dev)
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
    # Installed for their programs alone: not to be started with the machine either.
    if [[ " ${names[*]} " == *" pgbouncer "* ]] && have systemctl; then
        as_root systemctl --quiet disable pgbouncer >&2 || true
    fi
    put_back
}

[[ ${#missing[@]} -eq 0 ]] || install_packages

if [[ "$purpose" =~ ^(test|drivers)$ ]]; then
    drivers="$(dirname "${BASH_SOURCE[0]}")/drivers"
    # Marked with the list it was made from: another list makes it again.
    list="$drivers/python/requirements.txt"
    python="$build/python"
    if ! cmp -s "$list" "$python/made-from" ||
        ! "$python/bin/python" -c 'import pymysql, mysql.connector, asyncmy, psycopg, asyncpg, pg8000, sqlalchemy' 2>/dev/null; then
        echo "tests/install.sh: installing Python drivers into $python" >&2
        rm -rf "$python"
        python3 -m venv "$python"
        "$python/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list" >&2
        cp "$list" "$python/made-from"
    fi
    list="$drivers/javascript/package-lock.json"
    javascript="$build/javascript"
    if ! cmp -s "$list" "$javascript/made-from"; then
        echo "tests/install.sh: installing JavaScript drivers into $javascript" >&2
        rm -rf "$javascript"
        mkdir -p "$javascript"
        cp "$drivers/javascript/package.json" "$list" "$javascript"
        (cd "$javascript" && npm ci --silent --no-audit --no-fund --ignore-scripts >&2)
        cp "$list" "$javascript/made-from"
    fi
fi

# rust_suite CRATE ARGUMENTS...: builds the tests that the crate's package holds and lists the programs in suites/CRATE.programs.
rust_suite() {
    local crate="$1" found copy
    shift
    found="$(cargo metadata --locked --format-version 1 --all-features --manifest-path "$drivers/rust/Cargo.toml" |
        python3 "$drivers/rust/source_of.py" "$crate")"
    copy="$full/suites/$(basename "$found")"
    cp -r "$found" "$copy"
    # Not a member of the workspace that the build's folder may lie in.
    grep -q '^\[workspace\]' "$copy/Cargo.toml" || printf '\n[workspace]\n' >>"$copy/Cargo.toml"
    # The address and the login of the server are written into these tests.
    find "$copy/tests" -name '*.rs' -exec sed -i \
        -e 's/"127\.0\.0\.1:5433"/std::env::var("PGADDRESS").unwrap()/' \
        -e 's/"user=postgres/"user=postgres password=app/' {} +
    cargo test --no-run --manifest-path "$copy/Cargo.toml" --target-dir "$full/rust" --message-format=json "$@" |
        python3 "$drivers/rust/test_programs.py" >"$full/suites/$crate.programs"
}
postgres_types="with-bit-vec-0_8,with-chrono-0_4,with-eui48-1,with-geo-types-0_7,with-serde_json-1,with-time-0_3,with-uuid-1"

# What only the whole matrix needs: all that is compiled, and the packages in which drivers ship their own tests.
if [[ "$purpose" == drivers ]]; then
    full="$build/drivers"
    mkdir -p "$full"
    full="$(cd "$full" && pwd)"
    made_from="$(find "$drivers"/{go,java,rust} "$drivers"/python/*.txt "${BASH_SOURCE[0]}" -type f ! -name '*.pyc' |
        LC_ALL=C sort | xargs cat | sha256sum)"
    if [[ "$(cat "$full/made-from" 2>/dev/null)" != "$made_from" ]]; then
        echo "tests/install.sh: building drivers into $full" >&2
        python3 -m venv --clear "$full/python"
        pip=("$full/python/bin/python" -m pip --quiet --disable-pip-version-check)
        "${pip[@]}" install -r "$drivers/python/requirements-full.txt" >&2
        rm -rf "$full/suites"
        mkdir -p "$full/suites"
        while read -r suite; do
            "${pip[@]}" download --no-deps --no-binary "${suite%%==*}" --dest "$full/suites" "$suite" >&2
        done < <(grep -v '^#' "$drivers/python/suites.txt")
        for archive in "$full"/suites/*.tar.gz; do tar -xzf "$archive" -C "$full/suites"; done
        (cd "$drivers/go" && go build -o "$full/go-cases" .) >&2
        rm -rf "$full/java"
        mvn --quiet --batch-mode -f "$drivers/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$full/java" >&2
        javac -cp "$full/java/*" -d "$full/java" "$drivers/java/Cases.java" >&2
        cargo build --locked --manifest-path "$drivers/rust/Cargo.toml" --target-dir "$full/rust" >&2
        rust_suite mysql_async --no-default-features --features default-rustls-ring
        rust_suite tokio-postgres --features "$postgres_types"
        echo "$made_from" >"$full/made-from"
    fi
fi
