"""Runs dbt commands for a parent process: one JSON object a line in, one out, in turn.

The first line holds the settings; it is answered when dbt is imported. Then come commands, each an object whose `do`
names one of COMMANDS. The answer is {"ok": ...} or {"error": {"kind": ..., "message": ...}}. The process ends, in the
middle of a command too, when its standard input ends: that is how it dies with its parent and how a command is cancelled.
"""

import gc
import json
import os
import pickle
import queue
import re
import shutil
import sys
import threading
import time


def main():
    # Only answers may go to the parent: whatever dbt, an adapter or a model prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    lines = queue.Queue()
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=read, args=(lines, settings["folder"]), daemon=True).start()
    os.chdir(settings["project_dir"])
    worker = answer(answers, lambda: Worker(settings))
    while worker:
        request = json.loads(lines.get())
        answer(answers, lambda: worker.COMMANDS[request.pop("do")](worker, **request))


def read(lines, folder):
    for line in sys.stdin:
        lines.put(line)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def answer(answers, command):
    try:
        result = command()
        value = {"ok": result if isinstance(result, dict) else None}
    except Problem as problem:
        result, value = None, {"error": {"kind": problem.kind, "message": str(problem)}}
    except BaseException as error:  # the parent decides what becomes of it
        result, value = None, {"error": {"kind": "internal", "message": f"{type(error).__name__}: {error}"}}
    answers.write(json.dumps(value, default=str) + "\n")
    return result


class Problem(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def problem(error):
    """What an exception means to the parent: a locked file is worth another try, what dbt refuses has to be mended."""
    from dbt_common.exceptions import DbtBaseException

    message = str(error) or type(error).__name__
    if "Could not set lock on file" in message or type(error).__name__ == "FailedToConnectError":
        return Problem("unavailable", message)
    return Problem("rejected" if isinstance(error, DbtBaseException) else "internal", message)


class Worker:
    def __init__(self, settings):
        self.settings = settings
        self.manifest = None
        self.packages = None
        self.nodes = None
        self.vars = {}
        self.wanted = set()
        self.database = None
        self.statements = {}
        self.test_queries = {}
        self.labels = {}
        self.budget = None
        self.cost = {}
        self.read = {}
        self.counting = threading.Lock()
        self.patch()

    def patch(self):
        """What is changed in dbt: packages may be installed elsewhere, what is selected is named by id, the project's own vars are noted when it is parsed, seeds
        are those of this folder, adapters do not look through the whole stack for their own name, relations of the slot's
        own database are written without it, so that its views work under any alias, and statements are noted by node."""
        from dbt.graph.selector import NodeSelector
        from dbt.parser.manifest import ManifestLoader

        worker = self
        NodeSelector.get_selected = lambda self, spec, warn_on_no_nodes=True: self.filter_selection(
            worker.wanted & set(self.full_graph.nodes())
        )

        original_init = ManifestLoader.__init__

        def init(self, root_project, all_projects, *arguments, **keywords):
            worker.vars = {name: project.vars.to_dict() for name, project in all_projects.items()}
            original_init(self, root_project, all_projects, *arguments, **keywords)

        ManifestLoader.__init__ = init

        from dbt.config.project import PartialProject

        original_create = PartialProject.create_project

        def create_project(self, *arguments, **keywords):
            project = original_create(self, *arguments, **keywords)
            if worker.packages and os.path.samefile(project.project_root, worker.settings["project_dir"]):
                project.packages_install_path = worker.packages
            return project

        PartialProject.create_project = create_project

        original_read = ManifestLoader.read_manifest_for_partial_parse

        def read(self):
            manifest = original_read(self)
            for node in manifest.nodes.values() if manifest else ():
                # What was kept may be the parse of a copy of the project, whose seeds are not ours.
                if node.resource_type == "seed" and node.package_name in self.all_projects:
                    node.root_path = self.all_projects[node.package_name].project_root
            return manifest

        ManifestLoader.read_manifest_for_partial_parse = read

        from dbt_common.behavior_flags import BehaviorFlagRendered

        BehaviorFlagRendered._default_source = staticmethod(lambda: "adapter")

        if self.settings["target"] == "duckdb":
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager
            from dbt.adapters.duckdb.relation import DuckDBRelation

            original_query = DuckDBConnectionManager.add_query

            def add_query(self, sql, *arguments, **keywords):
                # The adapter looks at the list of databases when it likes to.
                if sql not in ("BEGIN", "COMMIT") and "from duckdb_databases()" not in sql:
                    # dbt names a node's connection by the node.
                    worker.statements.setdefault(self.get_thread_connection().name, []).append(sql)
                return original_query(self, sql, *arguments, **keywords)

            DuckDBConnectionManager.add_query = add_query

            original_render = DuckDBRelation.render

            def render(self):
                own = self.database is not None and self.database == worker.database
                return original_render(self.include(database=False) if own and self.include_policy.database else self)

            DuckDBRelation.render = render
        else:
            from dbt.adapters.bigquery.connections import BigQueryConnectionManager
            from dbt_common.exceptions import DbtRuntimeError
            from google.cloud.bigquery._http import Connection
            from google.cloud.bigquery.retry import DEFAULT_RETRY

            def labels(self):
                connection = self.get_if_exists()
                node = connection.name.rpartition(".")[2] if connection else "dbt"
                # A label's value: https://cloud.google.com/bigquery/docs/labels-intro#requirements
                return {**worker.labels, "model": re.sub(r"[^a-z0-9_-]", "_", node.lower())[:63]}

            BigQueryConnectionManager.get_labels_from_query_comment = labels
            # dbt's own retries give up on a lost connection while it waits for a job. Every call may be repeated: jobs have ids, and
            # what is made or dropped may be there or gone already.
            Connection.api_request = DEFAULT_RETRY.with_timeout(150)(Connection.api_request)
            original_execute = BigQueryConnectionManager.raw_execute

            def raw_execute(self, sql, *arguments, **keywords):
                # The adapter's limit is for each job; this one is for all jobs of a command.
                billed = worker.cost["bytes_billed"]
                if worker.budget:
                    self.get_thread_connection().credentials.maximum_bytes_billed = max(1, worker.budget - billed)
                try:
                    job, rows = original_execute(self, sql, *arguments, **keywords)
                except Exception as error:
                    if worker.budget and "limit for bytes billed" in str(error):
                        raise DbtRuntimeError(
                            f"it would bring this step above its budget of {worker.budget} bytes, of which {billed} are billed: "
                            f"{str(error).strip()}. Narrow what it reads, or raise limits.max_bytes_billed_per_step in pipeline.yaml"
                        )
                    raise
                worker.count(job)
                # dbt names a node's connection by the node.
                worker.read.setdefault(self.get_thread_connection().name, set()).update(
                    (table.dataset_id, table.table_id) for table in job.referenced_tables
                )
                return job, rows

            BigQueryConnectionManager.raw_execute = raw_execute

    def parse(self, folder, packages):
        """Parses the project into `folder`: manifest.json, and what lets dbt skip parsing the next time. `packages` is the folder
        of the project's packages, where that is not a folder of the project."""
        self.packages = packages
        self.database = None
        self.profile({"path": ":memory:"} if self.settings["target"] == "duckdb" else {})
        result = self.invoke(["parse", "--target-path", folder])
        self.manifest = result.result
        self.nodes = pickle.dumps((self.manifest.nodes, self.manifest.sources, self.manifest.unit_tests))
        self.test_queries = {}
        # A parsed project is a million objects that stay; looking through them again and again finds nothing.
        gc.collect()
        gc.freeze()
        return {"vars": self.vars, "versions": self.versions()}

    def run(self, place, nodes, full, vars):
        manifest = self.place(place, full)
        if self.settings["target"] == "duckdb" and any(
            node.config.materialized in ("touched", "rowwise") for node in manifest.nodes.values()
        ):
            self.make_changes_schema(place)
        self.wanted = set(nodes)
        types = [part for kind in ("model", "seed", "snapshot") for part in ("--resource-type", kind)]
        answer = self.command(["build", *types], place, vars, manifest)
        if self.settings["target"] == "duckdb":
            self.check_reads(manifest, answer["results"])
        else:
            self.check_jobs(manifest, place)
        return answer

    def test(self, place, tests, vars):
        """Runs tests. What dbt asked for a test is asked directly from then on, since the names in it are the same in every
        slot: dbt needs twenty times as long to come to the same query again."""
        if vars or self.settings["target"] != "duckdb":
            return self.test_by_dbt(place, tests, vars)
        # A query holds the names of schemas, which are the project's and the same in every slot.
        known = self.test_queries.setdefault(json.dumps(place["schemas"], sort_keys=True), {})
        results = self.test_directly(place, {test: known[test] for test in tests if test in known})
        others = [test for test in tests if test not in results]
        if others:
            self.statements = {}
            results.update({result["id"]: result for result in self.test_by_dbt(place, others, vars)["results"]})
            for test in others:
                asked = self.statements.get(test, [])
                # Anything that was asked beforehand may be answered differently in the next slot.
                if len(asked) == 1 and results.get(test, {}).get("status") in ("pass", "fail", "warn") and self.is_fixed(test):
                    known[test] = (asked[0], results[test]["compiled"])
        return {"results": list(results.values())}

    def test_by_dbt(self, place, tests, vars):
        manifest = self.place(place, [])
        # Hooks may write, and a test run opens the database read-only.
        manifest.nodes = {key: node for key, node in manifest.nodes.items() if node.resource_type != "operation"}
        self.wanted = set(tests)
        return self.command(["test"], {**place, "read_only": True}, vars, manifest)

    def test_directly(self, place, queries):
        """Runs queries of tests as dbt would judge them; those that give no plain answer are left for dbt to report."""
        import duckdb

        results = {}
        if not queries:
            return results
        try:
            connection = duckdb.connect(place["file"], read_only=True)
        except duckdb.Error as error:
            raise problem(error)
        with connection:
            connection.execute("set TimeZone = 'UTC'")
            for test, (query, compiled) in queries.items():
                started = time.perf_counter()
                try:
                    [(failures, should_warn, should_error)] = connection.execute(query).fetchall()
                except (duckdb.Error, ValueError):
                    continue
                if not isinstance(failures, int) or not isinstance(should_warn, bool) or not isinstance(should_error, bool):
                    continue
                is_error = self.manifest.nodes[test].config.severity.upper() == "ERROR"
                status = "fail" if is_error and should_error else "warn" if should_warn else "pass"
                results[test] = {
                    "id": test,
                    "status": status,
                    "seconds": time.perf_counter() - started,
                    "failures": failures,
                    "message": "",
                    "compiled": compiled,
                }
        return results

    # Names by which a query can differ from run to run, or from slot to slot without a statement of its own.
    CHANGING = re.compile(r"run_started_at|invocation_id|modules\b|load_relation|get_relation|adapter(?!\.(dispatch|quote)\b)|env_var")

    def is_fixed(self, test):
        """Whether a test's query is the same in every run: the text of the test and of the macros that it reaches, those of
        dbt and its adapter left out, names nothing that changes."""
        node = self.manifest.nodes[test]
        texts = [node.raw_code, str(node.config)]
        reached, left = set(), list(node.depends_on.macros)
        while left:
            macro = self.manifest.macros.get(left.pop())
            if macro is None or macro.unique_id in reached or macro.package_name in ("dbt", "dbt_duckdb"):
                continue
            reached.add(macro.unique_id)
            texts.append(macro.macro_sql)
            left += macro.depends_on.macros
        return not any(self.CHANGING.search(text) for text in texts)

    COMMANDS = {"parse": parse, "run": run, "test": test}

    def command(self, arguments, place, vars, manifest):
        self.cost = {"jobs": 0, "bytes_processed": 0, "bytes_billed": 0, "slot_milliseconds": 0}
        self.read = {}
        self.profile(self.connection(place))
        target = os.path.join(self.settings["folder"], "target")
        try:
            result = self.invoke([*arguments, "--target-path", target, "--no-write-json"], vars, manifest)
        finally:
            self.close()
        return {"results": [self.result(entry) for entry in result.result.results], "cost": self.cost}

    def count(self, job):
        with self.counting:
            self.cost["jobs"] += 1
            self.cost["bytes_processed"] += job.total_bytes_processed or 0
            self.cost["bytes_billed"] += job.total_bytes_billed or 0
            self.cost["slot_milliseconds"] += job.slot_millis or 0

    def place(self, place, full):
        """A copy of the manifest whose relations are in the place, whatever names the project gives them."""
        # Not copy.copy: the class defines its own pickling, which mixes up what it has learnt.
        manifest = object.__new__(type(self.manifest))
        manifest.__dict__.update(self.manifest.__dict__)
        manifest.nodes, manifest.sources, manifest.unit_tests = pickle.loads(self.nodes)
        self.database = self.database_of(place)
        for key, node in manifest.nodes.items():
            if key in place["schemas"]:
                node.database = self.database
                node.schema = place["schemas"][key]
                node.relation_name = self.relation_name(node.schema, node.alias)
                # Where `touched` finds and leaves what changed.
                node.config["changes_schema"] = place["changes"]
            elif node.resource_type == "test":
                # Storing failures would write into the slot.
                node.database, node.schema = self.database, place["sources"]
                node.config.store_failures = False
                node.config.store_failures_as = "ephemeral"
            if key in full:
                node.config.full_refresh = True
            if self.settings["target"] == "duckdb" and isinstance(node.config.get("partition_by"), dict):
                # How a table is laid out on BigQuery; dbt-duckdb takes it for an error.
                node.config["partition_by"] = None
        for source in manifest.sources.values():
            source.database = self.database
            source.schema = place["sources"]
            source.relation_name = self.relation_name(source.schema, source.identifier)
            # The pin is what is read, not where the project would find its source.
            for properties in (source.meta, source.source_meta, source.config.meta, source.config.extra):
                for name in ("external_location", "plugin"):
                    properties.pop(name, None)
        manifest.build_flat_graph()
        return manifest

    def connection(self, place):
        """The profile's part about where the place is and who works there."""
        if self.settings["target"] == "duckdb":
            access = {"access_mode": "read_only"} if place.get("read_only") else {}
            return {"path": place["file"], "config_options": access}
        bigquery = place["bigquery"]
        self.labels = bigquery["labels"]
        connection = {"project": bigquery["project"], "dataset": place["sources"], "location": bigquery["location"]}
        if bigquery["emulator"]:
            connection |= {"method": "oauth-secrets", "token": "emulator", "api_endpoint": bigquery["emulator"]}
        if bigquery["impersonate"]:
            connection["impersonate_service_account"] = bigquery["impersonate"]
        self.budget = bigquery["maximum_bytes_billed"]
        return connection

    def check_reads(self, manifest, results):
        """Refuses relations that are named without ref or source: nobody follows them, so a model that reads one would be
        left as it was when that changes."""
        import duckdb

        with duckdb.connect() as parser:

            def tables(query):
                # An alias stands behind its table's name.
                return {name.partition(" AS ")[0] for name in parser.get_table_names(query, qualified=True)}

            for result in results:
                node = manifest.nodes.get(result["id"])
                if node is None or not result["compiled"]:
                    continue
                known = set()
                for relation in {str(node.relation_name)} | self.relations_read(manifest, node):
                    known |= tables(f"from {relation}")
                try:
                    read = tables(result["compiled"])
                except duckdb.Error:  # a query that only makes sense in the slot; dbt has run it there
                    continue
                unknown = sorted(name for name in read - known if not name.startswith("information_schema."))
                if unknown:
                    raise self.unfollowed(node, unknown)

    def check_jobs(self, manifest, place):
        """The same by what the jobs of BigQuery say that they have read, behind views too."""
        datasets = {*place["schemas"].values(), place["sources"], place["changes"]}
        makers = {(node.schema, node.alias): key for key, node in manifest.nodes.items() if key in place["schemas"]}
        makers |= {(source.schema, source.identifier): key for key, source in manifest.sources.items()}
        for key, read in self.read.items():
            node = manifest.nodes.get(key)
            if node is None:
                continue
            known = {key} | self.parents_behind_views(manifest, node)
            # What nobody makes in the attempt is scratch; datasets of answers and of metadata belong to BigQuery.
            unknown = sorted(
                f"{dataset}.{table}"
                for dataset, table in read
                if not dataset.startswith("_") and "INFORMATION_SCHEMA" not in (dataset, table.partition(".")[0])
                and (dataset not in datasets or makers.get((dataset, table), key) not in known)
            )
            if unknown:
                raise self.unfollowed(node, unknown)

    def parents_behind_views(self, manifest, node):
        """Ids of the nodes and sources that a node reads, through views too."""
        found, left = set(), list(node.depends_on_nodes)
        while left:
            key = left.pop()
            parent = manifest.nodes.get(key)
            if key not in found and parent is not None and parent.config.materialized in ("view", "rowwise", "ephemeral"):
                left += parent.depends_on_nodes
            found.add(key)
        return found

    def unfollowed(self, node, relations):
        return Problem(
            "rejected",
            f"{node.unique_id} reads {', '.join(relations)} by name, so nobody knows when to build it again; use ref or source",
        )

    def relations_read(self, manifest, node):
        """Relations of the nodes and sources that a node reads, those behind ephemeral models too."""
        found = set()
        for parent in node.depends_on_nodes:
            parent = manifest.nodes.get(parent) or manifest.sources.get(parent)
            if parent is not None and getattr(parent, "is_ephemeral_model", False):
                found |= self.relations_read(manifest, parent)
            elif parent is not None and parent.relation_name:
                found.add(str(parent.relation_name))
        return found

    def relation_name(self, schema, name):
        return f'"{schema}"."{name}"' if self.settings["target"] == "duckdb" else f"`{self.database}`.`{schema}`.`{name}`"

    def database_of(self, place):
        if self.settings["target"] == "bigquery":
            return place["bigquery"]["project"]
        from dbt.adapters.duckdb.credentials import DuckDBCredentials

        return DuckDBCredentials.path_derived_database_name(place["file"])

    def make_changes_schema(self, place):
        """Made beforehand, because models that run at the same time would conflict in making it."""
        import duckdb

        try:
            with duckdb.connect(place["file"]) as connection:
                connection.execute(f'create schema if not exists "{place["changes"]}"')
        except duckdb.Error as error:
            raise problem(error)

    def profile(self, connection):
        """Writes our own profiles.yml: nothing of the user's is read or changed."""
        if self.settings["target"] == "duckdb":
            output = {"type": "duckdb", "settings": {"TimeZone": "UTC"}, **connection}
        else:
            output = {"type": "bigquery", "method": "oauth", "project": "project", "dataset": "dataset", **connection}
        output["threads"] = self.settings["threads"]
        name = self.settings["target_name"]
        with open(os.path.join(self.settings["folder"], "profiles.yml"), "w", encoding="utf-8") as file:
            json.dump({"place": {"target": name, "outputs": {name: output}}}, file)

    def invoke(self, arguments, vars=None, manifest=None):
        from dbt.cli.main import dbtRunner

        flags = ["--no-send-anonymous-usage-stats", "--no-use-colors", "--quiet", "--log-level", "error"]
        flags += ["--log-level-file", "info", "--log-path", self.settings["log_dir"]]
        arguments = arguments + ["--project-dir", self.settings["project_dir"], "--profile", "place"]
        arguments += ["--profiles-dir", self.settings["folder"], "--target", self.settings["target_name"]]
        arguments += ["--vars", json.dumps({**self.settings["vars"], **(vars or {})})]
        result = dbtRunner(manifest=manifest).invoke(flags + arguments)
        if result.exception is not None:
            raise problem(result.exception)
        return result

    def close(self):
        """Lets go of the DuckDB file, so that others can open it."""
        if self.settings["target"] != "duckdb":
            return
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        environment = DuckDBConnectionManager._ENV
        if environment is not None:
            environment.close()
        DuckDBConnectionManager.close_all_connections()

    def result(self, entry):
        response = entry.adapter_response or {}
        return {
            "id": entry.node.unique_id,
            "status": str(entry.status),
            "seconds": entry.execution_time,
            "rows_affected": response.get("rows_affected"),
            "failures": entry.failures,
            "message": entry.message or "",
            "compiled": getattr(entry.node, "compiled_code", None),
        }

    def versions(self):
        from importlib.metadata import version

        return {name: version(name) for name in ("dbt-core", "dbt-adapters", f"dbt-{self.settings['target']}")}


if __name__ == "__main__":
    main()
