"""`python -m crdtmem` is the command `crdtmem`."""

from crdtmem.cli import main

if __name__ == "__main__":
    main()
