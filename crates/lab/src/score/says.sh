#!/bin/sh
# Stands in for ntpscope in tests: says what the evidence tells it to, as with a claimed fault; 3 where it can see the truth.
[ -e "$4/truth.json" ] && exit 3
cat "$4/report.json"
exit 1
