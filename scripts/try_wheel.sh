#!/usr/bin/env bash
# The demo as the wheel runs it: the wheel is built and unpacked into a folder of its own, and what it
# needs, the train extra included, is taken from the environment that `make` has set up. So no
# 3 GB are fetched, and nothing of the checkout is imported.
#     scripts/try_wheel.sh [PATIENTS]
set -euo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
"$python" -m build --no-isolation --outdir dist .
wheels=(dist/hilum-*.whl)
"$python" -m pip install --quiet --no-deps --target "$place/packages" "${wheels[-1]}"
export PYTHONPATH="$place/packages"
cd "$place"
"$python" -P -c "
import sys, hilum, torch
from pathlib import Path
from hilum.cli import command
assert Path(hilum.__file__).is_relative_to('$place'), hilum.__file__
sys.argv = ['hilum', 'demo', '-o', 'demo', '--patients', '${1:-60}', '--quiet']
command()
"
test -s demo/report/report.html
test -s demo/run/evaluation.json
echo "the wheel ran the demo"
