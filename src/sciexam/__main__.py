"""`python -m sciexam`: the command line, where the command itself is not on the path."""

from sciexam.cli import main

if __name__ == "__main__":
    main()
