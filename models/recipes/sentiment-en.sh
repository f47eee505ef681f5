#!/bin/sh
# Trains sentiment-en:
#   sh sentiment-en.sh --data DIR [--out DIR] [more options of lanewise train classifier]
needs=class-polarity
. "$(dirname -- "$0")/recipe.sh"

lanewise train classifier \
  --train "$data/class-polarity/train.tsv" \
  --dev "$data/class-polarity/dev.tsv" \
  --out "$out" \
  --license apache-2.0 \
  --encoder lanewise-mini-en --encoder-layers 3,4 \
  --word-size 50 --lowercase --character-size 0 \
  --hidden-size 64 --head max \
  --input-dropout 0.5 --state-dropout 0.5 --word-dropout 0.2 \
  --epochs 7 --batch-texts 32 --batch-words 4000 --learning-rate 0.002 --averaging 0.999 \
  "$@"
