#!/bin/sh
# Starts an unpacked image as an engine does with --read-only --tmpfs /tmp -v data:/data
# --network host: as user 1000, with only these two writable. Requires root.
#
#   deploy/start_unpacked.sh root data env     env: file with the image's variables
set -eu
# In a mount namespace of its own, which ends with the process.
# shellcheck disable=SC2016 # expanded by the inner shell
exec unshare --mount sh -euc '
  mount --bind "$1" "$1"
  mount -o remount,bind,ro "$1"
  mount -t tmpfs tmpfs "$1/tmp"
  mount --bind "$2" "$1/data"
  mount --bind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  # shellcheck disable=SC2046 # one word for each line
  exec chroot --userspec=1000:1000 "$1" env -i -C /app $(cat "$3") HOME=/home/app \
    API_ENDPOINT="$API_ENDPOINT" EMBEDDED=off GRADIO_SERVER_PORT="$GRADIO_SERVER_PORT" \
    python app.py
' start "$1" "$2" "$3"
