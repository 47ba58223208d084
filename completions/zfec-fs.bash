# SPDX-License-Identifier: MIT
# Completion of zfec-fs for bash, with the functions of bash-completion. Which commands and options
# there are, the program says itself: src/cli/commands.h has what --completion prints.

# Of the word $cur: what is behind $1, of the words $2; or directories or files. Readline replaces
# only what is behind the last = or : of the whole word.
_zfec_fs_words()
{
    cur=${cur#"$1"}
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$cur")
    _zfec_fs_prefix "$1"
}

_zfec_fs_paths()
{
    cur=${cur#"$1"}
    _filedir ${2:+"$2"}
    _zfec_fs_prefix "$1"
}

_zfec_fs_prefix()
{
    local whole=$1$cur breaks=${COMP_WORDBREAKS//[^=:]/} kept=

    [ -z "$breaks" ] || kept=${whole%"${whole##*[$breaks]}"}
    COMPREPLY=("${COMPREPLY[@]/#/"$1"}")
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [ ${#COMPREPLY[@]} -eq 1 ] && [[ ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}

# A value of the kind $1; $2 is what stands before it in the word.
_zfec_fs_value()
{
    case $1 in
    DIR) _zfec_fs_paths "$2" -d ;;
    FILE) _zfec_fs_paths "$2" ;;
    NN=DIR) [[ $cur != *=* ]] || _zfec_fs_paths "${cur%%=*}=" -d ;;
    SET) _zfec_fs_words "$2" "$(_zfec_fs_sets)" ;;
    OPT*) _zfec_fs_mount_options "$2" ;;
    *' '*) _zfec_fs_words "$2" "$1" ;;
    esac
}

# The list behind -o, of which $cur is all; $1 is what stands before it in the word.
_zfec_fs_mount_options()
{
    local list=${cur#"$1"} place name value kind='' names=''
    local last=${list##*,}
    local before=$1${list%"$last"}

    while IFS=$'\t' read -r place name value _; do
        [ "$place" = -o ] || continue
        [ "$value" = - ] || name+='='
        names+=" $name"
        [[ $name != *= || $last != "$name"* ]] || kind=$value
    done < <(command zfec-fs --completion 2>/dev/null)
    if [ -n "$kind" ]; then
        _zfec_fs_value "$kind" "$before${last%%=*}="
    elif [[ $last != *=* ]]; then
        _zfec_fs_words "$before" "$names"
    fi
}

# The names of the sets in the file that the line has, or the default one.
_zfec_fs_sets()
{
    local file=${XDG_CONFIG_HOME:-$HOME/.config}/zfec-fs/sets.ini i
    [ "$EUID" -ne 0 ] || file=/etc/zfec-fs/sets.ini
    for ((i = 2; i + 1 < ${#words[@]}; i++)); do
        case ${words[i]} in
        -c | --config) file=${words[i + 1]} ;;
        esac
    done
    sed -n 's|^[[:space:]]*\[\([^]/]*\)\].*|\1|p' "$file" 2>/dev/null
}

_zfec_fs()
{
    local cur prev words cword split
    local line lines command=mount commands='' options='' takes=DIR kind='' place names value

    _init_completion -s -n : || return
    mapfile -t lines < <(command zfec-fs --completion 2>/dev/null)
    for line in "${lines[@]}"; do
        IFS=$'\t' read -r place names value _ <<<"$line"
        case $place in
        commands)
            commands+=" $names"
            # A command is one only as the first word.
            if [ "$cword" -gt 1 ] && [ "${words[1]}" = "$names" ]; then
                command=$names takes=$value
            fi
            ;;
        "$command")
            options+=" ${names//,/ }"
            [[ ,$names, != *",$prev,"* || $value = - ]] || kind=$value
            ;;
        esac
    done
    if [ -n "$kind" ]; then
        _zfec_fs_value "$kind" ''
    elif $split; then
        : # a value that is given to a switch
    elif [[ $command = mount && $cur == -o* ]]; then
        _zfec_fs_mount_options -o
    elif [[ $cur == -* ]]; then
        _zfec_fs_words '' "$options"
    else
        _zfec_fs_value "$takes" ''
        [ "$cword" -ne 1 ] ||
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$commands" -- "$cur")
    fi
}

complete -F _zfec_fs zfec-fs
