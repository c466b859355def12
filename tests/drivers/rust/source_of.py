"""Prints the folder of a crate's source, from what `cargo metadata` says on standard input."""

import json
import pathlib
import sys

found = [package for package in json.load(sys.stdin)["packages"] if package["name"] == sys.argv[1]]
# More than one version may be there: the one that is wanted is the newest.
newest = max(found, key=lambda package: [int(part) for part in package["version"].split("-")[0].split("+")[0].split(".")])
print(pathlib.Path(newest["manifest_path"]).parent)
