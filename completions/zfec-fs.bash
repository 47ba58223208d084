# SPDX-License-Identifier: MIT
# Completion of zfec-fs for bash, with the functions of bash-completion.

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

# The list behind -o, of which $cur is all; $1 is what stands before it in the word.
_zfec_fs_mount_options()
{
    local list=${cur#"$1"} last
    last=${list##*,}
    local before=$1${list%"$last"}

    case $last in
    source=* | store=*)
        _zfec_fs_paths "$before${last%%=*}=" -d
        ;;
    exclude_from=*)
        _zfec_fs_paths "$before${last%%=*}="
        ;;
    format=*)
        _zfec_fs_words "$before${last%%=*}=" 'checked classic fec'
        ;;
    block_size=*)
        _zfec_fs_words "$before${last%%=*}=" '4K 8K 16K 32K 64K 128K 256K 512K 1M'
        ;;
    cache=*)
        _zfec_fs_words "$before${last%%=*}=" 'yes no'
        ;;
    torn=*)
        _zfec_fs_words "$before${last%%=*}=" 'allow error'
        ;;
    *=*) ;;
    *)
        _zfec_fs_words "$before" 'required= shares= source= restore rebuild store=
            store_timeout= unconfirmed format= block_size= exclude= exclude_from= xdev torn=
            attr_timeout= cache= io_uring allow_other allow_root auto_unmount
            default_permissions fsname='
        ;;
    esac
}

_zfec_fs_mount()
{
    if [ "$prev" = -o ]; then
        _zfec_fs_mount_options ''
    elif [[ $cur == -o* ]]; then
        _zfec_fs_mount_options -o
    elif [[ $cur == -* ]]; then
        _zfec_fs_words '' '-o -f -d -s -h --help -V --version'
    else
        _filedir -d
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

_zfec_fs_command()
{
    local options='-j --jobs -q --quiet -v --verbose --json --log-file -h --help'

    case $prev in
    --format)
        _zfec_fs_words '' 'checked classic fec'
        return
        ;;
    --block-size)
        _zfec_fs_words '' '4K 8K 16K 32K 64K 128K 256K 512K 1M'
        return
        ;;
    --torn)
        _zfec_fs_words '' 'allow error'
        return
        ;;
    --to | --add)
        [[ $cur != *=* ]] || _zfec_fs_paths "${cur%%=*}=" -d
        return
        ;;
    --store)
        _filedir -d
        return
        ;;
    --exclude-from | --log-file | --report | --config)
        _filedir
        return
        ;;
    -k | --required | -n | --count | -j | --jobs | --shares | --sample | --exclude | --verify | \
        --store-timeout)
        return
        ;;
    esac
    if [ "$1 $prev" = 'sync -c' ]; then
        _filedir
        return
    fi
    # A value that is given to a switch.
    ! $split || return 0

    case $1 in
    encode)
        options+=' -n --count --shares --to --block-size --exclude --exclude-from
            -x --one-file-system --torn -c --checksum --delete --dry-run'
        ;;
    decode)
        options+=' --store --store-timeout --unconfirmed --older --salvage -c --checksum --delete
            --dry-run'
        ;;
    bench)
        options+=' -n --count --block-size'
        ;;
    check)
        options+=' --quick --sample --report --store --store-timeout'
        ;;
    repair)
        options+=' --add --delete --dry-run --store --store-timeout'
        ;;
    sync)
        options+=' -c --config --checksum --verify --dry-run'
        ;;
    esac
    [ "$1" = sync ] || options+=' -k --required --format'
    if [[ $cur == -* ]]; then
        _zfec_fs_words '' "$options"
    elif [ "$1" = info ]; then
        _filedir
    elif [ "$1" = sync ]; then
        _zfec_fs_words '' "$(_zfec_fs_sets)"
    elif [ "$1" != bench ]; then
        _filedir -d
    fi
}

_zfec_fs()
{
    local cur prev words cword split
    local commands='encode decode check repair info sync bench'

    _init_completion -s -n : || return
    if [ "$cword" -gt 1 ] && [[ " $commands " == *" ${words[1]} "* ]]; then
        _zfec_fs_command "${words[1]}"
        return
    fi
    _zfec_fs_mount
    # A command is one only as the first word.
    if [ "$cword" -eq 1 ] && [[ ${words[1]} != -* ]]; then
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$commands" -- "$cur")
    fi
}

complete -F _zfec_fs zfec-fs
