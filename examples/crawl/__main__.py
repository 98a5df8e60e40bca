"""A crawl with two pools, one for HTTP and one for the database: python examples/crawl --help."""

import sys

# Ctrl-C may come while the imports behind `command` are still running.
try:
    from command import main

    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
