"""The bundle's window program, `mgeldm-desktop`, which is its own engine process too."""

import multiprocessing
import sys

from mgeldm_app.__main__ import main

multiprocessing.freeze_support()
sys.exit(main())
