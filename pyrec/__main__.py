"""`python -m pyrec`: the command line where the script `pyrec` is not on the path."""

from pyrec.cli import main

if __name__ == "__main__":
    main(prog_name="pyrec")
