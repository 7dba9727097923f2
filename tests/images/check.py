"""Makes the images of the Dockerfile without a container engine, and looks at what would be shipped.

    python3 tests/images/check.py [--programs DIR]

Every stage is a root folder of its own: an overlay over this machine's for those that begin with a distribution, an empty folder
for distroless ones. COPY copies, RUN runs in the stage's root. With --programs the stage `build` is not run, and DIR holds what it
would have built: the programs of a release, of which some may be missing. Needs root, overlayfs, and this machine to be a Debian 12 with
Rust and Python 3.11, like the images the stages begin with; otherwise it says in one line that it did not run (exit code 77).

Shown are the bytes that a stage adds to its base, as they are and compressed, and the largest files; checked are the limits, that programs find their libraries in the image, that
they start there, and that what should not be in it is not.
"""

import fnmatch
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
SKIPPED = 77
# What distroless/cc-debian12 brings, of what programs are linked to.
DISTROLESS = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2"}
# Megabytes, compressed as a registry keeps them, beside the base (distroless/cc has some 10 of them, python:3.11-slim some 45).
LIMITS = {"functions": 30, "duckdb": 60, "dbt": 160}


def skip(reason):
    print(f"the check of the images did not run: {reason}")
    sys.exit(SKIPPED)


def instructions():
    """Stages in order: name, base, and the instructions of each."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    stages = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word, rest = line.split(" ", 1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append((name, base, []))
        else:
            stages[-1][2].append((word, rest.strip()))
    return stages


def context():
    """The files that the build is sent: those of git, by .dockerignore."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, capture_output=True, check=True)

    def is_in(name):
        taken = True
        for pattern in patterns:
            keep, pattern = pattern.startswith("!"), pattern.removeprefix("!")
            parts = [name, *(str(parent) for parent in pathlib.PurePath(name).parents)]
            plain = pattern.replace("**/", "")
            if any(fnmatch.fnmatch(part, pattern) or fnmatch.fnmatch(part, plain) for part in parts):
                taken = keep
        return taken

    return [name for name in listed.stdout.split("\n") if name and is_in(name)]


class Stage:
    def __init__(self, name, base, work):
        self.name, self.base = name, base
        self.upper, self.scratch, self.root = (work / name / part for part in ("upper", "scratch", "root"))
        for folder in (self.upper, self.scratch, self.root):
            folder.mkdir(parents=True)
        self.environment, self.folder, self.lower = {}, "/", []

    @property
    def is_distroless(self):
        return "distroless" in self.base

    def mount(self, stages):
        if self.base in stages:
            parent = stages[self.base]
            self.lower = [parent.upper, *parent.lower]
            self.environment |= parent.environment
        elif not self.is_distroless:
            self.lower = ["/"]
        lower = ":".join(str(folder) for folder in self.lower) or str(empty)
        options = f"lowerdir={lower},upperdir={self.upper},workdir={self.scratch}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        if not self.is_distroless:
            for folder in ("proc", "dev"):
                subprocess.run(["mount", "--rbind", f"/{folder}", self.root / folder], check=True)

    def at(self, path):
        return self.root / path.lstrip("/") if path.startswith("/") else self.root / self.folder.lstrip("/") / path

    def copy(self, words, stages):
        origin = next((word.split("=")[1] for word in words if word.startswith("--from=")), None)
        *sources, target = [word for word in words if not word.startswith("--")]
        into = target.endswith("/") or len(sources) > 1
        for source in sources:
            if origin:
                found = stages[origin].root / source.lstrip("/")
                if not found.exists():
                    print(f"        {self.name}: {source} is not there yet")
                    continue
                put(found, self.at(target) / found.name if into else self.at(target))
                continue
            for name in context():
                if source == "." or name == source or name.startswith(source + "/"):
                    inner = name if source == "." else os.path.relpath(name, source)
                    place = self.at(target) / (name if into else inner) if inner != "." else self.at(target) / (pathlib.Path(name).name if into else "")
                    put(ROOT / name, place)

    def run(self, command, user=None, environment=None, timeout=7200):
        """Runs it in the stage's root. Without a user it is a step of the build, which finds the network as this process does."""
        outer = {"PATH": os.environ["PATH"]} if user else os.environ
        variables = {**outer, **self.environment, **(environment or {})}
        chroot = ["chroot", *([f"--userspec={user}"] if user else []), str(self.root)]
        return subprocess.run(
            ["nice", "-n", "19", *chroot, *command], env=variables, text=True, capture_output=True, timeout=timeout
        )


def put(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def sizes(folder):
    files = [(file.stat().st_size, file) for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum(size for size, _ in files), sorted(files, reverse=True)[:5]


def compressed(folder):
    packed = subprocess.Popen(["tar", "-C", folder, "-cz", "."], stdout=subprocess.PIPE)
    size = 0
    while piece := packed.stdout.read(1 << 20):
        size += len(piece)
    packed.wait()
    return size


def libraries(program):
    shown = subprocess.run(["readelf", "-d", program], text=True, capture_output=True, check=True).stdout
    return set(re.findall(r"NEEDED.*\[(.+)\]", shown))


def examine(stage):
    """What is wrong with an image."""
    total, largest = sizes(stage.upper)
    packed = compressed(stage.upper) / 1e6
    print(f"{stage.name}: {total / 1e6:.1f} MB, compressed {packed:.1f} MB, beside {stage.base}")
    for size, file in largest:
        print(f"        {size / 1e6:7.1f} MB  /{file.relative_to(stage.upper)}")
    if packed > LIMITS[stage.name]:
        yield f"has {packed:.0f} MB compressed; it was meant to have at most {LIMITS[stage.name]}"
    programs = [file for file in (stage.upper / "app").iterdir() if file.is_file() and os.access(file, os.X_OK)]
    if not programs:
        yield "has no program"
    own = {file.name for file in (stage.upper / "app/lib").glob("*")} if (stage.upper / "app/lib").exists() else set()
    for program in programs:
        missing = libraries(program) - own - DISTROLESS
        if missing:
            yield f"{program.name} needs {', '.join(sorted(missing))}, which is not in it"
        if stage.name != "duckdb" and any("duckdb" in library for library in libraries(program)):
            yield f"{program.name} is linked to DuckDB"
    if stage.is_distroless:
        # What the base would bring, of which this machine has the same.
        for library in DISTROLESS:
            for folder in ("/lib/x86_64-linux-gnu", "/lib64"):
                if (pathlib.Path(folder) / library).exists():
                    put(pathlib.Path(folder, library).resolve(), stage.root / folder.lstrip("/") / library)
    (stage.root / "tmp").mkdir(exist_ok=True)
    (stage.root / "tmp").chmod(0o1777)
    for program in programs:
        done = stage.run([f"/app/{program.name}"], user="65532:65532", environment={"LD_LIBRARY_PATH": "/app/lib"}, timeout=60)
        # Without a project there is nothing to serve, and that is what it says.
        if "set BGP_PROJECT" not in done.stderr:
            yield f"/app/{program.name} does not start: {(done.stdout + done.stderr).strip()[-400:]}"
    if stage.name == "dbt":
        done = stage.run(["/opt/dbt/bin/python", "-c", "import dbt.adapters.bigquery, dbt.cli.main"], user="65532:65532")
        if done.returncode != 0:
            yield f"dbt does not start: {done.stderr.strip()[-400:]}"
    if stage.name in ("functions", "dbt") and not (stage.upper / "app/dbt-parsed/project.json").exists():
        yield "has no parsed dbt project"


def main():
    global empty
    programs = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--programs"] else None
    if os.geteuid() != 0:
        skip("it needs root, for overlays and chroot")
    release = pathlib.Path("/etc/os-release").read_text()
    if "VERSION_CODENAME=bookworm" not in release or sys.version_info[:2] != (3, 11):
        skip("this machine is no Debian 12 with Python 3.11")
    if "BGP_OWN_MOUNTS" not in os.environ:
        os.environ["BGP_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    failures = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"), ignore_cleanup_errors=True) as folder:
        work = pathlib.Path(folder)
        # In memory, and so on no file system that is below another stage.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", work], check=True)
        empty = work / "empty"
        empty.mkdir()
        stages = {}
        try:
            for name, base, lines in instructions():
                stage = stages[name] = Stage(name, base, work)
                stage.mount(stages)
                if name == "build" and programs:
                    for program in programs.iterdir():
                        if program.is_file() and os.access(program, os.X_OK):
                            put(program, stage.root / "out" / program.name)
                    continue
                for word, rest in lines:
                    if word == "WORKDIR":
                        stage.folder = rest
                        stage.at(rest).mkdir(parents=True, exist_ok=True)
                    elif word == "ENV":
                        stage.environment |= dict(item.split("=", 1) for item in shlex.split(rest))
                    elif word == "COPY":
                        stage.copy(rest.split(), stages)
                    elif word == "RUN":
                        done = stage.run(["sh", "-ec", f"cd {stage.folder}; {rest}"])
                        if done.returncode != 0:
                            print(f"FAILED  {name}: {rest[:120]}\n{(done.stdout + done.stderr).strip()[-2000:]}")
                            return 1
                if name not in LIMITS:
                    print(f"{name}: {sizes(stage.upper)[0] / 1e6:.1f} MB made")
                    continue
                for problem in examine(stage):
                    print(f"FAILED  {name}: {problem}")
                    failures += 1
        finally:
            for mounted in [*(stage.root for stage in reversed(stages.values())), work]:
                subprocess.run(["umount", "--recursive", "--lazy", mounted], capture_output=True)
    return 1 if failures else 0


sys.exit(main())
