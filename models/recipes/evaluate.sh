#!/bin/sh
# Measures the bundled taggers on the dev data, beside their goals:
#   sh evaluate.sh --data DIR [--models DIR]
# DIR of --models has directories pos-en, ner-en, language and sentiment-en; without it the bundled
# ones are measured. Exits with 1 if a goal is missed.
needs="pos-ud-ewt ner-uner-ewt ner-wikigold language-ntrex class-polarity"
. "$(dirname -- "$0")/recipe.sh"

case $# in
  0) ;;
  2) [ "$1" = --models ] || refuse "[$1] is unknown, expected --models"
    models=$2 ;;
  *) refuse "[$*] is left over, expected --data DIR [--models DIR]" ;;
esac

# Awk then counts bytes, and reads numbers as JSON writes them.
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# Keeps the answer of a command, whose progress and tables are only of interest if it fails.
measure() {
  answer=$(lanewise "$@" 2> "$work/err") || {
    cat "$work/err" >&2
    exit 2
  }
}

# Prints the first number of that name in the answer.
number() {
  printf '%s\n' "$answer" |
    awk -v key="\"$1\":" '{ print substr($0, index($0, key) + length(key)) + 0 }'
}

# Row of the table: model, what, value, unit (% or nothing), goal as [>= 5], [<= 5] or nothing.
missed=0
row() {
  awk -v model="$1" -v what="$2" -v value="$3" -v unit="$4" -v goal="$5" 'BEGIN {
    if (unit == "%") { value *= 100 }
    split(goal, bound, " ")
    met = bound[1] == "<=" ? value <= bound[2] : value >= bound[2]
    format = unit == "%" ? "%.2f %%" : "%d"
    printf "%-13s %-49s %10s %11s  %s\n", model, what, sprintf(format, value),
      goal == "" ? "" : goal unit, goal == "" ? "" : met ? "met" : "MISSED"
    exit goal != "" && !met
  }' || missed=$((missed + 1))
}

printf '%-13s %-49s %10s %11s\n' model measured result goal

pos=$data/pos-ud-ewt/dev.tsv
measure evaluate --model "$models/pos-en" --data "$pos"
row pos-en "accuracy, UD EWT dev" "$(number accuracy)" % ">= 94.8"
measure evaluate --model "$models/pos-en" --data "$pos" --raw
row pos-en "F1 of words and tags, from raw text" "$(number f1)" % ""
answer=${answer#*'"words":'}
row pos-en "F1 of words alone, from raw text" "$(number f1)" % ""
sed -n 's/^# text = //p' "$pos" > "$work/texts"
measure bench --model "$models/pos-en" --threads 1 --texts "$work/texts"
row pos-en "words/s, one thread" "$(number tokens_per_second)" "" ">= 20000"

measure evaluate --model "$models/ner-en" --data "$data/ner-uner-ewt/dev.tsv" --labels PER,ORG,LOC
row ner-en "span F1 of PER, ORG, LOC, UNER EWT dev" "$(number f1)" % ">= 60"
measure evaluate --model "$models/ner-en" --data "$data/ner-wikigold/dev.tsv"
row ner-en "span F1, wikigold dev" "$(number f1)" % ">= 72"

gzip -dc "$data/language-ntrex/dev.tsv.gz" > "$work/lines.tsv"
measure evaluate --model "$models/language" --data "$work/lines.tsv"
row language "accuracy, NTREX dev lines" "$(number accuracy)" % ">= 96"
# A character of UTF-8 is one byte and all bytes from 128 to 191 behind it.
awk -v behind="$(printf '[\200-\277]')" -F '\t' '{
  text = substr($0, length($1) + 2)
  end = 0
  for (left = 40; left > 0 && end < length(text); left--) {
    end++
    while (substr(text, end + 1, 1) ~ behind) { end++ }
  }
  print $1 FS substr(text, 1, end)
}' "$work/lines.tsv" > "$work/begins.tsv"
measure evaluate --model "$models/language" --data "$work/begins.tsv"
row language "accuracy, their first 40 characters" "$(number accuracy)" % ">= 88"

measure evaluate --model "$models/sentiment-en" --data "$data/class-polarity/dev.tsv"
row sentiment-en "accuracy, polarity dev" "$(number accuracy)" % ">= 77"

for model in pos-en ner-en language sentiment-en; do
  row "$model" "bytes of its directory" \
    "$(find "$models/$model" -type f -exec cat {} + | wc -c)" "" "<= 4000000"
done

[ "$missed" -eq 0 ] || {
  echo "$missed missed" >&2
  exit 1
}
