#!/bin/sh
# What git runs for notebooks, see .gitconfig; always from the top folder of the clone.
#
#   sh .gitfilter.sh clean NAME    standard input without its outputs, to standard output
#   sh .gitfilter.sh show FILE     the same for a file, to be looked at
#
# nbstripout belongs to the environment of the course: it is in .venv, or on the PATH while an
# environment is active. Where it is neither, notebooks stay as they are, and a line says so.
mode=$1
name=$2

for tool in .venv/bin/nbstripout .venv/Scripts/nbstripout.exe nbstripout; do
    command -v "$tool" >/dev/null || continue
    if [ "$mode" = show ]; then
        "$tool" --keep-id -t "$name" && exit
    else
        "$tool" --keep-id && exit
        status=$?
        # 126 and 127: it could not be started, as after its folder was moved, and read nothing.
        [ $status -eq 126 ] || [ $status -eq 127 ] || exit $status
    fi
done

if [ "$mode" = show ]; then
    cat "$name"
else
    echo "warning: nbstripout was not found, so $name keeps its outputs;" \
        "activate the environment of the course, then: git add --renormalize ." >&2
    cat
fi
