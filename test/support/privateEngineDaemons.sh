# Runs the daemons of a private engine (see privateEngine.sh).
#
# Usage: sh privateEngineDaemons.sh FOLDER [ROOT]
# ROOT becomes the root of the mount namespace. A chroot is not enough: `docker exec` enters a
# container's namespaces and would leave it.
set -eu
folder=$1
if [ -n "${2:-}" ]; then
  cd "$2"
  pivot_root . old
  cd /
  # For this script.
  PATH="$PATH:/old/usr/bin:/old/bin"
fi

# A separate containerd, since a shared one does not see this namespace's files.
containerd --config "$folder/containerd/config.toml" --log-level warn &
# Restarted after a crash, like a service of systemd.
while :; do
  dockerd --config-file "$folder/daemon.json" \
    --containerd "$folder/containerd/socket" --host "unix://$folder/docker.sock" \
    --data-root "$folder/data/docker" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
    --iptables=false --ip-masq=false \
    --default-address-pool "base=${ENGINE_ADDRESSES:-10.213.0.0/16},size=24" || true
  sleep 2
done
