"""One of the processes that torchrun starts: `python -m sciexam.train FOLDER [UNTIL]` trains the job in a folder."""

import sys
from pathlib import Path

from sciexam.errors import SciexamError
from sciexam.train.fitting import fit_here
from sciexam.train.job import read_job

if __name__ == "__main__":
    try:
        fit_here(read_job(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else None)
    except SciexamError as error:
        print(f"sciexam: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
