"""Values that LinuxKit's format takes and that init, runc or the kernel refuse at the box: one row each.

Each row was run by `runc run` (1.1) on this machine's kernel, or stands in runc's source for cgroups of version 2.
"""

import json

import pytest
import yaml

from gitops.assemble.root.refused import refused
from gitops.fleet.linuxkit.schema import Settings, dump

REFUSED = {
    # runc: process
    "env: [A]": "NAME=VALUE",
    "env: ['=x']": "NAME=VALUE",
    'env: ["A=\\0"]': "zero byte",
    "command: ['']": "name a program",
    'command: [a, "\\0"]': "zero byte",
    'cwd: "/x\\0"': "zero byte",
    "uid: '99999999999'": "2147483647",
    "gid: 2147483648": "2147483647",
    "additionalGids: [1, '4294967296']": "2147483647",
    "rlimits: ['nofile,20,10']": "above the second",
    "rlimits: ['nofile,-1']": "a number, or unlimited",
    "rlimits: ['nofile,99999999999999999999']": "more than a limit holds",
    # runc: namespaces
    "hostname: ntp": "add `uts: new`",
    "hostname: ntp, uts: host": "add `uts: new`",
    f"hostname: {'a' * 65}, uts: new": "at most 64",
    "ipc: none": "a word of `net` alone",
    "pid: none": "a word of `net` alone",
    "userns: new": "leave `userns` out",
    "sysctl: {net.ipv4.ip_forward: '1'}": "add `net: new`",
    "sysctl: {net/ipv4/ip_forward: '1'}, net: root": "add `net: new`",
    "sysctl: {kernel.msgmax: '1'}, net: new": "add `ipc: new`",
    "sysctl: {fs.mqueue.msg_max: '1'}": "add `ipc: new`",
    "sysctl: {kernel.domainname: x}": "add `uts: new`",
    "sysctl: {kernel.hostname: x}, uts: new": "write `hostname:`",
    "sysctl: {vm.swappiness: '1'}, net: new": "the whole box's",
    # runc: mounts
    "rootfsPropagation: sharedd": "no propagation",
    "binds: ['/a:b']": "write /b",
    "binds.add: ['/a:b:ro']": "write /b",
    "binds: ['/a:/']": "the root itself",
    "binds: ['/a:/proc/x']": "inside of /proc",
    "binds: ['/a:/proc']": "no proc file system",
    "tmpfs: ['/proc/x:size=1m']": "inside of /proc",
    "tmpfs: ['/']": "the root itself",
    "mounts: [{type: bind, source: /a, destination: /b}]": "options: [rbind]",
    "binds: ['/a:/b:readonly']": "`readonly` is no option of a bind; write ro",
    "binds.add: ['/a:/b:ro,z']": "`z` is no option of a bind",
    "tmpfs: ['/a:szie=5m']": "size=",
    "tmpfs: ['/a:size=5x']": "no option of a tmpfs",
    "mounts: [{type: bind, source: /a, destination: /b, options: [bind, shard]}]": "rshared",
    "mounts: [{type: tmpfs, destination: /b, options: [mode=17x]}]": "no option of a tmpfs",
    # runc: devices
    "devices: [{path: /dev/x, type: p}]": "mkfifo",
    "devices: [{path: /dev/x, type: u, major: 1, minor: 3}]": "write c",
    "devices: [{path: /dev/x, type: a}]": "path: all",
    "devices: [{path: x, type: c, major: 1, minor: 3}]": "write /dev/x",
    "devices: [{path: /dev/x, type: c, major: -1, minor: 3}]": "below 0",
    # cgroups of version 2
    "resources: {memory: {limit: -5}}": "memory.limit",
    "resources: {memory: {limit: 1000}}": "memory.limit",
    "resources: {memory: {swappiness: 10}}": "no box carries it out; take it out, or say `oomScoreAdj`",
    "resources: {memory: {kernel: 1000000}}": "`limit` counts it too",
    "resources: {memory: {disableOOMKiller: true}}": "oomScoreAdj",
    "resources: {cpu: {idle: 1}}": "unified: {cpu.idle",
    "resources: {cpu: {burst: 1000}}": "unified: {cpu.max.burst",
    "resources: {cpu: {realtimeRuntime: 1000}}": "cpu.realtimeRuntime",
    "resources: {blockIO: {leafWeight: 10}}": "write `weight`",
    "resources: {network: {classID: 1}}": "nftables",
    "resources: {network: {priorities: [{name: eth0, priority: 5}]}}": "nftables",
    "resources: {memory: {swap: 1000}}": "say `limit`",
    "resources: {memory: {limit: 100000000, swap: 1000}}": "together",
    "resources: {cpu: {shares: 1}}": "cpu.shares",
    "resources: {cpu: {period: 10}}": "cpu.period",
    "resources: {cpu: {quota: 10}}": "cpu.quota",
    "resources: {cpu: {cpus: x}}": "0-3,5",
    "resources: {cpu: {mems: '1-'}}": "0-3,5",
    "resources: {pids: {limit: -7}}": "-1 for none",
    "resources: {blockIO: {weight: 5000}}": "blockIO.weight",
    "resources: {hugepageLimits: [{pageSize: 3MB, limit: 1}]}": "2MB or 1GB",
    "resources: {unified: {a/b: '1'}}": "memory.high",
    "resources: {unified: {memory: '1'}}": "memory.high",
    "resources: {devices: [{allow: true, access: xyz}]}": "r, w and m",
    # init
    "runtime: {bindNS: {net: run/x}}": "bindNS.net",
    "runtime: {bindNS: {net: /etc/netns/x}}": "below /run",
    "runtime: {bindNS: {net: /run/../etc/x}}": "below /run",
    "runtime: {bindNS: {net: /run/x, ipc: /run/x}}": "where `ipc` is kept",
    "runtime: {bindNS: {net: '/run/x|y'}}": "init does not take",
    "runtime: {cgroups: [/pods]}": "without `/` at the beginning",
    "runtime: {cgroups: [../core]}": "without `/` at the beginning",
    "runtime: {cgroups: [pods/run]}": "without `/` at the beginning",
    "runtime: {namespace: a b}": "no name for containerd",
    "runtime: {interfaces: [{name: sixteen-letters-}]}": "at most 15",
    "runtime: {interfaces: [{name: a/b}]}": "at most 15",
    "runtime: {interfaces: [{name: ''}]}": "write `name:`",
    "runtime: {interfaces: [{name: a}, {name: a, add: dummy}]}": "there twice",
    "runtime: {interfaces: [{name: a, peer: a}]}": "there twice",
    "runtime: {interfaces: [{name: a, add: veth}]}": "write `peer: NAME`",
    "runtime: {interfaces: [{name: a, add: wireguard, peer: b}]}": "take `peer` out",
    "runtime: {interfaces: [{name: a, add: vlan}]}": "ip link add",
    "runtime: {interfaces: [{name: a, add: '; reboot'}]}": "no type of interface",
    "runtime: {mkdir: [var/x]}": "mkdir",
    "runtime: {mounts: [{type: tmpfs, destination: x}]}": "no absolute path",
    "runtime: {mounts: [{type: tmpfs}]}": "no absolute path",
    "runtime: {mounts: [{type: bind, destination: /run/x}]}": "source: /PATH",
    "runtime: {mounts: [{destination: /run/x, options: [rbind]}]}": "source: /PATH",
    "runtime: {mkdir: ['/a|b']}": "init does not take",
    'runtime: {mounts: [{type: tmpfs, destination: /x, options: ["a\\nb"]}]}': "init does not take",
    "annotations: {org.toweros.timeout: soon}": "write seconds",
    "annotations: {org.toweros.timeout: '0'}": "write seconds",
}
TAKEN = (
    "env: [A=, B=1=2], command: [a, ''], cwd: /x, uid: ntp, gid: 5, additionalGids: [ntp]",
    "hostname: ntp, uts: new",
    "hostname: ntp, uts: /run/ns/uts",
    "net: none, ipc: host, pid: root, userns: host",
    "sysctl: {net.ipv4.ip_forward: '1', kernel.shmmax: '1'}, net: /run/netns/x, ipc: new",
    "rlimits: ['nofile,10,20', 'core,unlimited', 'RLIMIT_STACK,0,unlimited']",
    "binds: ['/proc:/proc', '/a:/proc/uptime', 'v:/b:ro,rshared', '/etc/x:/etc/../x'], tmpfs: ['/x:size=5m']",
    "mounts: [{type: proc}, {destination: /dev}, {type: tmpfs, destination: x}]",
    "mounts: [{type: bind, source: /a, destination: /b, options: [bind]}]",
    "mounts: [{type: nfs, source: 'h:/x', destination: /b, options: [vers=4]}], binds: ['/a:/b:rro,rnosuid,rprivate']",
    "tmpfs: ['/a:size=10%,nr_inodes=1k,mode=1777,uid=5,huge=never,noexec', '/b:rw,noatime,tmpcopyup']",
    "devices: [{path: all, type: a}, {path: all, type: b}, {path: /dev/x, type: c, major: 1, minor: 3}]",
    "resources: {memory: {limit: -1, reservation: 0, swap: -1}, cpu: {shares: 2, quota: -1, cpus: '0-3,5'}}",
    "resources: {pids: {limit: -1}, unified: {memory.high: max}, blockIO: {weight: 10}}",
    "runtime: {bindNS: {net: /run/netns/x, pid: ''}, mkdir: [/var/x], mounts: [{type: tmpfs, destination: /x}]}",
    "runtime: {cgroups: [pods, pods/one], namespace: apart, interfaces: [{name: eth0, peer: to-web}]}",
    "runtime: {interfaces: [{name: wg0, add: wireguard, createInRoot: true}, {name: d, add: dummy}, {name: eth1}]}",
    "resources: {memory: {useHierarchy: true, swappiness: 0}, cpu: {idle: 0}, blockIO: {leafWeight: 0}}",
    "rootfsPropagation: rslave, annotations: {org.toweros.timeout: '300', x: ''}",
)


def told(text: str) -> list[tuple[str, str, str]]:
    return [*refused(dump(Settings.model_validate_json(json.dumps(yaml.safe_load("{" + text + "}")))))]


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_box_refuses_is_named_with_its_key_and_the_fix(text: str) -> None:
    ((key, message, hint),) = told(text)
    assert key in text and REFUSED[text] in f"{message}; {hint}" and message and hint


@pytest.mark.parametrize("text", TAKEN)
def test_what_a_box_takes_is_no_mistake(text: str) -> None:
    assert told(text) == []
