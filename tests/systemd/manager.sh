#!/bin/bash
# A user manager of systemd for one user, with namespaces of its own: nothing of the machine outside is touched.
# usage: unshare --mount --pid --fork --cgroup --mount-proc manager.sh UID HOME CONTROL PREFIX
# Runs each line that comes through the fifo CONTROL/in as that user, and writes its output, status and a mark.
set -euo pipefail
uid=$1 home=$2 control=$3 prefix=$4

mount --make-rprivate /
# The interpreter may be below a home that only root can enter; there nothing else is to be seen then.
case $prefix in
/root/*)
    mkdir -p "$control/prefix"
    mount --bind "$prefix" "$control/prefix"
    mount -t tmpfs -o mode=0755 tmpfs /root
    mkdir -p "$prefix"
    mount --bind "$control/prefix" "$prefix"
    ;;
esac
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/systemd/system /run/systemd/unit-root /run/systemd/mount-rootfs
mkdir -p "/run/user/$uid"
chown "$uid:$uid" "/run/user/$uid"
chmod 0700 "/run/user/$uid"
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/meerkat-$(basename "$control")
mkdir "$group"
echo $$ > "$group/cgroup.procs"
chown -R "$uid:$uid" "$group"

as_user() {
    setpriv --reuid="$uid" --regid="$uid" --clear-groups env -i PATH="$TEST_PATH" HOME="$home" LANG=C.UTF-8 \
        XDG_RUNTIME_DIR="/run/user/$uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" \
        OPENAI_API_KEY=sk-test OPENAI_BASE_URL="$TEST_MODEL_URL" "$@"
}
cd /
as_user systemd --user --log-target=console > "$control/manager.log" 2>&1 &
until as_user systemctl --user is-system-running > /dev/null 2>&1; do
    kill -0 $! || exit 1
    sleep 0.05
done
echo ready > "$control/out"
while read -r line < "$control/in"; do
    status=0
    as_user bash -c "$line" > "$control/said" 2>&1 < /dev/null || status=$?
    { cat "$control/said"; echo "-- $status"; } > "$control/out"
done
