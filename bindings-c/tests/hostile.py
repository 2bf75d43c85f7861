"""The corpus of hostile input that every language must judge alike, through the C interface."""

import json
import os
import sys

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "../examples/c"))
from lavoro_ctypes import Client, Error


