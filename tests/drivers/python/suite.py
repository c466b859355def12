"""Drivers' own suites as programs of the matrix: each test of a suite is a case, and its one line is how it ended.

The first argument names the suite; DRIVERS_SUITES is the folder of the unpacked source packages. The suite runs in a copy.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from case import DATABASE, HOST, PASSWORD, PORT, USER

NAME = sys.argv[1]
# Outcomes that tell most, when a test ends in several (itself, its set-up, its parts).
ORDER = ["passed", "skipped", "xfailed", "failed", "error"]


class Outcomes:
    """What became of each test, the worst of its parts."""

    def __init__(self):
        self.found = {}

    def note(self, test, outcome):
        # SQLAlchemy names classes by the server's version.
        test = re.sub(r"_\d+(_\d+)+(?=::)", "", test)
        known = self.found.get(test, "passed")
        self.found[test] = max(known, outcome, key=ORDER.index)

    def print(self):
        print(f"# {NAME}")
        for test, outcome in sorted(self.found.items()):
            print(f"## {test}")
            print(outcome)
        print("# end")

    # What pytest calls.
    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            xfailed = report.skipped and hasattr(report, "wasxfail")
            self.note(report.nodeid, "xfailed" if xfailed else report.outcome)
        elif report.failed:
            self.note(report.nodeid, "error")
        elif report.skipped:
            self.note(report.nodeid, "skipped")


def source(pattern):
    """A copy of the source package, in the current folder."""
    found = [path for path in pathlib.Path(os.environ["DRIVERS_SUITES"]).glob(pattern) if path.is_dir()]
    if len(found) != 1:
        sys.exit(f"{pattern}: {found}")
    copy = pathlib.Path.cwd() / NAME
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(found[0], copy)
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    return copy


def postgres(user, database):
    os.environ.update(PGHOST=HOST, PGPORT=str(PORT), PGUSER=user, PGPASSWORD=PASSWORD, PGDATABASE=database)


def by_pytest(*arguments):
    import pytest

    outcomes = Outcomes()
    # The tests' own output is not the answer.
    kept = os.dup(1)
    os.dup2(2, 1)
    pytest.main(["-q", "-p", "no:cacheprovider", "--timeout=60", *arguments], plugins=[outcomes])
    sys.stdout.flush()
    os.dup2(kept, 1)
    outcomes.print()


def by_go(package, *arguments):
    outcomes = Outcomes()
    command = ["go", "test", "-json", "-count=1", "-timeout=600s", *arguments, package]
    told = subprocess.run(command, cwd=os.environ["DRIVERS_GO"], stdout=subprocess.PIPE, text=True)
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    for line in told.stdout.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if "Test" in event and event["Action"] in words:
            outcomes.note(event["Test"], words[event["Action"]])
        elif event.get("Action") == "output":
            sys.stderr.write(event["Output"])
    outcomes.print()


def by_libtest(crate, environment, *arguments):
    """The test programs of a Rust crate, as tests/install.sh built them."""
    outcomes = Outcomes()
    words = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
    listed = pathlib.Path(os.environ["DRIVERS_SUITES"]) / f"{crate}.programs"
    for program in listed.read_text().split():
        told = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        sys.stderr.write(told.stdout)
        for test, outcome in re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", told.stdout, re.M):
            outcomes.note(test, words[outcome])
    outcomes.print()


def pymysql():
    copy = source("PyMySQL-0.10.1")
    login = dict(host=HOST, port=PORT, user=USER, passwd=PASSWORD)
    databases = [dict(login, db="test1", use_unicode=True, local_infile=True), dict(login, db="test2")]
    (copy / "pymysql/tests/databases.json").write_text(json.dumps(databases))
    by_pytest("pymysql/tests")


def mysqlclient():
    copy = source("mysqlclient-*")
    # The installed one, which is compiled, not this one's source.
    shutil.rmtree(copy / "src")
    (copy / "login.cnf").write_text(
        f"[MySQLdb-tests]\nhost={HOST}\nport={PORT}\nuser={USER}\npassword={PASSWORD}\ndatabase={DATABASE}\n"
        "default-character-set=utf8mb4\n"
    )
    os.environ["TESTDB"] = str(copy / "login.cnf")
    by_pytest("tests")


def psycopg2():
    source("psycopg2-*")
    shutil.rmtree("lib")
    postgres(USER, DATABASE)
    os.environ["PSYCOPG2_TESTDB"] = DATABASE
    by_pytest("tests")


def pg8000():
    source("pg8000-*")
    postgres("postgres", "postgres")
    by_pytest("test", "--ignore=test/test_readme.py")


def asyncpg():
    source("asyncpg-*")
    shutil.rmtree("asyncpg")
    postgres("postgres", "postgres")
    by_pytest("tests")


def go_mysql():
    os.environ.update(
        MYSQL_TEST_USER=USER, MYSQL_TEST_PASS=PASSWORD, MYSQL_TEST_PROT="tcp", MYSQL_TEST_ADDR=f"{HOST}:{PORT}", MYSQL_TEST_DBNAME="gotest"
    )
    # Left out: what needs an address outside of this machine.
    by_go("github.com/go-sql-driver/mysql", "-skip", "TestConnectorReturnsTimeout")


def go_pq():
    postgres("pqgo", "pqgo")
    by_go("github.com/lib/pq")


def go_pgx():
    os.environ["PGX_TEST_DATABASE"] = f"host={HOST} port={PORT} user={USER} password={PASSWORD} dbname=pgx_test"
    by_go("github.com/jackc/pgx/v5")


def sqlalchemy(dialect, driver):
    source("sqlalchemy-*")
    address = f"{dialect}+{driver}://{USER}:{PASSWORD}@{HOST}:{PORT}/sqlalchemy"
    # What only compiles SQL needs no server; thousands of tests of ranges differ in the type only.
    tests = ["test/dialect/test_suite.py", f"test/dialect/{dialect}"]
    tests += ["-k", "not Compile and (not RangeRoundTrip or Int4Range)"]
    by_pytest("--dburi", address, "-p", "no:warnings", *tests)


def mysql_async():
    address = f"mysql://{USER}:{PASSWORD}@{HOST}:{PORT}/mysql"
    # Left out: what sets wait_timeout for the whole server, which the programs behind would find.
    by_libtest("mysql_async", {"DATABASE_URL": address}, "--skip", "zz_should_check_wait_timeout_on_get_conn")


def tokio_postgres():
    by_libtest("tokio-postgres", {"PGADDRESS": f"{HOST}:{PORT}"}, "--skip", "runtime::", "--skip", "parse::")


{
    "pymysql": pymysql, "mysqlclient": mysqlclient, "psycopg2": psycopg2, "pg8000": pg8000, "asyncpg": asyncpg,
    "go-sql-driver": go_mysql, "pq": go_pq, "pgx": go_pgx, "mysql_async": mysql_async,
    "tokio-postgres": tokio_postgres, "sqlalchemy-pymysql": lambda: sqlalchemy("mysql", "pymysql"),
    "sqlalchemy-psycopg": lambda: sqlalchemy("postgresql", "psycopg"),
}[NAME]()
