"""`python -m vista3d`."""

from vista3d.cli.main import main

main()
