"""Sums up what the parts of `./bgp verify` left in a folder, as one JSON document on standard output."""

import json
import pathlib
import sys

found = {path.stem: json.loads(path.read_text()) for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json"))}
summary = {}


def add(key, value):
    summary[key] = summary.get(key, 0) + value


for name, part in found.items():
    for key in ("crash_cells", "crash_violations", "model_states", "model_violations", "simulated_seeds", "simulated_violations"):
        if key in part:
            add(key, part[key])
    if "guards" in part:
        summary["guards"] = part["guards"]
summary["guards_caught"] = len({guard for part in found.values() for guard in part.get("caught", [])})
print(json.dumps(summary, indent=2))
sound = (
    not any(summary.get(key) for key in ("crash_violations", "model_violations", "simulated_violations"))
    and summary.get("guards") == summary["guards_caught"]
)
sys.exit(0 if sound else 1)
