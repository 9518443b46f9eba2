#!/usr/bin/env bash
# Score a library with a model, once row for row and once as a ranked list of the best.
# A run that was interrupted goes on with --resume.
set -euo pipefail
library=${1:-data/example_library.smi}
model=${2:-example-model}
out=${3:-.}

molft screen "$library" --model "$model" -o "$out/all.csv"
molft screen "$library" --model "$model" -o "$out/best.csv" --top 10
cat "$out/best.csv"
