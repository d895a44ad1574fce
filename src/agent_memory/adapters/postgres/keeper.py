"""A process of its own that runs one command and stops it when its standard input closes: its parent is gone.

A pipe closes whichever way the parent ends, kill -9 included, on Linux and on macOS. Started by root it
becomes an ordinary user first, for PostgreSQL refuses root. Only the standard library is imported here: the
file is run as a script, isolated, beside whatever the parent has loaded.

    keeper.py [--user NAME] [--restart] COMMAND ...
"""

import argparse
import contextlib
import ctypes
import os
import pwd
import select
import signal
import sys
import time
from typing import Any

_KEEP_CAPABILITIES, _AMBIENT, _AMBIENT_RAISE = 8, 47, 2  # prctl
_SET_SECURE_BITS, _NO_FIXUP = 28, 4  # prctl
_CAPABILITY_VERSION = 0x20080522
_DAC_OVERRIDE = 1  # lets an ordinary user pass root's 0700 home, and nothing that root could not do before

_QUICK_DEATH = 2.0  # seconds: a command that lives shorter than this ...
_MOST_QUICK_DEATHS = 5  # ... so many times from the beginning is broken and not started again
_RECOVERY = 60.0  # seconds for one that has lived, or was killed: what it left behind may be in its way for a while
_PATIENCE = 30.0  # seconds that a command may take to stop before it is told more firmly


def main() -> int | str:
    arguments = _arguments()
    if arguments.user:
        try:
            become(arguments.user)
        except OSError as error:
            return f"root may not become {arguments.user} here ({error}): start as an ordinary user instead"
    # Ctrl-C and SIGTERM may reach a whole group, but the parent decides when it is done with the command.
    # A handler, unlike "ignore", is not inherited by the command.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    return keep(arguments.command, wake, restart=arguments.restart)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def keep(command: list[str], wake: int, *, restart: bool) -> int:
    """Run the command until it ends by itself or the parent is gone; answer its exit status."""
    quick_deaths, well_at = 0, -_RECOVERY
    while True:
        started = time.monotonic()
        child = _spawn(command)
        status = _watch(child, wake)
        if status is None:
            return _stop(child)
        now = time.monotonic()
        if now - started >= _QUICK_DEATH or status < 0:  # it has lived, or was killed
            quick_deaths, well_at = 0, now
        else:
            quick_deaths += 1
        hopeless = quick_deaths >= _MOST_QUICK_DEATHS and now - well_at > _RECOVERY
        if hopeless or not restart:
            return status
        time.sleep(min(0.1 * quick_deaths, 1.0))


def _spawn(command: list[str]) -> int:
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    return os.posix_spawn(command[0], command, os.environ, file_actions=[nothing])


def _watch(child: int, wake: int) -> int | None:
    """The child's exit status, or None when the parent is gone and the child lives."""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if 0 in ready:
            return None
        os.read(wake, 4096)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)


def _stop(child: int) -> int:
    """PostgreSQL takes SIGINT as "finish now, cleanly" and SIGQUIT as "drop all, recover later"."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)
        patience = time.monotonic() + _PATIENCE
        while time.monotonic() < patience:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
    return 1


def become(name: str) -> None:
    """Turn from root into an ordinary user who may still reach the files that root could reach."""
    user = pwd.getpwnam(name)
    if sys.platform == "linux":
        _call("prctl", _KEEP_CAPABILITIES, 1, 0, 0, 0)
        # Without it access(2), by which PostgreSQL looks for its programs, takes no notice of capabilities.
        with contextlib.suppress(OSError):
            _call("prctl", _SET_SECURE_BITS, _NO_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if sys.platform == "linux":
        _keep_file_access()


def _keep_file_access() -> None:
    wanted = 1 << _DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    # effective, permitted, inheritable for capabilities 0-31, then for 32-63
    data = (ctypes.c_uint32 * 6)(wanted, wanted, wanted, 0, 0, 0)
    _call("capset", ctypes.byref(header), ctypes.byref(data))
    _call("prctl", _AMBIENT, _AMBIENT_RAISE, _DAC_OVERRIDE, 0, 0)


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = (ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)
    if getattr(libc, name)(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    sys.exit(main())
