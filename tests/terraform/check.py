"""Checks what is deployed: Terraform's configuration by itself, and against the program, the images and the documents.

What needs no Terraform always runs. The rest runs with the google provider where `terraform init` gets it, and otherwise with
what provider.py knows of it. Exit code 77: there is no Terraform here.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import documents

ROOT = pathlib.Path(__file__).parents[2]
SKIPPED = 77
LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'
passed, failed = 0, 0


def report(name, problems, note=""):
    global passed, failed
    passed, failed = passed + (not problems), failed + bool(problems)
    print(f"{'FAILED' if problems else 'ok    '}  {name}{': ' + note if note else ''}")
    for problem in problems:
        print(f"        {problem}")


# --- without Terraform ------------------------------------------------------------------------------------------------------


def stages():
    """The stages of the Dockerfile: the base of each, and its lines."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        start = re.match(r"FROM (\S+) AS (\S+)", line)
        if start:
            found[start[2]] = (start[1], [])
        elif line and not line.startswith("#") and found:
            list(found.values())[-1][1].append(line)
    return found


def variables_exist():
    config = (ROOT / "shared/service/src/config.rs").read_text()
    known = set(re.findall(r"pub const (\w+): &str", config)) | {"HOME"}
    text = "".join(file.read_text() for file in (ROOT / "terraform").glob("*.tf"))
    named = set(re.findall(r"\b(BGP_[A-Z_]+)\b", text))
    for _, lines in stages().values():
        named |= {name for line in lines if line.startswith("ENV") for name in re.findall(r"\b(BGP_\w+)=", line)}
    return [f"{name} is no variable of shared/service/src/config.rs" for name in sorted(named - known)]


def programs_are_in_their_images():
    """Each function is in the image that Terraform runs it from, and the image is in its place for what it is told."""
    locals_ = (ROOT / "terraform/locals.tf").read_text()
    functions = re.findall(r'^      (\w+) = \{\n        description = .*\n        image       = "(\w+)"', locals_, re.M)
    problems = [] if len(functions) == 6 else [f"found {len(functions)} functions in terraform/locals.tf"]
    for function, image in functions:
        lines = stages().get(image, ("", []))[1]
        if not any(line.startswith("COPY --from=build") and f"/out/{function} " in line and line.endswith(" /app/") for line in lines):
            problems.append(f"image {image} has no /app/{function}")
        if "USER nonroot" not in lines:
            problems.append(f"image {image} runs as root")
    problems += [
        f"image functions has {what}" for what in ("libduckdb", "dbt-environment")
        if any(what in line for line in stages()["functions"][1])
    ]
    build = (ROOT / "cloudbuild.yaml").read_text()
    variables = (ROOT / "terraform/variables.tf").read_text()
    for image in {image for _, image in functions}:
        problems += [] if f"$_REGISTRY/{image}:" in build else [f"cloudbuild.yaml does not push {image}"]
        problems += [] if re.search(rf"^    {image} +=", variables, re.M) else [f"variable images has no {image}"]
    return problems


def sources_of_images_exist():
    problems = []
    for name, (_, lines) in stages().items():
        for line in lines:
            copy = re.match(r"COPY (?!--from)(.+) \S+$", line)
            for source in copy[1].split() if copy else []:
                if not (ROOT / source).exists():
                    problems.append(f"stage {name} copies {source}, which is not there")
    return problems


def schedules_agree():
    """What runs when pipeline.yaml says nothing is the same in the cloud and on a laptop."""
    reader = (ROOT / "shared/pipeline/src/read/sections.rs").read_text()
    locals_ = (ROOT / "terraform/locals.tf").read_text()
    here = dict(re.findall(r'cron\(&mut fields, "(\w+)", "([^"]+)"\)', reader))
    there = dict(re.findall(r'(\w+) = "([^"]+)"', re.search(r"  schedule = merge\(\{([^}]*)\}", locals_)[1]))
    return [] if here == there and len(here) == 2 else [f"sections.rs has {here}, locals.tf {there}"]


def instances_agree():
    """What `bgp cost` counts a second of a function as is what Terraform gives it."""
    locals_ = (ROOT / "terraform/locals.tf").read_text()
    module = (ROOT / "terraform/modules/functions/variables.tf").read_text()
    volume = int(re.search(r'medium = optional\(string, "MEMORY"\)\s+gib +=? *= optional\(number, (\d+)\)', (ROOT / "terraform/variables.tf").read_text())[1])
    default = {name: re.search(rf'    {name} +=? *= optional\(string, "(\w+)"\)', module)[1] for name in ("cpu", "memory")}
    there = {}
    for name, body in re.findall(r"^      (\w+) = \{\n(.*?)^      \}$", locals_, re.M | re.S):
        given = dict(re.findall(r'^        (cpu|memory) += "(.*)"$', body, re.M))
        memory = given.get("memory", default["memory"])
        beside = re.match(r"\$\{local.source_memory \+ (\d+)\}Gi", memory)
        gib = volume + int(beside[1]) if beside else int(memory[:-2]) / (1 if memory.endswith("Gi") else 1024)
        there[name] = (float(given.get("cpu", default["cpu"])), float(gib))
    cost = (ROOT / "functions/local/src/commands/cost/mod.rs").read_text()
    here = {name: (float(cpu), float(gib)) for name, cpu, gib in re.findall(r'\("(\w+)", ([\d.]+), ([\d.]+)\)', re.search(r"const INSTANCES: .*? = .*?;\n", cost, re.S)[0])}
    return [] if here == there and len(here) == 6 else [f"cost/mod.rs has {here}, locals.tf {there}"]


def topics_and_types_agree():
    """What Terraform filters by is an event that the program announces."""
    text = (ROOT / "terraform/modules/events/main.tf").read_text()
    types = re.findall(r"dev\.bluegreenprint\.[\w.]+", text)
    return [f"there is no event {kind}" for kind in types if not (ROOT / "shared/events/schemas" / f"{kind}.json").exists()]


def logs_are_written():
    """What metrics count is what a function says in its log."""
    text = (ROOT / "terraform/modules/observability/metrics.tf").read_text()
    said = re.findall(r'(\w+) += \{ function = "(\w+)", (?:filter = "jsonPayload\.message=\\"([^\\]+)\\"|message = "(\w+)")', text)
    problems = [] if len(said) == 7 else [f"found {len(said)} metrics"]
    for name, function, first, second in said:
        source = "".join(file.read_text() for file in (ROOT / "functions" / function / "src").rglob("*.rs"))
        if not re.search(rf'tracing::info!\([^;]*"{first or second}"\)', source):
            problems.append(f"metric {name}: {function} never logs \"{first or second}\"")
    return problems


def build_can_be_read():
    """Every script of the build is one that sh reads, and every substitution is one that it has."""
    import yaml

    build = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
    known = set(build["substitutions"]) | {"_"}
    problems = []
    for step in build["steps"]:
        script = step.get("script") or step["args"][-1].replace("$$", "$")
        checked = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
        problems += [f"step {step['id']}: {checked.stderr.strip()}"] if checked.returncode else []
        # The images of some steps have no bash, which scripts are for by default.
        if "script" in step and not script.startswith("#!/bin/sh -e"):
            problems.append(f"step {step['id']} does not begin with #!/bin/sh -e")
        problems += [f"step {step['id']}: no substitution {name}" for name in sorted(set(re.findall(r"\$(_[A-Z]*)", script)) - known)]
    output = (ROOT / "terraform/outputs.tf").read_text()
    problems += [f"the output build sets {name}, which the build does not know" for name in re.findall(r"[=,](_[A-Z]+)=", output) if name not in known]
    return problems


def slots_are_dropped_and_nothing_else():
    """drop-slots, with a bq that says what it was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        program, asked = pathlib.Path(folder, "bq"), pathlib.Path(folder, "asked")
        slots = ["retail_blue_1_a2f62c4cd4_mart", "retail_green_2_f0a16ea8be_raw"]
        listed = "datasetId\n" + "\n".join(["live", *slots, "raw", "retail_blue_print"])
        program.write_text(f"#!/bin/sh\necho \"$@\" >> {asked}\ncase \"$*\" in *ls*) printf '{listed}\n';; esac\n")
        program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

        def drop(*arguments, answer=""):
            asked.write_text("")
            command = [ROOT / "terraform/drop-slots", "example-project", *arguments]
            done = subprocess.run(command, env=environment, input=answer, text=True, capture_output=True)
            return done.returncode, [line.split(":")[-1] for line in asked.read_text().splitlines() if line.startswith("rm")]

        problems = [] if drop("--yes") == (0, slots) else [f"with --yes it did {drop('--yes')}"]
        problems += [] if drop(answer="example-project\n") == (0, slots) else ["it does not drop when it is told to"]
        return problems + ([] if drop(answer="yes\n") == (1, []) else ["it drops before somebody said the project's name"])


# --- with Terraform ---------------------------------------------------------------------------------------------------------


class Terraform:
    def __init__(self, program, folder, environment):
        self.program, self.folder = program, folder
        self.environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **environment}

    def run(self, *arguments, folder="."):
        return subprocess.run(
            [self.program, *arguments], cwd=self.folder / folder, env=self.environment, text=True, capture_output=True
        )


def problems_of(done):
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-40:]


def short(member):
    """A member as the documents call it."""
    if member is None or "gcp-sa-pubsub" in member:
        return "Pub/Sub"
    own = re.match(r"serviceAccount:bgp-([\w-]+)@", member)
    return own[1] if own else member


def grants(plan):
    """Rights of the plan, as rows of docs/permissions.md: on what, which role, who."""
    rows, calls = {}, {}
    for change in plan["resource_changes"]:
        kind, after = change["type"], change["change"]["after"]
        if not kind.endswith("_iam_member"):
            continue
        role = after["role"].removeprefix("roles/").split("/roles/")[-1]
        on = {
            "google_bigquery_dataset_iam_member": lambda: f"dataset {after['dataset_id']}",
            "google_project_iam_member": lambda: "project",
            "google_storage_bucket_iam_member": lambda: "bucket" if after["bucket"].endswith("-lake") else "bucket of the state",
            "google_pubsub_topic_iam_member": lambda: f"topic {after['topic']}",
            "google_pubsub_subscription_iam_member": lambda: f"subscription {after['subscription']}",
            "google_cloud_run_v2_service_iam_member": lambda: "functions",
            "google_cloud_run_v2_job_iam_member": lambda: f"job {after['name']}",
            # "publish as live-reader"
            "google_service_account_iam_member": lambda: "account " + change["index"].split(" as ")[1],
            "google_artifact_registry_repository_iam_member": lambda: "registry",
            "google_secret_manager_secret_iam_member": lambda: "secrets that sources name",
        }[kind]()
        for condition in after.get("condition") or []:
            prefixes = re.findall(r"/objects/([^\"]+)", condition["expression"])
            on += ", " + " ".join(f"`{prefix}`" for prefix in prefixes)
        who = short(after.get("member"))
        if on == "functions":
            calls.setdefault(who, set()).add(after["name"])
        else:
            rows.setdefault((on, role), set()).add(who)
    for who, functions in calls.items():
        rows.setdefault((f"functions {', '.join(sorted(functions))}", "run.invoker"), set()).add(who)
    return {(on, role, who) for (on, role), members in rows.items() for who in members}


def documented_grants():
    table = (ROOT / "docs/permissions.md").read_text().split("## In slots")[0]
    rows = re.findall(r"^\| (?!on )([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", table, re.M)
    return {(on, role, who) for on, role, members in rows for who in members.split(", ")}


def compare_grants(plan, plan_with_more):
    more = {row for row in grants(plan_with_more) if row[0].startswith(("secrets", "job"))}
    planned, documented = grants(plan) | more, documented_grants()
    return [f"docs/permissions.md lacks: {' | '.join(row)}" for row in sorted(planned - documented)] + [
        f"docs/permissions.md has what is not planned: {' | '.join(row)}" for row in sorted(documented - planned)
    ]


def compare_resources(plan):
    counts = {}
    for change in plan["resource_changes"]:
        if not change["type"].endswith("_iam_member") and change["type"].startswith("google_"):
            counts[change["type"]] = counts.get(change["type"], 0) + 1
    table = (ROOT / "docs/deploy.md").read_text()
    documented = dict(re.findall(r"^\| `(google_\w+)` \| ([^|]+) \|", table, re.M))
    files = len(list((ROOT / "workflows").glob("*.yaml")))
    documented = {kind: files if count == "one a file" else int(count) for kind, count in documented.items()}
    kinds = sorted(set(counts) | set(documented))
    return [
        f"{kind}: {counts.get(kind, 0)} planned, {documented.get(kind, 0)} in docs/deploy.md"
        for kind in kinds
        if counts.get(kind, 0) != documented.get(kind)
    ]


def change_as_at_run_time(folder):
    """What the running pipeline, the console and gcloud change: the state as a refresh would find it."""
    file = folder / "terraform.tfstate"
    state = json.loads(file.read_text())
    changed = 0
    for resource in state["resources"]:
        for instance in resource["instances"]:
            values = instance["attributes"]
            if resource["type"] == "google_bigquery_dataset" and resource["name"] == "live":
                values["labels"] = {**values["labels"], "cycle": "7", "slot": "green_7_4f09c1ab22"}
            elif resource["type"] == "google_cloud_run_v2_service":
                values |= {"client": "gcloud", "client_version": "528.0.0"}
            elif resource["type"] == "google_monitoring_dashboard":
                values["dashboard_json"] = json.dumps({"etag": "1", **json.loads(values["dashboard_json"])})
            else:
                continue
            changed += 1
    state["serial"] += 1
    file.write_text(json.dumps(state))
    return [] if changed == 8 else [f"changed {changed} resources instead of 8"]


def copied(folder):
    shutil.copytree(ROOT / "terraform", folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars.json", "terraform.tfvars"))
    shutil.copytree(ROOT / "workflows", folder / "workflows")
    shutil.copy(ROOT / "pipeline.yaml", folder)
    return folder / "terraform"


def modules(terraform):
    for folder in [*sorted((terraform.folder / "modules").iterdir()), terraform.folder]:
        name = folder.relative_to(terraform.folder).as_posix()
        init = terraform.run("init", "-backend=false", "-no-color", folder=name)
        if init.returncode != 0:
            report(f"init {name}", problems_of(init))
            continue
        report(f"validate {name}", problems_of(terraform.run("validate", "-no-color", folder=name)))
        tests = terraform.run("test", "-no-color", folder=name)
        count = re.search(r"(\d+) passed, (\d+) failed", tests.stdout)
        problems = problems_of(tests) or ([] if count and int(count[1]) > 0 else ["no test ran"])
        report(f"test {name}", problems, count[0] if count else "")


def life(terraform, is_real):
    """Plan, and where nothing real is behind it apply, plan again, and destroy."""
    (terraform.folder / "backend_override.tf").write_text(LOCAL_BACKEND)
    if is_real:
        terraform.environment["GOOGLE_OAUTH_ACCESS_TOKEN"] = "none"
    options = ["-input=false", "-no-color", "-var-file=example.tfvars"]
    done = terraform.run("init", "-reconfigure", "-no-color")
    done = done if done.returncode else terraform.run("plan", *options, "-refresh=false", "-out=plan")
    report("plan example.tfvars", problems_of(done), "".join(re.findall(r"Plan: .*", done.stdout)))
    if done.returncode != 0:
        return
    plan = json.loads(terraform.run("show", "-json", "plan").stdout)
    done = terraform.run("plan", *options, "-refresh=false", "-var=pipeline_file=tests/own.yaml", "-var=transform_hours=6", "-out=plan-with-more")
    report("plan tests/own.yaml, whose sources have passwords, with a job", problems_of(done))
    if done.returncode != 0:
        return
    plan_with_more = json.loads(terraform.run("show", "-json", "plan-with-more").stdout)
    report("the plans have the rights that docs/permissions.md lists", compare_grants(plan, plan_with_more))
    report("the plan has the resources that docs/deploy.md lists", compare_resources(plan))
    if is_real:
        return
    report("apply", problems_of(terraform.run("apply", "-input=false", "-no-color", "plan")))
    again = terraform.run("plan", *options, "-detailed-exitcode")
    report("a second plan is empty", problems_of(again))
    problems = change_as_at_run_time(terraform.folder)
    again = terraform.run("plan", *options, "-detailed-exitcode")
    report("a plan after the pipeline has run is empty", problems + problems_of(again))
    protected = ["lake.google_storage_bucket.lake", *(f"warehouse.google_bigquery_dataset.{name}" for name in ["raw", "live"])]
    done = terraform.run("destroy", *options, "-auto-approve")
    left = terraform.run("state", "list").stdout.splitlines()
    problems = [] if done.returncode else ["it was destroyed"]
    problems += [f"{address} was destroyed" for address in protected if f"module.{address}" not in left]
    report("destroy is refused while data is protected", problems)
    terraform.run("apply", *options, "-auto-approve")
    done = terraform.run("apply", *options, "-auto-approve", "-var=deletion_protection=false")
    changed = re.search(r"(\d+) added, (\d+) changed, (\d+) destroyed", done.stdout)
    problems = problems_of(done) or ([] if changed and changed.groups() == ("0", "3", "0") else [f"changed: {changed and changed[0]}"])
    report("protection is given up in place", problems)
    done = terraform.run("destroy", *options, "-auto-approve", "-var=deletion_protection=false")
    report("destroy", problems_of(done), "".join(re.findall(r"Resources: \d+ destroyed", done.stdout)))


def with_terraform():
    program = shutil.which("terraform")
    if not program:
        print("Terraform's own checks did not run: terraform is not on the PATH; install version 1.9 or newer")
        return False
    os.environ.pop("TF_REATTACH_PROVIDERS", None)
    if not pathlib.Path(os.environ.get("TF_CLI_CONFIG_FILE", "/")).exists():
        del os.environ["TF_CLI_CONFIG_FILE"]
    version = json.loads(subprocess.run([program, "version", "-json"], text=True, capture_output=True, check=True).stdout)["terraform_version"]
    if [int(part) for part in version.split("-")[0].split(".")] < [1, 9]:
        print(f"Terraform's own checks did not run: terraform is {version}; install version 1.9 or newer")
        return False
    formatted = subprocess.run([program, "fmt", "-check", "-recursive", ROOT / "terraform"], text=True, capture_output=True)
    report("format", [f"{file} is not formatted; run terraform fmt -recursive terraform" for file in formatted.stdout.split()])
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = copied(pathlib.Path(scratch))
        terraform = Terraform(program, folder, {})
        # The provider has some hundred megabytes: once for all modules, and for all runs.
        plugins = pathlib.Path(os.environ.get("BGP_CACHE", scratch), "terraform-plugins")
        plugins.mkdir(parents=True, exist_ok=True)
        terraform.environment["TF_PLUGIN_CACHE_DIR"] = str(plugins)
        terraform.environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        init = terraform.run("init", "-backend=false", "-no-color")
        is_real = init.returncode == 0
        if not is_real:
            import provider

            said = " ".join(re.sub("[│╷╵]", " ", init.stderr).split())
            reason = re.search(r"(?:[Cc]ould not|[Ff]ailed to) .*?(?:[.] |$)", said)
            print(f"the google provider did not run, its recorded schema stands in for it: {reason[0][:200] if reason else said[:200]}")
            terraform.environment |= stack.enter_context(provider.serving())
        modules(terraform)
        life(terraform, is_real)
    return True


def main():
    report("variables that are set are read", variables_exist())
    report("functions are in their images", programs_are_in_their_images())
    report("what images copy is there", sources_of_images_exist())
    report("schedules are the same everywhere", schedules_agree())
    report("instances cost what they have", instances_agree())
    report("events that are filtered by are announced", topics_and_types_agree())
    report("metrics count what is logged", logs_are_written())
    report("the build can be read", build_can_be_read())
    report("slots are dropped, and nothing else", slots_are_dropped_and_nothing_else())
    problems, note = documents.check()
    report("commands of the documents exist", problems, note)
    is_complete = with_terraform()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0 if is_complete else SKIPPED


sys.exit(main())
