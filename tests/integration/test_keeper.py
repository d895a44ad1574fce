"""What the process between us and the database may do, once it is no longer root."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import os, sys
from agent_memory.adapters.postgres.keeper import become
become("nobody")
print(os.geteuid() != 0, os.access(sys.argv[1], os.X_OK), open(sys.argv[1]).read())
"""


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root becomes someone else")
def test_programs_in_roots_private_folders_can_be_found(tmp_path):
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.write_text("found")
    program.chmod(0o755)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, str(program)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
    assert told.split() == ["True", "True", "found"]
