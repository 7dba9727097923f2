"""Installs the packages of a dbt project beside it: `packages.py PROJECT FOLDER`.

`dbt deps` writes a lock file and the packages into the project's folder. Here it does so into FOLDER, of which FOLDER/dbt_packages is
what the project then reads; the project itself stays as it is.
"""

import os
import shutil
import sys

import yaml


def main(project, folder):
    for name in ("packages.yml", "dependencies.yml"):
        path = os.path.join(project, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                content = yaml.safe_load(file) or {}
            for package in content.get("packages") or []:
                if isinstance(package, dict) and isinstance(package.get("local"), str) and "{{" not in package["local"]:
                    # Seen from the project's folder, which this is not.
                    package["local"] = os.path.abspath(os.path.join(project, package["local"]))
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                yaml.safe_dump(content, file)
    lock = os.path.join(project, "package-lock.yml")
    if os.path.exists(lock):
        shutil.copy(lock, folder)
    with open(os.path.join(folder, "dbt_project.yml"), "w", encoding="utf-8") as file:
        file.write("name: packages\nversion: '1.0'\n")

    from dbt.cli.main import dbtRunner

    flags = ["--no-send-anonymous-usage-stats", "--no-use-colors", "--quiet", "--log-path", folder]
    result = dbtRunner().invoke([*flags, "deps", "--project-dir", folder, "--profiles-dir", folder])
    if not result.success:
        print(result.exception or "dbt deps failed", file=sys.stderr)
        sys.exit(1)


main(*sys.argv[1:])
