# SPDX-License-Identifier: MIT
"""A network of hosts on one machine: a network, process and mount namespace for each, a bridge between
them, and a relay in front of each of their servers.

All of it hangs on processes that are children of this one: as they end, the namespaces go, and with
them the bridge and all servers. Nothing of the machine's own network or configuration is touched.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mounts as mounts_module
from relay import Relay

PROGRAMS = ("ip", "unshare", "nsenter", "sshd", "ssh", "ssh-keygen", "sshfs", "rsync", "rclone")
SWITCH_ADDRESS = "10.99.0.1"
LIMIT_S = 300

# A host sees the system's files, the test's folder ($1) and its disk ($2), and no other mount: one that
# is in a second namespace does not end where it is unmounted. In a user namespace, a folder comes only
# with what is mounted in it.
_FURNISH = """
root=$1/root && mkdir -p "$root" && mount --make-rprivate / && mount -t tmpfs tmpfs "$root" &&
mkdir -p "$root/run/sshd" "$root/proc" "$root/srv" "$root/tmp" "$root$1" &&
for folder in /bin /sbin /lib /lib32 /lib64 /libx32; do
    if [ -L $folder ]; then cp -P $folder "$root$folder" || exit; fi
done &&
for folder in /usr /etc /dev; do mkdir -p "$root$folder" && mount --rbind $folder "$root$folder" || exit
done &&
mount --bind "$1" "$root$1" && mount --bind "$2" "$root/srv" && mount -t proc proc "$root/proc" &&
mount --bind "$1/passwd" "$root/etc/passwd" && mount --bind "$1/shadow" "$root/etc/shadow" &&
cd "$root" && pivot_root . . && umount -l . && cd / && echo ready && exec sleep infinity
"""


# OpenStack's Swift on one device, with its S3 interface ($1: its configuration).
_SWIFT_PORTS = {"account": 6200, "container": 6201, "object": 6202, "proxy": 8090}
_SWIFT = """
mount --bind "$1" /etc/swift && cd "$1" || exit
memcached -u root -l 127.0.0.1 -p 11311 &
for kind in account container object; do
    port=$(sed -n 's/bind_port = //p' $kind.conf)
    if [ ! -e $kind.ring.gz ]; then
        swift-ring-builder $kind.builder create 2 1 1
        swift-ring-builder $kind.builder add r1z1-127.0.0.1:$port/device 1
        swift-ring-builder $kind.builder rebalance
    fi
    swift-$kind-server $kind.conf -v &
    until bash -c ": </dev/tcp/127.0.0.1/$port" 2>/dev/null; do sleep 0.1; done
done
exec swift-proxy-server proxy.conf -v
"""
_SWIFT_SERVER = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_SWIFT_PROXY = """
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:11311
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
"""


def environment():
    """sshd is not where users find programs."""
    given = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}  # rclone fails
    return {**given, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}


# In which an ordinary user is root, and has other users: sshd needs them.
_AS_ROOT = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork",
            "--kill-child", "--mount-proc"]  # fmt: skip


def why_not():
    """Why there can be no such network here; nothing where there can."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=environment()["PATH"])]
    if missing:
        return f"missing: {' '.join(missing)}"
    probe = "ip link add br0 type bridge && ip link add v0 type veth peer name v1"
    words = ["unshare", "--net", "--pid", "--fork", "--mount", "sh", "-c", probe]
    if os.geteuid() != 0:
        words = [*_AS_ROOT, *words]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment())
    return f"no network namespaces: {done.stderr.strip()}" if done.returncode else None


def play_as_root(request, folder):
    """Has another pytest play this test, in a user namespace."""
    words = [sys.executable, "-m", "pytest", "-q", "-s", f"--basetemp={folder}",
             f"{request.path}::{request.node.name}"]  # fmt: skip
    done = subprocess.run([*_AS_ROOT, *words], check=False, capture_output=True, text=True,
                          env=environment())  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-5000:] + done.stderr[-2000:]


def run(*words, **how):
    """Runs a program that has to succeed; returns what it printed."""
    how.setdefault("env", environment())
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=LIMIT_S, **how)
    assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


class Namespace:
    """Namespaces that live as long as a process of this test's."""

    def __init__(self, kinds, *command):
        words = ["unshare", *kinds, "--fork", "--kill-child", *command]
        self._holder = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment(), text=True,
        )  # fmt: skip
        said = self._holder.stdout.readline()
        if said != "ready\n":
            self.end()
            raise AssertionError(f"no namespaces: {said}")
        pid = self._holder.pid
        self.pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        self.enter = ["nsenter", f"--target={self.pid}", *kinds, "--"]
        self.network = f"/proc/{self.pid}/ns/net"

    def run(self, *words):
        return run(*self.enter, *words)

    def end(self):
        """All that runs there is killed, by the kernel, as the first process of it is."""
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()


class Host:
    """A host with a disk (a folder, there it is /srv) and servers, reached through relays."""

    def __init__(self, network, name):
        self.name = name
        self.disk = network.folder / "disks" / name
        self.disk.mkdir(parents=True)
        self.relays = {}
        self._folder = network.folder / "hosts" / name
        self._folder.mkdir(parents=True)
        self._network = network
        self._services = {}
        self._servers = []
        self.start()

    def start(self):
        """Also again, after kill(): all that it served is served again."""
        self._space = Namespace(["--net", "--pid", "--mount"], "sh", "-c", _FURNISH, "-",
                                self._network.folder, self.disk)  # fmt: skip
        self.address = self._network.connect(self._space)
        for kind in self._services:
            self._start_server(kind)

    def kill(self):
        """As if its plug were pulled; the disk stays."""
        self._space.end()
        for server in self._servers:
            server.wait()
        self._servers.clear()

    def end(self):
        self.kill()
        for relay in self.relays.values():
            relay.close()

    def serve(self, kind, port, *words):
        """Runs a server there, and returns the port of the relay to it, once it is open."""
        self._services[kind] = port, words
        self._start_server(kind)
        return self.relays[kind].port

    def _start_server(self, kind):
        port, words = self._services[kind]
        log_path = self._folder / f"{kind}.log"
        with open(log_path, "ab") as log:
            server = subprocess.Popen([*self._space.enter, *words], stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, env=environment())  # fmt: skip
        self._servers.append(server)
        self._wait_until_open(server, port, log_path)
        if kind not in self.relays:
            self.relays[kind] = Relay((self.address, port), self._network.home.network)
        self.relays[kind].target = (self.address, port)

    def _wait_until_open(self, server, port, log_path):
        """No server says when it listens in a way that all do: its port is asked."""
        probe = ["bash", "-c", f": </dev/tcp/{self.address}/{port}"]
        while subprocess.run([*self._space.enter, *probe], check=False, capture_output=True,
                             env=environment()).returncode:  # fmt: skip
            ended = mounts_module.wait_for_exit(server.pid, 0.02)
            assert not ended, f"{self.name}: {log_path.read_text(errors='replace')}"

    def write(self, name, text, mode=0o600):
        path = self._folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def count(self):
        """Bytes that went to it, and that came from it."""
        counts = [relay.count() for relay in self.relays.values()]
        return sum(to for to, _ in counts), sum(back for _, back in counts)

    # Servers

    def serve_ssh(self):
        key = self._network.make_key(self._folder / "host-key")
        config = self.write("sshd_config", "\n".join([
            "Port 22", f"HostKey {key}", f"AuthorizedKeysFile {self._network.key}.pub", "PidFile none",
            "StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes",
            "Subsystem sftp internal-sftp", "MaxStartups 100", "PrintLastLog no", "PrintMotd no", "",
        ]))  # fmt: skip
        sshd = shutil.which("sshd", path=environment()["PATH"])
        port = self.serve("ssh", 22, sshd, "-D", "-e", "-f", config)
        self._network.add_ssh_host(self.name, port, key)

    def serve_rsync(self):
        config = self.write("rsyncd.conf", "\n".join([
            "use chroot = no", "uid = root", "gid = root", "reverse lookup = no", "[share]",
            "path = /srv", "read only = no", "",
        ]))  # fmt: skip
        port = self.serve("rsync", 873, "rsync", "--daemon", "--no-detach", f"--config={config}")
        return f"rsync://127.0.0.1:{port}/share/"

    def serve_sftp_by_rclone(self):
        """An rclone remote, named like the host."""
        key = self._network.make_key(self._folder / "host-key")
        port = self.serve("sftp", 2022, "rclone", "serve", "sftp", "--config=", "--addr=:2022",
                          f"--authorized-keys={self._network.key}.pub", f"--key={key}",
                          "--vfs-cache-mode=off", "/srv")  # fmt: skip
        known = self._network.known_host(f"[127.0.0.1]:{port}", key)
        self._network.add_remote(self.name, type="sftp", host="127.0.0.1", port=port, user="root",
                                 key_file=self._network.key, known_hosts_file=known,
                                 shell_type="none")  # fmt: skip

    def serve_webdav(self):
        """An rclone remote, named like the host."""
        port = self.serve("webdav", 8080, "rclone", "serve", "webdav", "--config=", "--addr=:8080",
                          "--vfs-cache-mode=off", "/srv")  # fmt: skip
        self._network.add_remote(self.name, type="webdav", url=f"http://127.0.0.1:{port}",
                                 vendor="other")  # fmt: skip


    def serve_s3(self):
        """An rclone remote, named like the host, with one bucket; its disk is where Swift keeps that."""
        self.write("swift.sh", _SWIFT)
        for name, port in _SWIFT_PORTS.items():
            options = {"bind_ip": "0.0.0.0", "bind_port": port, "workers": 0, "swift_dir": "/etc/swift",
                       "devices": "/srv", "mount_check": "false", "user": "root"}  # fmt: skip
            lines = [f"{key} = {value}" for key, value in options.items()]
            more = _SWIFT_PROXY if name == "proxy" else _SWIFT_SERVER.format(name=name)
            self.write(f"{name}.conf", "\n".join(["[DEFAULT]", *lines, more]))
        self.write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\n"
                                 "[storage-policy:0]\nname = one\ndefault = yes\n")  # fmt: skip
        (self.disk / "device").mkdir()
        port = self.serve("s3", _SWIFT_PORTS["proxy"], "sh", self._folder / "swift.sh", self._folder)
        self._network.add_remote(self.name, type="s3", provider="Other", access_key_id="test:tester",
                                 secret_access_key="testing", region="us-east-1",
                                 endpoint=f"http://127.0.0.1:{port}")  # fmt: skip
        self._network.run("rclone", "mkdir", f"{self.name}:bucket")


class Network:
    """Hosts on a bridge. The bridge, and the clients that run() starts, are in `home`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hosts = {}
        self._mounts = []
        self._stack = contextlib.ExitStack()
        self.key = self.make_key(self.folder / "key")
        self.ssh_config = self.folder / "ssh_config"
        self.rclone_config = self.folder / "rclone.conf"
        self.rclone_config.touch()
        self._write_ssh_config("")
        (self.folder / "passwd").write_text(
            "root:x:0:0:root:/:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        (self.folder / "shadow").write_text("root:*:1::::::\nsshd:*:1::::::\n")
        self.home = Namespace(["--net"], "sh", "-c", "echo ready && exec sleep infinity")
        self._stack.callback(self.home.end)
        self.home.run("ip", "link", "set", "lo", "up")
        self.home.run("ip", "link", "add", "br0", "type", "bridge")
        self.home.run("ip", "address", "add", f"{SWITCH_ADDRESS}/24", "dev", "br0")
        self.home.run("ip", "link", "set", "br0", "up")
        self._connected = 0

    def close(self):
        for path in list(self._mounts):
            self.unmount(path)
        self._stack.close()

    def connect(self, space):
        """Plugs a host into the bridge; returns its address."""
        self._connected += 1
        port, address = f"port{self._connected}", f"10.99.0.{1 + self._connected}"
        self.home.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns",
                      str(space.pid))  # fmt: skip
        self.home.run("ip", "link", "set", port, "master", "br0", "up")
        space.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        space.run("ip", "link", "set", "lo", "up")
        space.run("ip", "link", "set", "eth0", "up")
        return address

    def add_host(self, name):
        host = Host(self, name)
        self._stack.callback(host.end)
        self.hosts[name] = host
        return host

    # What clients need to know

    def make_key(self, path):
        if not path.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
        return path

    def known_host(self, name, key):
        path = self.folder / "known_hosts"
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{name} {Path(f'{key}.pub').read_text(encoding='ascii')}")
        return path

    def _write_ssh_config(self, text):
        with open(self.ssh_config, "a", encoding="ascii") as file:
            file.write(text)

    def add_ssh_host(self, name, port, key):
        known = self.known_host(name, key)
        self._write_ssh_config(f"""
Host {name}
    HostName 127.0.0.1
    Port {port}
    User root
    HostKeyAlias {name}
    UserKnownHostsFile {known}
    GlobalKnownHostsFile /dev/null
    IdentityFile {self.key}
    IdentitiesOnly yes
    BatchMode yes
    ConnectTimeout 10
    ServerAliveInterval 2
    ServerAliveCountMax 3
""")

    def add_remote(self, name, **options):
        lines = [f"{key} = {value}" for key, value in options.items()]
        with open(self.rclone_config, "a", encoding="ascii") as file:
            file.write("\n".join([f"[{name}]", *lines, ""]))

    def environment(self):
        """Of programs that use this network: rsync, rclone, and what starts them."""
        return {
            **environment(),
            "RSYNC_RSH": f"ssh -F {self.ssh_config}",
            "RCLONE_CONFIG": str(self.rclone_config),
            "RCLONE_CACHE_DIR": str(self.folder / "rclone-cache"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def hand_over(self, folder, user):
        """Has clients find in FOLDER, as the user's own, what they need to know."""
        folder.mkdir()
        for path in (self.key, self.folder / "known_hosts"):
            shutil.copy(path, folder / path.name)
        for name in ("ssh_config", "rclone_config"):
            text = getattr(self, name).read_text(encoding="ascii")
            setattr(self, name, folder / name)
            (folder / name).write_text(text.replace(f"{self.folder}/", f"{folder}/"), encoding="ascii")
        user.own(folder)

    # Programs in this network

    def run(self, *words):
        return run(*self.home.enter, *words, env=self.environment())

    def start(self, *words, log):
        return subprocess.Popen([*self.home.enter, *words], stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log, env=self.environment())  # fmt: skip

    def _mount(self, path, *words):
        path.mkdir(parents=True)
        log_path = path.with_name(f"{path.name}.log")
        with open(log_path, "wb") as log:
            server = self.start(*words, path, log=log)
        self._mounts.append(path)
        self._stack.callback(self._end_server, server)
        ready = mounts_module.wait_for_mount_table(lambda: os.path.ismount(path), server.pid)
        assert ready, f"{path}: {log_path.read_text(errors='replace')}"

    @staticmethod
    def _end_server(server):
        server.kill()
        server.wait()

    def mount_sshfs(self, name, path):
        self._mount(path, "sshfs", "-f", "-F", self.ssh_config, "-o", "ro", f"{name}:/srv")

    def mount_rclone(self, name, path):
        self._mount(path, "rclone", "mount", "--read-only", f"{name}:")

    def unmount(self, path):
        self._mounts.remove(path)
        if os.path.abspath(path) in mounted_beneath(path.parent):
            mounts_module.unmount_at_any_cost(path)


def mounted_beneath(folder):
    """Mounts of any kind, without a question to them."""
    start = os.path.realpath(folder) + "/"
    with open("/proc/self/mountinfo", errors="surrogateescape") as table:
        places = [line.split(" ")[4] for line in table]
    return [place for place in places if place.startswith(start)]
