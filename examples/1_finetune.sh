#!/usr/bin/env bash
# Fine-tune on an assay table. SMILES and label columns are found, and the guess is printed;
# name them with --smiles-column and --target-columns where the guess is wrong.
set -euo pipefail
assay=${1:-data/example_assay.csv}
model=${2:-example-model}

molft finetune "$assay" -o "$model" --target-columns pIC50 --epochs "${EPOCHS:-20}" --seed 0
molft info "$model"
