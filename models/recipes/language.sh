#!/bin/sh
# Trains language: sh language.sh --data DIR [--out DIR] [more options of lanewise train classifier]
needs=language-ntrex
. "$(dirname -- "$0")/recipe.sh"

# Random pieces of 20 to 140 characters teach it texts that are shorter than sentences.
lanewise train classifier \
  --train "$data/language-ntrex/train.tsv.gz" \
  --dev "$data/language-ntrex/dev.tsv.gz" \
  --out "$out" \
  --license cc-by-sa-4.0 \
  --unit character --word-size 48 --no-lowercase --character-size 0 \
  --hidden-size 128 --head max \
  --crop 20-140 \
  --input-dropout 0.1 --state-dropout 0.2 \
  --epochs 6 --batch-texts 64 --batch-words 8000 --learning-rate 0.003 \
  "$@"
