# Copies those models from a folder of this machine into a cache that are not there as listed, then checks
# every file there. Leaves everything else in the cache as it is. Needs the docker command-line client.
# Reads the environment:
#   FOLDER  the models, laid out as in Immich's cache, with a file SHA256SUMS as sha256sum writes it
#   VOLUME  the cache: a volume's name, or the path of a folder of the engine's host
#   IMAGE   an image with sh and sha256sum: the one the service runs
# Nothing is copied unless the folder holds plain files, each listed in SHA256SUMS and as listed there.
set -eu

# A file's name may hold whatever rewrites a terminal.
printable() { printf '%s\n' "$1" | LC_ALL=C tr -c '\n\040-\176' '?'; }

# `refuse NAMES WHY` ends with the first of the names, and does nothing without one.
refuse() {
  name=${1%%"
"*}
  [ -z "$name" ] || {
    echo "$FOLDER: $(printable "$name"): $2; nothing was copied" >&2
    exit 1
  }
}

cd -- "$FOLDER"
refuse "$(find . ! -type f ! -type d)" "is a link or a special file, but must be a plain file"
refuse "$(find . -type f -links +1)" "is a hard link to another file, but must be a file of its own: copy it"
refuse "$(find . -type f \( -perm -4000 -o -perm -2000 \))" "runs with its owner's rights (setuid or setgid): chmod ug-s"
refuse "$(LC_ALL=C find . -name '*[[:cntrl:]]*')" "has a control character in its name"
refuse "$(LC_ALL=C grep -anvE '^[0-9A-Fa-f]{64} [ *][^[:cntrl:]\\]+$' SHA256SUMS)" \
  "in SHA256SUMS, is not a line that sha256sum writes"
refuse "$(LC_ALL=C grep -anE '^.{66}(/|(.*/)?\.\.(/|$))' SHA256SUMS)" \
  "in SHA256SUMS, names a file outside the folder"
unlisted=$(find . -type f ! -path ./SHA256SUMS | LC_ALL=C awk '
  FILENAME == "SHA256SUMS" { name = substr($0, 67); sub(/^\.\//, "", name); listed["./" name]; next }
  !($0 in listed)' SHA256SUMS -)
refuse "$unlisted" "is not listed in SHA256SUMS: list it or remove it"

check='sha256sum --quiet --strict --check SHA256SUMS'
if ! problems=$(LC_ALL=C $check 2>&1); then
  printable "$problems" >&2
  echo "these files do not match $FOLDER/SHA256SUMS: repair the folder, then run it again; nothing was copied" >&2
  exit 1
fi

container=$(docker create --entrypoint sh --volume "$VOLUME:/cache" -- "$IMAGE" -c \
  "cd /cache && LC_ALL=C sha256sum --quiet --strict --check /SHA256SUMS")
case $container in
  '' | *[!0-9A-Za-z]*)
    echo "Docker answers with a container's id that is none: $(printable "$container")" >&2
    exit 1
    ;;
esac
trap 'docker rm --force "$container" >/dev/null' EXIT

archive() { tar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX,a-st "$@"; }

archive -cf - SHA256SUMS | docker cp - "$container:/"
echo "comparing the files in the cache $VOLUME" >&2
if ! compared=$(docker start --attach "$container" 2>/dev/null); then
  wrong=$(printf '%s\n' "$compared" | sed -n 's/: FAILED\( open or read\)*$//p')
  # A new volume may lack even the folder of the first file.
  if [ -z "$wrong" ]; then wrong=$(cut -c 67- SHA256SUMS); fi
  echo "copying $(printf '%s\n' "$wrong" | wc -l | tr -d ' ') of $(wc -l <SHA256SUMS | tr -d ' ') files from $FOLDER" >&2
  # Owned by root: the server's root has no capability to write into folders of others. With their folders,
  # which would get other modes.
  printf '%s\n' "$wrong" | LC_ALL=C awk -F / '{
    sub(/^\.\//, "")
    path = "."
    for (part = 1; part < NF; part++) if (!seen[path = path "/" $part]++) print path
    print "./" $0
  } END { print "./SHA256SUMS" }' | archive --no-recursion -cf - -T - | docker cp - "$container:/cache"
  echo "checking the files in the cache" >&2
  if ! docker start --attach "$container" >&2; then
    echo "these files in $VOLUME do not match $FOLDER/SHA256SUMS: repair the folder, then run it again" >&2
    exit 1
  fi
fi
wc -l <SHA256SUMS | tr -d ' '
