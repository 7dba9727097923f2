"""Runs the command in its arguments until standard input ends, or until the command does."""

import subprocess
import sys
import threading

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)


def stop_with_standard_input() -> None:
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()


threading.Thread(target=stop_with_standard_input, daemon=True).start()
sys.exit(child.wait())
