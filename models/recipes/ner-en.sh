#!/bin/sh
# Trains ner-en: sh ner-en.sh --data DIR [--out DIR] [more options of lanewise train tagger]
needs="ner-wikigold ner-broad-twitter ner-wnut17 ner-crossner ner-uner-ewt"
. "$(dirname -- "$0")/recipe.sh"

# "$@" carries all options, those of the caller last, because a path may have spaces.
set -- \
  --dev "$data/ner-wikigold/dev.tsv" \
  --dev "$data/ner-uner-ewt/dev.tsv" \
  --label-map "$(dirname -- "$0")/ner-en.labels.tsv" \
  --out "$out" \
  --license apache-2.0 \
  --encoder lanewise-mini-en --encoder-layers 4 \
  --word-size 50 --lowercase --character-size 25 --character-hidden-size 25 \
  --hidden-size 160 --head crf \
  --input-dropout 0.5 --state-dropout 0.6 --word-dropout 0.2 \
  --epochs 10 --patience 10 --batch-texts 32 --learning-rate 0.003 --max-norm 5 \
  "$@"
for domain in science politics music literature ai; do
  set -- --train "$data/ner-crossner/$domain-train.tsv" \
    --train "$data/ner-crossner/$domain-dev.tsv" "$@"
done
set -- --train "$data/ner-wnut17/train.tsv" --train "$data/ner-wnut17/dev.tsv" "$@"
for part in h g e b a; do
  set -- --train "$data/ner-broad-twitter/$part.tsv" "$@"
done
# Wikigold is small and the nearest to what the model is for: it counts three times.
for _ in 1 2 3; do
  set -- --train "$data/ner-wikigold/train.tsv" "$@"
done

lanewise train tagger "$@"
