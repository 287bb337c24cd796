#!/usr/bin/env python3
"""clang-tidy over those of the given units that were not found clean as they are now: the unit, all of our headers below it, its
compile command, the checks and the program are the same. A whole run takes many minutes, one after a change as long as the change.

    tests/static_analysis.py FOLDER UNIT...     FOLDER has compile_commands.json; what was found clean is noted there.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
OURS = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources_below(unit, seen):
    """The unit and every header of this repository that it comes to include."""
    if unit in seen or not (REPOSITORY / unit).is_file():
        return seen
    text = (REPOSITORY / unit).read_text()
    seen[unit] = text
    for included in OURS.findall(text):
        sources_below(included, seen)
    return seen


def state_of(unit, command, common):
    state = hashlib.sha256(common)
    state.update(command.encode())
    for name, text in sorted(sources_below(unit, {}).items()):
        state.update(f"{name}\0{text}\0".encode())
    return state.hexdigest()


def main(folder, units):
    commands = {one["file"]: one["command"] for one in json.loads((folder / "compile_commands.json").read_text())}
    common = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout + (REPOSITORY / ".clang-tidy").read_bytes()
    clean = folder / "clean"
    clean.mkdir(exist_ok=True)
    # A unit that is in no target is analysed with the command of a neighbour, as clang-tidy itself guesses it.
    notes = {unit: clean / state_of(unit, commands.get(str(REPOSITORY / unit), ""), common) for unit in units}
    due = [unit for unit in units if not notes[unit].exists()]

    def analyse(unit):
        return subprocess.run(["clang-tidy", "-p", folder, "--quiet", unit], cwd=REPOSITORY, capture_output=True, text=True)

    found = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for unit, done in zip(due, pool.map(analyse, due)):
            if done.returncode == 0:
                notes[unit].touch()
            else:
                found += 1
                print(done.stdout or done.stderr, flush=True)
    for old in set(clean.iterdir()) - set(notes.values()):
        old.unlink()
    print(f"clang-tidy: {len(due)} of {len(units)} units looked at, {found} with findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]))
