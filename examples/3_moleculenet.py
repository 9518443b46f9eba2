"""Score a MoleculeNet set on the scaffold split of the SNAP papers, from raw file to ROC-AUC.

    python examples/3_moleculenet.py bbbp --data-dir FOLDER

The set is taken from the folder (or $MOLFT_DATA/moleculenet), or downloaded and checked. Molecules are
read as they are: no salts are stripped, and the split is checked against the published one. On the
command line it is ``molft reproduce bbbp``, which can do more (its own protocol or that of the paper).
"""

import argparse

from molft.use.console import ConsoleReporter
from molft.use.protocols import Setting
from molft.use.reproduce import reproduce
from molft.use.reproduce_table import results_table, summarize


def main() -> None:
    """Fine-tune the shipped encoder with a few seeds and print the table beside published numbers."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("name", help="bbbp, bace, clintox, sider, tox21, ...")
    options.add_argument("--data-dir")
    options.add_argument("--out", default="moleculenet")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int)
    options.add_argument("--rows", type=int, help="only the first rows, to try it out")
    chosen = options.parse_args()
    with ConsoleReporter() as reporter:
        records = reproduce(
            [chosen.name],
            chosen.out,
            Setting(epochs=chosen.epochs),
            seeds=chosen.seeds,
            data_dir=chosen.data_dir,
            rows=chosen.rows,
            reporter=reporter,
        )
        reporter.console.print(results_table(summarize(records)))


if __name__ == "__main__":
    main()
