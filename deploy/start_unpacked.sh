#!/bin/sh
# Starts an unpacked image as an engine would with --read-only --tmpfs /tmp -v data:/data
# --network host: user 1000, nothing writable but the two. As root.
#
#   deploy/start_unpacked.sh root data env     env: a file with the image's variables
set -eu
# A process of its own place in the tree of mounts; these end with it.
# shellcheck disable=SC2016 # the inner shell's own
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
