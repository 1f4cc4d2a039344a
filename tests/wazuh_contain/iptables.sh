#!/bin/sh
# A stand-in for iptables and ip6tables that keeps its rules in a file beside it, a line `CHAIN` for each chain and a line
# `CHAIN RULE` for each rule. It knows the calls that portcullis-contain makes and answers as iptables does. Calls that hold
# a line of the file `fails` fail; those that hold a line of `lies` answer 0 and do nothing. After as many calls as
# `dies_after` says, who calls is killed. It starts no process, for it is started some hundred times in a test.

set -f
dir=${0%/*}
name=${0##*/}
table=$dir/$name.rules

complain() {
    echo "$name: $1" >&2
    exit 1
}

# Whether a line of a file is a part of the call.
is_named() {
    [ -f "$dir/$1" ] || return 1
    while read -r part; do
        case $call in *"$part"*) return 0 ;; esac
    done <"$dir/$1"
    return 1
}

# The rule as iptables lists it: an address with its length.
as_listed() {
    rule=$chain
    before=
    for word; do
        case $before in -s | -d) word=$word$length ;; esac
        rule="$rule $word"
        before=$word
    done
}

die_in_time() {
    [ -f "$dir/dies_after" ] || return 0
    count=0
    while read -r _; do count=$((count + 1)); done <"$dir/calls"
    read -r most <"$dir/dies_after"
    [ "$count" -ne "$most" ] || kill -9 "$PPID"
}

exists() {
    case $1 in INPUT | FORWARD | OUTPUT) return 0 ;; esac
    while read -r line; do
        case $line in "$1" | "$1 "*) return 0 ;; esac
    done <"$table"
    return 1
}

list() {
    printf -- '-P %s ACCEPT\n' INPUT FORWARD OUTPUT
    while read -r line; do
        case $line in
        INPUT | FORWARD | OUTPUT) ;;
        *" "*) echo "-A $line" ;;
        *) echo "-N $line" ;;
        esac
    done <"$table"
}

# Writes the table anew, without the first line that is the rule, or without all that begin with a word.
without() {
    is_left=1
    while read -r line; do
        case $1 in
        rule) if [ "$is_left" = 1 ] && [ "$line" = "$2" ]; then is_left=0; continue; fi ;;
        chain) case $line in "$2 "*) continue ;; esac ;;
        name) [ "$line" != "$2" ] || continue ;;
        esac
        echo "$line"
    done <"$table" >"$table.new"
    read_back "$table.new" >"$table"
}

read_back() {
    while read -r line; do echo "$line"; done <"$1"
}

has_rule() {
    while read -r line; do
        [ "$line" != "$rule" ] || return 0
    done <"$table"
    return 1
}

act() {
    letter=$1
    chain=$2
    if [ "$letter" = -S ]; then
        list
        return
    fi
    shift 2
    [ "$letter" != -I ] || shift
    as_listed "$@"
    if [ "$letter" = -N ]; then
        ! exists "$chain" || complain "Chain already exists."
        echo "$chain" >>"$table"
        return
    fi
    exists "$chain" || complain "No chain/target/match by that name."
    case $letter in
    -A) echo "$rule" >>"$table" ;;
    -I) { echo "$rule"; read_back "$table"; } >"$table.new" && read_back "$table.new" >"$table" ;;
    -C) has_rule || complain "Bad rule (does a matching rule exist in that chain?)." ;;
    -D) has_rule && without rule "$rule" ;;
    -F) without chain "$chain" ;;
    -X)
        while read -r line; do
            case $line in "$chain "* | *" -j $chain") complain "Directory not empty." ;; esac
        done <"$table"
        without name "$chain"
        ;;
    *) complain "unknown option $letter" ;;
    esac
}

[ "$1 $2" = "-w 10" ] || complain "called without waiting for the lock: $*"
shift 2
call="$name $*"
case $name in ip6tables) length=/128 ;; *) length=/32 ;; esac
[ -f "$table" ] || printf '%s\n' INPUT FORWARD OUTPUT >"$table"
echo "$call" >>"$dir/calls"
if is_named fails; then
    echo "$name: {\"data\":{\"srcip\":\"x\"}} Permission denied" >&2
    exit 4
fi
is_named lies || act "$@"
die_in_time
