"""`python -m flipbook`: what ./run_all.sh runs once there is an environment."""

import sys

from companion.runner.cli import main

if __name__ == "__main__":
    sys.exit(main())
