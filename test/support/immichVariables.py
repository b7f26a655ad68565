"""Prints which environment variables each release of Immich's ML server reads, as JSON: an entry for
each release where that changed. Reads Immich's own files in a Git repository with its history.

    python3 test/support/immichVariables.py REPOSITORY > test/unit/immichVariables.json

With --folder it prints those of one release, from its folder machine-learning.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

OLDEST = (1, 94, 0)  # the first with CUDA
FOLDER = "machine-learning"


def git(*words):
    command = ["git", "-C", sys.argv[1], *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def releases():
    """Commit and version of every release, oldest first."""
    commits = {}
    for line in git("log", "--format=%h %s", "--grep=^\\(chore: version\\|Version\\) v").splitlines():
        match = re.fullmatch(r"(\w+) .* v(\d+)\.(\d+)\.(\d+)\W?", line)
        if match:
            commits.setdefault(tuple(int(part) for part in match.groups()[1:]), match.group(1))
    return [(commits[version], version) for version in sorted(commits) if version >= OLDEST]


def files_of_commit(commit):
    names = git("ls-tree", "-r", "--name-only", commit, FOLDER).splitlines()
    return {name.partition("/")[2]: lambda name=name: git("show", f"{commit}:{name}") for name in names}


def files_of_folder(folder):
    return {str(path.relative_to(folder)): path.read_text for path in folder.rglob("*") if path.is_file()}


def sources(files):
    for name, read in files.items():
        is_server = name.split("/")[0] in ("immich_ml", "app") or name.endswith("gunicorn_conf.py")
        is_test = name.split("/")[-1].startswith(("test_", "conftest"))
        if name.endswith(".py") and is_server and not is_test:
            yield name, ast.parse(read())


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def asked_for(tree):
    """Names that the code asks the environment for."""
    questions = ("os.getenv", "os.environ.get", "environ.get", "getenv")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in questions:
            yield text_of(node.args[0])
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if ast.unparse(node.value) == "os.environ":
                yield text_of(node.slice)


def options(cls):
    """Prefix and delimiter of a settings class, in the way of pydantic 1 or 2."""
    found = {"env_prefix": "", "env_nested_delimiter": "__"}
    for node in ast.walk(cls):
        if isinstance(node, ast.keyword) and node.arg in found:
            found[node.arg] = text_of(node.value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in found:
            found[ast.unparse(node.targets[0])] = text_of(node.value)
    return found["env_prefix"], found["env_nested_delimiter"]


def fields(cls):
    return {
        node.target.id: ast.unparse(node.annotation).replace("|", " ").split()
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and not node.target.id.endswith("_fallback")
    }


def declared(tree):
    """Names that the settings classes stand for."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def paths(path, types):
        model = next((classes[each] for each in types if each in classes and is_a(each, "BaseModel")), None)
        if model is None:
            yield path
        else:
            for name, inner in fields(model).items():
                yield from paths([*path, name], inner)

    def is_a(name, base):
        return any(base in ast.unparse(each) for each in classes[name].bases)

    for name, cls in classes.items():
        if is_a(name, "BaseSettings"):
            prefix, delimiter = options(cls)
            for field, types in fields(cls).items():
                for path in paths([field], types):
                    yield (prefix + delimiter.join(path)).upper()


def variables(files):
    found = set()
    for name, tree in sources(files):
        found.update(asked_for(tree))
        if name.endswith("/config.py"):
            found.update(declared(tree))
    if "start.sh" in files:
        start = files["start.sh"]()
        # It hands the address to the server; fields of that name have no effect.
        found -= {f"{who}_{what}" for who in ("MACHINE_LEARNING", "IMMICH") for what in ("HOST", "PORT")}
        found.update(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", start))
    return sorted(found - {None})


def history():
    changes = []
    for commit, version in releases():
        names = variables(files_of_commit(commit))
        if not changes or changes[-1]["variables"] != names:
            changes.append({"since": ".".join(map(str, version)), "variables": names})
    return changes


given = sys.argv[1]
result = variables(files_of_folder(Path(sys.argv[2]))) if given == "--folder" else history()
print(json.dumps(result, indent=2))
