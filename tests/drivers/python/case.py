"""What every Python program of the matrix shares: a list of cases, and how what a driver gave becomes lines of text.

A program is run against a server and against dbmesh; the lines are compared. So nothing may be printed that differs
between two runs against one server: no time of day, no connection number, no address.
"""

import datetime
import decimal
import hashlib
import os
import sys
import time
import traceback

HOST = os.environ["DRIVERS_HOST"]
PORT = int(os.environ["DRIVERS_PORT"])
USER = os.environ["DRIVERS_USER"]
PASSWORD = os.environ["DRIVERS_PASSWORD"]
DATABASE = os.environ["DRIVERS_DATABASE"]
# The certificate that signs the listener's own.
CA = os.environ["DRIVERS_CA"]
# A folder for files that a case needs.
FOLDER = os.environ["DRIVERS_FOLDER"]

CASES = []


def case(function):
    """Registers a case under its function's name."""
    CASES.append(function)
    return function


def say(*values):
    """One line of the answer."""
    print("  ".join(shown(value) for value in values))


def text(value):
    """A line as it is."""
    print(value)


def shown(value):
    """A value with its type, the same for equal values only."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return "b:" + (data.hex() if len(data) <= 64 else f"{len(data)}:{hashlib.sha1(data).hexdigest()}")
    if isinstance(value, str):
        if len(value) > 200:
            return f"s:{len(value)}:{hashlib.sha1(value.encode('utf-8', 'surrogateescape')).hexdigest()}"
        return ascii(value) if any(not c.isprintable() for c in value) else repr(value)
    if isinstance(value, decimal.Decimal):
        return f"d:{value}"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return f"{type(value).__name__}:{value.isoformat()}"
    if isinstance(value, datetime.timedelta):
        return f"delta:{value}"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(shown(part) for part in value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(key)}: {shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(shown(part) for part in value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(shown(part) for part in value) + "]"
    return f"{type(value).__name__}:{value}"


def run(driver):
    """Runs the cases in order; a case that fails says how, and the next one runs."""
    print(f"# {driver}")
    for function in CASES:
        print(f"## {function.__name__}")
        begun = time.process_time(), time.monotonic()
        try:
            function()
        except Exception as error:
            print(f"fails: {type(error).__name__}: {error}".replace("\n", " | "))
            if os.environ.get("DRIVERS_TRACE"):
                traceback.print_exc(file=sys.stderr)
        # For whoever asks where the time goes; not compared.
        took = [now - then for now, then in zip((time.process_time(), time.monotonic()), begun)]
        print(f"{function.__name__}: {took[0]:.2f} s of CPU, {took[1]:.2f} s", file=sys.stderr)
        sys.stdout.flush()
    print("# end")


async def run_async(driver):
    """The same for cases that are coroutines."""
    print(f"# {driver}")
    for function in CASES:
        print(f"## {function.__name__}")
        begun = time.process_time(), time.monotonic()
        try:
            await function()
        except Exception as error:
            print(f"fails: {type(error).__name__}: {error}".replace("\n", " | "))
            if os.environ.get("DRIVERS_TRACE"):
                traceback.print_exc(file=sys.stderr)
        # For whoever asks where the time goes; not compared.
        took = [now - then for now, then in zip((time.process_time(), time.monotonic()), begun)]
        print(f"{function.__name__}: {took[0]:.2f} s of CPU, {took[1]:.2f} s", file=sys.stderr)
        sys.stdout.flush()
    print("# end")
