"""`python -m vllm.entrypoints.cli.main serve ...`: the dialect server of tests/vllm_server.py, as a process."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from vllm_server import serve

if __name__ == "__main__":
    assert sys.argv[1] == "serve", sys.argv
    serve(sys.argv[2:])
