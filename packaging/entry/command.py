"""The bundle's command line, `mgeldm`."""

import multiprocessing

from mgeldm.cli import run

multiprocessing.freeze_support()
run()
