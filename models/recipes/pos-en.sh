#!/bin/sh
# Trains pos-en: sh pos-en.sh --data DIR [--out DIR] [more options of lanewise train tagger]
needs=pos-ud-ewt
. "$(dirname -- "$0")/recipe.sh"

lanewise train tagger \
  --train "$data/pos-ud-ewt/train.tsv" \
  --dev "$data/pos-ud-ewt/dev.tsv" \
  --out "$out" \
  --license cc-by-sa-4.0 \
  --encoder lanewise-mini-en --encoder-layers 0 \
  --word-size 64 --lowercase --character-size 32 --character-hidden-size 64 \
  --hidden-size 192 \
  --input-dropout 0.4 --state-dropout 0.5 --word-dropout 0.1 \
  --epochs 12 --patience 12 --batch-texts 32 --learning-rate 0.003 \
  "$@"
