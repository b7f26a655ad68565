# What check.sh and rollout.sh share. The script that reads this file defines `fail MESSAGE`.

now() { date +%s; }

# Text of containers and engines must not rewrite a terminal: drops control characters except newline
# and tab, and marks C1 control characters and those that turn the direction of text. Replaced instead
# of dropped, because the bytes left and right could form another one.
c1=$(printf '\302[\200-\237]')
embeddings=$(printf '\342\200[\252-\256]')
isolates=$(printf '\342\201[\246-\251]')
clean() {
  LC_ALL=C tr -d '\000-\010\013-\037\177' |
    LC_ALL=C sed -e "s/$c1/?/g" -e "s/$embeddings/?/g" -e "s/$isolates/?/g"
}

log() { printf '%s: %s\n' "$IMMICH_ML_HOST" "$*" | clean >&2; }

# A failed result as one line of JSON: `failure MESSAGE [HINT]`. Only what needs no escaping is left of the
# message.
failure() {
  printf '{"ok": false, "error": "%s", "details": [], "hint": %s}\n' \
    "$(printf '%s' "$1" | LC_ALL=C tr -d '\\"' | LC_ALL=C tr -c '\040-\176' ' ' | cut -c 1-1000)" \
    "$([ -n "${2:-}" ] && printf '%s' "$2" | sed -e 's/[\\"]/\\&/g' -e 's/.*/"&"/' || printf null)"
}

# What to do against the first known error of that place in the text on standard input; nothing without
# one: `known_error PLACE`. See catalog/knownErrors.ts.
known_error() {
  # The end is enough, and an environment takes no text of any length.
  text=$(LC_ALL=C tr -cs '!-~' ' ' | LC_ALL=C tr '[:upper:]' '[:lower:]' | tail -c 20000)
  text=" $text " place=",$1," LC_ALL=C awk -F '\t' '
    BEGIN { text = ENVIRON["text"] }
    $1 == "quiet" { gsub($2, " ", text); next }
    index("," $1 ",", ENVIRON["place"]) && text ~ $2 { print $3; exit }
  ' "${folder:?}/knownErrors.tsv" || true
}

# The program that computes in a container, with the known errors that it takes its hints from and the
# picture that it sends to the server.
inference_program() {
  printf "KNOWN_ERRORS = r'''"
  cat "$folder/knownErrors.tsv"
  printf "'''\nPICTURE = '%s'\n" "$(base64 <"$folder/picture.jpg" | tr -d '\n')"
  cat "$folder/inference.py"
}

# The docker client could take anything else for an option: `require_name VALUE WHAT`.
require_name() {
  case $1 in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]*)
      fail "$2 may only have letters, digits, «_», «.» and «-», but is: $1"
      ;;
  esac
}

# Runs a command for at most so many seconds; without a limit where there is no `timeout`.
limited() {
  seconds=$1
  shift
  if command -v timeout >/dev/null; then timeout -s KILL "$seconds" "$@"; else "$@"; fi
}

# A question to the engine.
ask_docker() { limited 30 docker "$@" </dev/null; }

# Runs the Python program on standard input in a container: `python_in SECONDS CONTAINER [ARGUMENT…]`.
# The limit counts inside, too: a killed docker client leaves its program running.
python_in() {
  limit=$1
  container=$2
  shift 2
  # shellcheck disable=SC2016 # expanded in the container
  limited "$limit" docker exec -i -e IMMICH_ML_EXPECTED -e IMMICH_ML_SESSION -e IMMICH_ML_SESSION_HINT \
    -e IMMICH_ML_MODELS -e IMMICH_ML_DOWNLOAD -e IMMICH_ML_FAILED_LOADS -- "$container" sh -c '
      for python in /opt/venv/bin/python python3 python; do
        command -v "$python" >/dev/null || continue
        if command -v timeout >/dev/null; then exec timeout -s KILL "$0" "$python" - "$@"; fi
        exec "$python" - "$@"
      done
      echo "no Python in this image" >&2
      exit 127' "$limit" "$@"
}

# Whether the container's own health check passes now. Docker asks for the first time when its interval is over.
health_test_passes() {
  test=$(ask_docker inspect --format '{{with .Config.Healthcheck}}{{json .Test}}{{end}}' -- "$1" 2>/dev/null) || return 1
  case $test in '["CMD'*) ;; *) return 1 ;; esac
  python_in 10 "$1" "$test" >/dev/null 2>&1 <<'END'
import json, subprocess, sys

kind, *command = json.loads(sys.argv[1])
sys.exit(subprocess.call(command[0] if kind == "CMD-SHELL" else command, shell=kind == "CMD-SHELL"))
END
}
