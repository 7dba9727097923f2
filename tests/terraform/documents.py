"""Every command in the documents about the cloud is one that exists: what it names is looked up where it is defined.

Commands are the lines of ```console blocks that begin with "$ ", and text in backticks that begins with a program's name.
"""

import importlib.util
import pathlib
import re
import shlex
import shutil

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = [ROOT / "docs/deploy.md", ROOT / "docs/permissions.md"]
DOCUMENTS += sorted((ROOT / "terraform/modules/observability/runbooks").glob("*.md"))
PROGRAMS = ["./bgp", "bq", "gcloud", "terraform", "terraform/drop-slots"]
# Others that a shell has.
PLAIN = ["cp", "export", "eval", "${EDITOR:-vi}"]
TERRAFORM = ["init", "plan", "apply", "destroy", "output"]


def read(*parts):
    return ROOT.joinpath(*parts).read_text()


def commands(document):
    for block in re.findall(r"```console\n(.*?)```", document, re.S):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))
    for text in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", document, flags=re.S)):
        if text.split()[0] in PROGRAMS and len(text.split()) > 1:
            yield text


def gcloud_tree():
    """What gcloud knows of its own commands, where it is installed."""
    program = shutil.which("gcloud")
    file = program and pathlib.Path(program).resolve().parents[1] / "data/cli/gcloud_completions.py"
    if not file or not file.exists():
        return None
    spec = importlib.util.spec_from_file_location("gcloud_completions", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STATIC_COMPLETION_CLI_TREE


def bgp(words):
    arguments = read("functions/local/src/arguments.rs")
    enumeration = re.search(r"enum Command \{(.*?)\n\}", arguments, re.S)[1]
    known = {re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower() for name in re.findall(r"^    ([A-Z]\w+)\(", enumeration, re.M)}
    known |= set(re.findall(r"^  (\w+)\)", read("bgp").split("# --- commands")[1], re.M))
    options = set(re.findall(r"#\[arg\(long[^\]]*\)\]\s+pub (\w+)", arguments))
    options = {"--" + name.replace("_", "-") for name in options}
    words = words[2:] if words[0] == "--target" else words
    if not words:
        return
    yield words[0] in known, f"bgp has no command {words[0]}"
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        yield option in options, f"bgp has no option {option}"
    if words[0] == "run":
        yield words[1] == "daily", f"bgp runs no workflow {words[1]}"


def gcloud(words, tree):
    if words[:2] == ["workflows", "run"] or words[:3] == ["workflows", "executions", "list"]:
        name = words[words.index("run" if "run" in words else "list") + 1]
        yield (ROOT / "workflows" / f"{name}.yaml").exists(), f"there is no workflow {name}"
    if words[:2] == ["scheduler", "jobs"] and words[2] != "list":
        yield f'"{words[3]}"' in read("terraform/main.tf"), f"there is no job {words[3]}"
    for word in words:
        if word.startswith("--config="):
            yield (ROOT / word.split("=")[1]).exists(), f"there is no file {word}"
    if tree is None:
        return
    place, flags, positional = tree, set(tree.get("flags", {})), False
    for word in words:
        if word.startswith("--"):
            flag = word.split("=")[0]
            yield flag in flags or flag in place.get("flags", {}), f"gcloud {' '.join(words)} takes no {flag}"
        elif not positional and word in place.get("commands", {}):
            place = place["commands"][word]
        else:
            positional = True
    yield not place.get("commands"), f"gcloud has no command {' '.join(words)}"


def terraform(words):
    words = [word for word in words if word != "-chdir=terraform"]
    yield words[0] in TERRAFORM, f"terraform {words[0]} is none of {TERRAFORM}"
    for word in words[1:]:
        if word.startswith("-var="):
            name = word.split("=")[1]
            yield f'variable "{name}"' in read("terraform/variables.tf"), f"there is no variable {name}"
        if words[0] == "output" and not word.startswith("-"):
            yield f'output "{word}"' in read("terraform/outputs.tf"), f"there is no output {word}"


def examine(command, tree):
    """What is wrong with a command, if anything."""
    nested = re.findall(r"\$\(([^)]+)\)", command)
    checks = []
    for text in nested:
        yield from examine(text, tree)
    words = shlex.split(command)
    program, rest = words[0], words[1:]
    if program == "./bgp":
        checks = bgp(rest)
    elif program == "gcloud":
        checks = gcloud(rest, tree)
    elif program == "terraform":
        checks = terraform(rest)
    elif program == "bq":
        checks = [(rest[0] == "query", "bq is only asked for rows")]
    elif program in PROGRAMS:
        checks = [((ROOT / program).exists(), f"there is no {program}")]
    elif program not in PLAIN:
        checks = [(False, f"nobody knows the program {program}")]
    for word in rest:
        if re.match(r"(terraform|docs|workflows)/[\w./-]+$", word) and not re.search(r"terraform\.tfvars|\.auto\.|/$", word):
            yield from ([] if (ROOT / word).exists() else [f"there is no {word}"])
    yield from (problem for is_right, problem in checks if not is_right)


def links(file, document):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document):
        if "://" not in target and not (file.parent / target).exists():
            yield f"link to {target}, which is not there"


def check():
    tree = gcloud_tree()
    counted, problems = 0, []
    for file in DOCUMENTS:
        document = file.read_text()
        found = list(commands(document))
        counted += len(found)
        problems += [f"{file.relative_to(ROOT)}: {command}: {problem}" for command in found for problem in examine(command, tree)]
        problems += [f"{file.relative_to(ROOT)}: {problem}" for problem in links(file, document)]
    note = "" if tree else "; gcloud is not here, so its own commands were not looked up"
    return problems, f"{counted} commands of {len(DOCUMENTS)} documents{note}"
