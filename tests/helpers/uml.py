"""A second Linux with systemd, as an ordinary program: Debian's user-mode-linux.

Its root is this machine's, under a layer in memory that is gone when it ends: what is written there, units
among it, changes nothing here. It has a kernel of its own, and so cgroups that systemd may use.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_LAYER = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
{python} - <<'PYTHON'
import ctypes, glob, os
(module,) = glob.glob("/usr/lib/uml/modules/" + os.uname().release + "/kernel/fs/overlayfs/overlay.ko")
if ctypes.CDLL(None).syscall(313, os.open(module, os.O_RDONLY), b"", 0):  # finit_module(2), of x86-64
    raise SystemExit("no overlayfs")
PYTHON
umount /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
exec chroot /mnt/root {folder}/begin
"""
_BEGIN = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir /out
mount -t hostfs none /out -o {folder}/out
cp {folder}/units/* /etc/systemd/system/
ln -sf {runcast} /usr/local/bin/runcast
{python} - <<'PYTHON'
import fcntl, socket, struct
up = struct.pack("16sh14x", b"lo", 0x41)  # IFF_UP, IFF_RUNNING; netdevice(7)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up)
PYTHON
exec /lib/systemd/systemd --unit=uml-script.service --log-target=console --show-status=no
"""
_SCRIPT = """\
[Unit]
DefaultDependencies=no
After=basic.target
[Service]
Type=oneshot
ExecStart={folder}/script
TimeoutStartSec=infinity
"""
_HEAD = """\
#!/bin/sh
exec >/out/log 2>&1
export PATH=/usr/local/bin:$PATH HOME=/root
"""
_TAIL = """
sync
systemctl poweroff -f
"""


_REGISTERS = Path(__file__).parents[1] / "own_kernel" / "registers.c"


def kernel(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the program that is the kernel, and the environment that it boots in on any processor.

    Args:
        folder: where what is preloaded is compiled to.
    """
    linux = shutil.which("linux.uml")
    assert linux is not None, "expected user-mode-linux, it is missing: run `make test-root`"
    library = folder / "registers.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, _REGISTERS, "-ldl"], check=True)
    return linux, {**os.environ, "LD_PRELOAD": str(library)}


def boot(folder: Path, units: Mapping[str, str], script: str, *, seconds: float) -> str:
    """Boot it, run a script under systemd, and return what that printed.

    Args:
        folder: an empty one. What the script writes to /out is in its `out`.
        units: of systemd, by their file names. Services should have DefaultDependencies=no.
        script: for sh.
        seconds: it must have ended after so many.
    """
    linux, environment = kernel(folder)
    names = {
        "folder": folder,
        "python": sys.executable,
        "runcast": Path(sys.executable).with_name("runcast"),
    }
    for name in ("units", "out"):
        (folder / name).mkdir()
    for name, text in {**units, "uml-script.service": _SCRIPT.format(**names)}.items():
        (folder / "units" / name).write_text(text)
    scripts = {
        "init": _LAYER.format(**names),
        "begin": _BEGIN.format(**names),
        "script": f"{_HEAD}{script}{_TAIL}",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    command = [
        *(linux, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        *(f"init={folder}/init", "con=null", "con0=fd:0,fd:1", "umid=machine", f"uml_dir={folder}/"),
    ]
    with open(folder / "console", "wb") as console:
        subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,  # it has no exit code of its own
        )
    log = folder / "out" / "log"
    assert log.exists(), (folder / "console").read_text(errors="replace")[-3000:]
    return log.read_text()
