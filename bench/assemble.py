"""How long an assembly takes: see assembling/turns.py.

python bench/assemble.py --size 8 --format kernel+initrd
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from bench.assembling.turns import main

main()
