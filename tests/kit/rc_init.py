"""LinuxKit's own init, by what it does (linuxkit's pkg/init: cmd/rc.init/main.go; pkg/runc and pkg/containerd: init.d):
the same mounts in the same order, the same scripts in the same order, in shell.

What counts here: where /proc is, it takes itself for a container and mounts nothing; /run is a fresh tmpfs; the root
stays read-only; SIGTERM to init powers off, as inittab has it.
"""

import io
import tarfile
from collections.abc import Mapping

INIT = """#!/bin/sh
exec busybox init
"""
INITTAB = """::sysinit:/bin/rc.init
::ctrlaltdel:/bin/rc.shutdown reboot
::shutdown:/bin/rc.shutdown poweroff
"""
RC_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

do_mounts() {
	umask 0000
	mount -t proc -o nodev,nosuid,noexec,relatime proc /proc
	mount -o remount,ro / || :
	mount -t tmpfs -o nodev,nosuid,noexec,relatime,size=10%,mode=755 tmpfs /run
	mount -t tmpfs -o nodev,nosuid,noexec,relatime,size=10%,mode=1777 tmpfs /tmp
	mount -t tmpfs -o nodev,nosuid,noexec,relatime,size=50%,mode=755 tmpfs /var
	mkdir -p /var/cache /var/empty /var/lib /var/local /var/lock /var/log /var/opt /var/spool
	mkdir -m 1777 /var/tmp
	ln -s /run /var/run
	mount -t devtmpfs -o nosuid,noexec,relatime,size=10m,nr_inodes=248418,mode=755 dev /dev
	ln -s /proc/self/fd /dev/fd
	mkdir -p /dev/mqueue /dev/shm /dev/pts
	mount -t mqueue -o noexec,nosuid,nodev mqueue /dev/mqueue
	mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 shm /dev/shm
	mount -t devpts -o noexec,nosuid,gid=5,mode=0620 devpts /dev/pts
	mount -t sysfs -o noexec,nosuid,nodev sysfs /sys
	mount -t securityfs -o noexec,nosuid,nodev securityfs /sys/kernel/security 2>/dev/null
	mount -t efivarfs -o noexec,nosuid,nodev efivarfs /sys/firmware/efi/efivars 2>/dev/null
	mount -t cgroup2 -o noexec,nosuid,nodev cgroup2 /sys/fs/cgroup
	mount --make-rshared /
	umask 0022
}

do_hotplug() {
	echo /usr/bin/modprobe >/proc/sys/kernel/modprobe
	cat /sys/bus/*/devices/*/modalias | sort -u | tr '\\n' '\\0' | xargs -0 modprobe -q -a 2>/dev/null
}

if [ -e /proc/self ]; then
	echo "rc.init: this is a container"
else
	do_mounts
	do_hotplug
	ip link set lo up
fi
hostname -F /etc/hostname
link=$(readlink /etc/resolv.conf) && mkdir -p "${link%/*}" && : >"$link"
for script in /etc/init.d/*; do
	[ -f "$script" ] && "$script"
done
"""
RC_SHUTDOWN = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo "rc.shutdown: ${1:-poweroff}" >/dev/console
kill -TERM -1
sleep 5
sync
for place in $(awk '$3 == "ext4" || $3 == "vfat" || $3 == "overlay" { print $2 }' /proc/mounts); do
	umount "$place" 2>/dev/null
done
case ${1:-poweroff} in reboot) reboot -f ;; *) poweroff -f ;; esac
"""
ONBOOT = """#!/bin/sh
. /usr/lib/toweros/common.sh
for folder in /containers/onboot/*; do
	prepare "$folder"
	runc run --bundle "$folder" "${folder##*/}" || echo "onboot ${folder##*/}: $?"
done
"""
CONTAINERD = """#!/bin/sh
. /usr/lib/toweros/common.sh
containerd --log-level warn >/var/log/containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
for folder in /containers/services/*; do
	name=${folder##*/}
	prepare "$folder"
	jq --arg root "$folder/rootfs" '.root.path = $root' "$folder/config.json" >"/run/$name.json"
	log="file:///var/log/$name.log"
	ctr -n services.linuxkit run -d --config "/run/$name.json" --log-uri "$log" "$name" </dev/null ||
		echo "service $name cannot be started" >/dev/console
done
"""
SCRIPTS = {
    "init": INIT,
    "etc/inittab": INITTAB,
    "usr/bin/rc.init": RC_INIT,
    "usr/bin/rc.shutdown": RC_SHUTDOWN,
    "etc/init.d/010-onboot": ONBOOT,
    "etc/init.d/020-containerd": CONTAINERD,
}


def layer(files: Mapping[str, str] = SCRIPTS) -> bytes:
    """A tar of scripts, over what our own packages have of programs."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return output.getvalue()
