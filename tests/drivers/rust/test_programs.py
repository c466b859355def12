"""Prints the test programs that Cargo built, one a line, from its messages on standard input."""

import json
import sys

for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"]:
        print(message["executable"])
