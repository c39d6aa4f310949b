#!/usr/bin/python3
"""usage: same_answers_test.py DOUBLE

The double answers as the real Firecracker does: both are given the same requests, one after the other, and must give the same
status and the same words, but for what STRICTER and OWN_WORDS name. Needs root, /dev/kvm, iproute2, and MVM_FIRECRACKER_DIR
with firecracker and vmlinux; skipped (77) without."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SKIP = 77
DRIVE = '{"drive_id":"%s","path_on_host":"%s","is_root_device":%s,"is_read_only":%s}'
BOOT = [("PUT", "/boot-source", '{"kernel_image_path":"/kernel","boot_args":"reboot=k"}')]
START = [("PUT", "/actions", '{"action_type":"InstanceStart"}')]
LIMITED = '"rate_limiter":{"bandwidth":{"size":1048576,"refill_time":1000},"ops":{"size":100,"refill_time":1000,"one_time_burst":50}}'

# Where the double keeps to the API description and Firecracker does not.
STRICTER = [("PUT", "/vsock", '{"guest_cid":2,"uds_path":"/run/v.sock"}'), ("PUT", "/mmds", "[1]")]
# Refused by both, by the double as something that the API description rules out.
OWN_WORDS = [("PUT", "/machine-config", '{"vcpu_count":%d,"mem_size_mib":64}' % count) for count in (0, 33)]
# What serde finds wrong with a body, the double says in fewer words.
SERDES = '{"fault_message":"An error occurred when deserializing the json body of a request: '

# Each is told to a VMM of its own.
STORIES = {
    "words": [
        ("GET", "/", ""), ("GET", "/nothing", ""), ("DELETE", "/version", ""), ("GET", "/version", "{}"), ("PUT", "/", "{}"),
        ("PUT", "/entropy", ""), ("PATCH", "/vm", ""), ("PUT", "/entropy", "{"), ("PUT", "/entropy", "[]"),
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":64,"x":1}'),
        ("PUT", "/machine-config", '{"vcpu_count":1}'),
        ("PUT", "/machine-config", '{"vcpu_count":"1","mem_size_mib":64}'),
        ("PUT", "/machine-config", '{"vcpu_count":1,"vcpu_count":1,"mem_size_mib":64}'),
        ("PUT", "/actions", '{"action_type":"Start"}'),
        ("PUT", "/drives/a-b", DRIVE % ("a-b", "/rootfs", "true", "true")),
        ("PUT", "/drives/a", DRIVE % ("b", "/rootfs", "true", "true")),
        ("PUT", "/entropy", '{"rate_limiter":{"bandwidth":{"size":1}}}'),
    ],
    "machine": [
        ("GET", "/machine-config", ""),
        ("PUT", "/machine-config", '{"vcpu_count":0,"mem_size_mib":64}'),
        ("PUT", "/machine-config", '{"vcpu_count":33,"mem_size_mib":64}'),
        ("PUT", "/machine-config", '{"vcpu_count":3,"mem_size_mib":64,"smt":true}'),
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":0}'),
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":63,"huge_pages":"2M"}'),
        ("PATCH", "/machine-config", "{}"),
        ("PUT", "/machine-config", '{"vcpu_count":2,"mem_size_mib":128,"smt":false,"track_dirty_pages":false}'),
        ("GET", "/machine-config", ""),
        ("PATCH", "/machine-config", '{"mem_size_mib":256}'),
        ("GET", "/machine-config", ""),
    ],
    "drives": [
        ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/nowhere", "true", "true")),
        ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/rootfs", "true", "true")),
        ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/rootfs", "true", "true")),
        ("PUT", "/drives/other", DRIVE % ("other", "/rootfs", "true", "true")),
        ("PUT", "/drives/data", DRIVE % ("data", "/rootfs", "false", "false")),  # the jail's user may not write it
        ("PUT", "/drives/data", '{"drive_id":"data","path_on_host":"/data","is_root_device":false,"is_read_only":false,'
                                '"cache_type":"Writeback","io_engine":"Sync",' + LIMITED + "}"),
        ("PUT", "/drives/data", '{"drive_id":"data","path_on_host":"/data","is_root_device":false,"cache_type":"writeback"}'),
        ("PUT", "/drives/data", '{"drive_id":"data","is_root_device":false}'),
        ("PUT", "/drives/data", '{"drive_id":"data","path_on_host":"/data","is_root_device":false,"rate_limiter":{"ops":{"size":-1,"refill_time":1}}}'),
        ("PUT", "/drives/dir", DRIVE % ("dir", "/run", "false", "true")),
        ("PATCH", "/drives/data", '{"drive_id":"data","path_on_host":"/data"}'),
    ],
    "network": [
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"nothere","guest_mac":"02:00:00:00:00:01"}'),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"02:00:00:00:00"}'),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"averylongnameforatap","guest_mac":"02:00:00:00:00:01"}'),
        ("PUT", "/mmds/config", '{"version":"V2","network_interfaces":["eth0"]}'),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}'),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}'),
        ("PUT", "/network-interfaces/eth1", '{"iface_id":"eth1","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:02"}'),
        ("PUT", "/network-interfaces/eth2", '{"iface_id":"eth2","host_dev_name":"tap1","guest_mac":"02:00:00:00:00:01"}'),
        ("PUT", "/mmds/config", '{"version":"V2","network_interfaces":[]}'),
        ("PUT", "/mmds/config", '{"version":"V3","network_interfaces":["eth0"]}'),
        ("PUT", "/mmds/config", '{"version":"V2","network_interfaces":["eth0"],"ipv4_address":"10.0.0.1"}'),
        ("PATCH", "/mmds", '{"a":"b"}'), ("GET", "/mmds", ""),
        ("PUT", "/mmds/config", '{"version":"V2","network_interfaces":["eth0"]}'),
        ("PATCH", "/mmds", '{"a":"b"}'), ("PUT", "/mmds", '{"a":{"b":"c"}}'), ("PATCH", "/mmds", '{"a":{"d":"e"}}'), ("GET", "/mmds", ""),
        ("PUT", "/mmds", '[1]'), ("PUT", "/mmds", '{"a":1}'), ("GET", "/mmds", ""),
    ],
    "vsock": [
        ("PUT", "/vsock", '{"guest_cid":2,"uds_path":"/run/v.sock"}'),
        ("PUT", "/vsock", '{"guest_cid":3,"uds_path":"/nowhere/v.sock"}'),
        ("PUT", "/vsock", '{"guest_cid":3,"uds_path":"/run/v.sock"}'),
        ("PUT", "/vsock", '{"guest_cid":3,"uds_path":"/run/v.sock"}'),
        ("PUT", "/vsock", '{"guest_cid":4294967296,"uds_path":"/run/v.sock"}'),
        ("PUT", "/vsock", '{"guest_cid":3,"uds_path":"/run/%s"}' % ("x" * 120)),
    ],
    "snapshots": [
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/m","snapshot_path":"/run/s"}'),
        ("PUT", "/snapshot/load", '{"snapshot_path":"/run/s"}'),
        ("PUT", "/snapshot/load", '{"snapshot_path":"/run/s","mem_file_path":"/run/m","mem_backend":{"backend_type":"File","backend_path":"/run/m"}}'),
        ("PUT", "/snapshot/load", '{"snapshot_path":"/run/s","mem_backend":{"backend_type":"Tape","backend_path":"/run/m"}}'),
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":32,"track_dirty_pages":true}'),
        *BOOT, *START,
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/m","snapshot_path":"/run/s"}'),
        ("PATCH", "/vm", '{"state":"Paused"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/nowhere/m","snapshot_path":"/run/s"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/m","snapshot_path":"/nowhere/s"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/pipe","snapshot_path":"/run/s"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/m","snapshot_path":"/run/s","snapshot_type":"Half"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/m","snapshot_path":"/run/s"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"/run/d","snapshot_path":"/run/s","snapshot_type":"Diff"}'),
        ("PUT", "/snapshot/load", '{"snapshot_path":"/run/s","mem_backend":{"backend_type":"File","backend_path":"/run/m"}}'),
        ("PATCH", "/vm", '{"state":"Resumed"}'), ("GET", "/", ""),
    ],
    "nosnapshot": [("PUT", "/snapshot/load", '{"snapshot_path":"/nowhere","mem_backend":{"backend_type":"File","backend_path":"/run/m"}}')],
    "nosnapshotin": [("PUT", "/snapshot/load", '{"snapshot_path":"/rootfs","mem_backend":{"backend_type":"File","backend_path":"/run/m"}}')],
    "nosnapshotafter": [
        ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/rootfs", "true", "true")),
        ("PUT", "/snapshot/load", '{"snapshot_path":"/nowhere","mem_backend":{"backend_type":"File","backend_path":"/run/m"}}'),
        ("GET", "/", ""),
    ],
    "order": [
        *START, ("PATCH", "/vm", '{"state":"Paused"}'), ("PUT", "/actions", '{"action_type":"FlushMetrics"}'),
        ("PUT", "/actions", '{"action_type":"SendCtrlAltDel"}'),
        ("PUT", "/boot-source", '{"kernel_image_path":"/nowhere"}'),
        ("PUT", "/boot-source", '{"kernel_image_path":"/kernel","initrd_path":"/nowhere"}'),
        ("PUT", "/boot-source", '{"kernel_image_path":"/kernel","boot_args":"%s"}' % ("x" * 2047)),
        ("PUT", "/boot-source", '{"kernel_image_path":"/kernel","boot_args":"%s"}' % ("x" * 2048)),
        ("PUT", "/boot-source", '{"kernel_image_path":"/kernel","boot_args":"caf\u00e9"}'),
        ("PUT", "/boot-source", '{"kernel_image_path":"/kernel","boot_args":" -- init"}'),
        *BOOT, ("PUT", "/entropy", "{}"), ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/rootfs", "true", "true")),
        ("PUT", "/snapshot/load", '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'),
        *START, ("GET", "/", ""), *START,
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":64}'), ("PUT", "/entropy", "{}"), *BOOT,
        ("PUT", "/drives/late", DRIVE % ("late", "/rootfs", "false", "true")),
        ("PUT", "/vsock", '{"guest_cid":3,"uds_path":"/run/v.sock"}'),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"tap0"}'),
        ("PUT", "/mmds/config", '{"version":"V2","network_interfaces":["eth0"]}'),
        ("PUT", "/mmds", '{"a":"b"}'),
        ("PUT", "/snapshot/create", '{"mem_file_path":"m","snapshot_path":"s"}'),
        ("PUT", "/snapshot/load", '{"snapshot_path":"s","mem_backend":{"backend_type":"File","backend_path":"m"}}'),
        ("PATCH", "/vm", '{"state":"Paused"}'), ("GET", "/", ""), ("PATCH", "/vm", '{"state":"Paused"}'),
        ("PATCH", "/vm", '{"state":"Stopped"}'),
        ("PATCH", "/vm", '{"state":"Resumed"}'), ("GET", "/", ""), ("PATCH", "/vm", '{"state":"Resumed"}'),
    ],
    "limits": [
        ("PUT", "/machine-config", '{"vcpu_count":1,"mem_size_mib":64}'), *BOOT,
        ("PUT", "/drives/rootfs", DRIVE % ("rootfs", "/rootfs", "true", "true")),
        ("PUT", "/network-interfaces/eth0", '{"iface_id":"eth0","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}'),
        ("PATCH", "/drives/rootfs", '{"drive_id":"rootfs",' + LIMITED + "}"),
        ("PATCH", "/network-interfaces/eth0", '{"iface_id":"eth0"}'),
        *START,
        ("PATCH", "/drives/rootfs", '{"drive_id":"rootfs",' + LIMITED + "}"),
        ("PATCH", "/drives/none", '{"drive_id":"none",' + LIMITED + "}"),
        ("PATCH", "/drives/rootfs", '{"drive_id":"none",' + LIMITED + "}"),
        ("PATCH", "/drives/rootfs", '{' + LIMITED + "}"),
        ("PATCH", "/network-interfaces/eth0", '{"iface_id":"eth0","rx_' + LIMITED[1:] + ',"tx_' + LIMITED[1:] + "}"),
        ("PATCH", "/network-interfaces/eth0", '{"iface_id":"eth0"}'),
        ("PATCH", "/network-interfaces/eth1", '{"iface_id":"eth1"}'),
        ("PATCH", "/vm", '{"state":"Paused"}'),
        ("PATCH", "/drives/rootfs", '{"drive_id":"rootfs",' + LIMITED + "}"),
    ],
}


class Vmm:
    def __init__(self, executable, kernel):
        self.root = tempfile.mkdtemp(prefix="mvm-same-", dir="/var/tmp")
        for folder in ("run", "dev/net"):
            os.makedirs(f"{self.root}/{folder}")
        for name, major, minor in (("kvm", 10, 232), ("net/tun", 10, 200), ("urandom", 1, 9), ("null", 1, 3)):
            os.mknod(f"{self.root}/dev/{name}", 0o20666, os.makedev(major, minor))
            os.chmod(f"{self.root}/dev/{name}", 0o666)
        shutil.copy(executable, f"{self.root}/vmm")
        shutil.copy(kernel, f"{self.root}/kernel")
        for name, mode in (("rootfs", 0o444), ("data", 0o666)):
            with open(f"{self.root}/{name}", "wb") as file:
                file.truncate(1 << 20)
            os.chmod(f"{self.root}/{name}", mode)
        os.mkfifo(f"{self.root}/run/pipe", 0o600)
        self.reader = os.open(f"{self.root}/run/pipe", os.O_RDONLY | os.O_NONBLOCK)  # or whoever opens it waits
        for name in ("", "/run", "/run/pipe"):
            os.chown(self.root + name, USER, USER)
        self.log = open(f"{self.root}.log", "wb")
        self.process = subprocess.Popen(["/vmm", "--id", "i-a3f7b2c1", "--api-sock", "/run/api.sock"], preexec_fn=self.enter,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={})
        self.socket = self.connect()

    def enter(self):
        os.chroot(self.root)
        os.chdir("/")
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)

    def connect(self):
        for _ in range(500):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(20)
            try:
                connection.connect(f"{self.root}/run/api.sock")
                return connection
            except OSError:
                connection.close()
                time.sleep(0.02)
        sys.exit(f"it does not listen: {open(f'{self.root}.log').read()}")

    def ask(self, method, path, body):
        text = body.encode()
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nContent-Length: {len(text)}\r\nContent-Type: application/json\r\n\r\n".encode() + text)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, answer = answer.split(b"\r\n\r\n", 1)
        length = re.search(rb"content-length: (\d+)", head, re.I)
        while length and len(answer) < int(length[1]):
            answer += self.receive()
        return int(head.split()[1]), answer.decode()

    def receive(self):
        part = self.socket.recv(65536)
        if not part:
            sys.exit(f"it has gone: {open(f'{self.root}.log').read()[-2000:]}")
        return part

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        os.close(self.reader)
        os.remove(f"{self.root}.log")
        shutil.rmtree(self.root)


USER = 2_000_777


def words_of(text):
    """What is said, but for the version."""
    text = re.sub(r'"(vmm_version|firecracker_version)":"[^"]*"', r'"\1":""', text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def same(request, real, double):
    if request in STRICTER:
        return (real[0], double[0]) == (204, 400)
    if real[0] != double[0]:
        return False
    return request in OWN_WORDS or real[1].startswith(SERDES) and double[1].startswith(SERDES) or words_of(real[1]) == words_of(double[1])


def main():
    directory = os.environ.get("MVM_FIRECRACKER_DIR")
    if not directory or os.geteuid() != 0 or not os.path.exists("/dev/kvm"):
        print("skipped: needs root, /dev/kvm and MVM_FIRECRACKER_DIR")
        return SKIP
    if os.environ.get("MVM_SAME_ANSWERS") != "inside":
        os.environ["MVM_SAME_ANSWERS"] = "inside"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    for tap in ("tap0", "tap1"):
        subprocess.run(["ip", "tuntap", "add", tap, "mode", "tap", "user", str(USER), "vnet_hdr"], check=True)
    different = asked = 0
    for name, story in STORIES.items():
        answers = []
        for executable in (f"{directory}/firecracker", sys.argv[1]):
            vmm = Vmm(executable, f"{directory}/vmlinux")
            answers.append([vmm.ask(*request) for request in story])
            vmm.end()
        for request, real, double in zip(story, *answers):
            asked += 1
            if not same(request, real, double):
                different += 1
                print(f"{name}: {' '.join(request)[:150]}\n    real   {real[0]} {real[1]}\n    double {double[0]} {double[1]}")
    print(f"{asked} requests, {different} answered differently")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
