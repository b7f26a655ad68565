#!/bin/sh
# Installs Debian's packages and the user's certificate. Reads APT_MIRROR and CA_CERTIFICATE, which may
# be empty.
set -eu

if [ -n "$CA_CERTIFICATE" ]; then
  case "$CA_CERTIFICATE" in
  *"-----BEGIN CERTIFICATE-----"*) ;;
  *)
    echo "caCertificate: not PEM text (no BEGIN CERTIFICATE line)" >&2
    exit 1
    ;;
  esac
  printf '%s\n' "$CA_CERTIFICATE" > /usr/local/share/ca-certificates/immich-ml-extra.crt
fi

if [ -n "$APT_MIRROR" ]; then
  # No character of it may mean anything to sed.
  mirror=$(printf '%s' "${APT_MIRROR%/}" | sed 's/[\\&#]/\\&/g')
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [ -f "$list" ] || continue
    sed -E -i \
      -e "s#https?://[^ ]*/debian-security/?#${mirror}-security#" \
      -e "s#https?://[^ ]*/debian/?( |\$)#${mirror}\\1#" "$list"
  done
fi

apt-get update
# Debian's Python images have ca-certificates; other bases may lack it.
apt-get install -y --no-install-recommends ca-certificates libgomp1 libmimalloc2.0 tini
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
if [ -n "$CA_CERTIFICATE" ]; then
  update-ca-certificates
fi
