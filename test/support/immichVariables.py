"""Prints which environment variables each release of Immich's ML server reads, as JSON: an entry for
each release where that changed. Reads Immich's own files in a Git repository with its history.

    python3 test/support/immichVariables.py REPOSITORY > test/unit/immichVariables.json
"""

import ast
import json
import re
import subprocess
import sys

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


def sources(commit):
    for name in git("ls-tree", "-r", "--name-only", commit, FOLDER).splitlines():
        parts = name.split("/")
        is_server = parts[1] in ("immich_ml", "app") or parts[-1] == "gunicorn_conf.py"
        if name.endswith(".py") and is_server and not parts[-1].startswith(("test_", "conftest")):
            yield name, ast.parse(git("show", f"{commit}:{name}"))


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


def variables(commit):
    found = set()
    for name, tree in sources(commit):
        found.update(asked_for(tree))
        if name.endswith("/config.py"):
            found.update(declared(tree))
    start = git("show", f"{commit}:{FOLDER}/start.sh")
    if start:
        # It hands the address to the server; fields of that name have no effect.
        found -= {f"{who}_{what}" for who in ("MACHINE_LEARNING", "IMMICH") for what in ("HOST", "PORT")}
        found.update(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", start))
    return sorted(found - {None})


changes = []
for commit, version in releases():
    names = variables(commit)
    if not changes or changes[-1]["variables"] != names:
        changes.append({"since": ".".join(map(str, version)), "variables": names})
print(json.dumps(changes, indent=2))
