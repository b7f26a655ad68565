# Starts a private Docker engine with devices that this machine does not have.
#
# Usage: unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
#          sh privateEngine.sh FOLDER [ROOT]
# FOLDER keeps everything, FOLDER/daemon.json configures the engine. ROOT is a file system with the
# programs of another Docker release. DISK is the size in MiB of a separate disk; empty for none.
#
# It is like another machine with the same kernel: its end is a power cut, and a new one in the same
# FOLDER finds its disk. Only inside its mount namespace, /dev has fake device nodes of every accelerator
# and /usr/lib fake files of their drivers. An nvidia-container-runtime-hook that does nothing makes the
# engine accept requests for NVIDIA GPUs.
set -eu
folder=$1
root=${2:-}
ip link set lo up
mkdir -p "$folder/dev" "$folder/lib" "$folder/bin" "$folder/data"

mount -t tmpfs tmpfs "$folder/dev"
for node in null zero full random urandom tty fd stdin stdout stderr ptmx; do
  [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$folder/dev/"
done
mkdir -p "$folder/dev/pts" "$folder/dev/shm" "$folder/dev/dri" "$folder/dev/bus/usb/001"
mount --bind /dev/pts "$folder/dev/pts"
mount --bind /dev/shm "$folder/dev/shm"
# Character devices 1:3 are /dev/null by another name.
for node in mali0 kfd dxg; do mknod "$folder/dev/$node" c 1 3; done
mknod "$folder/dev/dri/card0" c 226 0
mknod "$folder/dev/dri/renderD128" c 226 128
mknod "$folder/dev/bus/usb/001/001" c 189 0

if [ -n "${DISK:-}" ]; then
  if [ ! -e "$folder/disk" ]; then
    truncate --size "${DISK}M" "$folder/disk"
    mkfs.ext4 -q -m 0 "$folder/disk"
  fi
  mount -o loop "$folder/disk" "$folder/data"
fi
mount --rbind "$folder/dev" /dev

mount -t tmpfs tmpfs "$folder/lib"
mkdir -p "$folder/lib/upper/firmware" "$folder/lib/upper/wsl/lib" "$folder/lib/work"
echo fake >"$folder/lib/upper/libmali.so"
echo fake >"$folder/lib/upper/firmware/mali_csffw.bin"
mount -t overlay overlay \
  -o "lowerdir=/usr/lib,upperdir=$folder/lib/upper,workdir=$folder/lib/work" /usr/lib

printf '#!/bin/sh\nexit 0\n' >"$folder/bin/nvidia-container-runtime-hook"
chmod +x "$folder/bin/nvidia-container-runtime-hook"

if [ -n "$root" ]; then
  mkdir -p "$folder/changes" "$folder/work" "$folder/system"
  mount -t overlay overlay \
    -o "lowerdir=$root,upperdir=$folder/changes,workdir=$folder/work" "$folder/system"
  for place in /proc /sys /dev /old "$folder"; do mkdir -p "$folder/system$place"; done
  for place in /proc /sys /dev "$folder"; do mount --rbind "$place" "$folder/system$place"; done
  mount -t tmpfs tmpfs "$folder/system/run"
fi

# A machine starts with an empty /run.
rm -rf "$folder/exec" "$folder/containerd/state" "$folder/dockerd.pid"

PATH="$folder/bin:$PATH"
export PATH
mkdir -p "$folder/containerd"
cat >"$folder/containerd/config.toml" <<END
version = 2
root = "$folder/data/containerd"
state = "$folder/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$folder/containerd/socket"
END
unshare --mount --propagation private \
  sh "${0%/*}/privateEngineDaemons.sh" "$folder" "${root:+$folder/system}" &
# Ends when its standard input closes, which it does with whoever started it.
cat >/dev/null
