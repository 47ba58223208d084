# SPDX-License-Identifier: MIT
# Completion of zfec-fs for fish. Which commands and options there are, the program says itself:
# src/cli/commands.h has what --completion prints.

# Whether the line is of this command, which is one only as the first word, or of a mount.
function __zfec_fs_is
    set -l command mount
    set -l words (commandline -opc)
    contains -- "$words[2]" $__zfec_fs_commands; and set command $words[2]
    test $command = $argv[1]
end

function __zfec_fs_is_first
    test (count (commandline -opc)) -eq 1
end

# The names of the sets in the file that the line has, or the default one.
function __zfec_fs_sets
    set -q XDG_CONFIG_HOME; or set -l XDG_CONFIG_HOME ~/.config
    set -l file $XDG_CONFIG_HOME/zfec-fs/sets.ini
    test (id -u) -ne 0; or set file /etc/zfec-fs/sets.ini
    set -l words (commandline -opc)
    for i in (seq (count $words))
        contains -- $words[$i] -c --config; and set file $words[(math $i + 1)]
    end
    test -r $file; and string match -rg '^\s*\[([^]/]*)\]' <$file
end

# NN=DIR
function __zfec_fs_places
    set -l word (commandline -ct | string replace -r -- '^--(to|add)=' '')
    set -l index (string match -r '^[0-9a-f]{2}=' -- $word)
    and printf '%s\n' $index(__fish_complete_directories (string replace -- $index '' $word) '')
end

# The list behind -o: options, or the values of the last one.
function __zfec_fs_mount_options
    set -l list (commandline -ct | string replace -r '^-o' '')
    set -l before (string match -r '^.*,' -- $list)
    set -l last (string replace -r '^.*,' '' -- $list)
    set -l name (string match -r '^[a-z_]+=' -- $last)
    set -l value (string replace -r '^[a-z_]+=' '' -- $last)
    for line in (command zfec-fs --completion 2>/dev/null)
        set -l fields (string split \t -- $line)
        test $fields[1] = -o; or continue
        test $fields[3] = -; or set fields[2] $fields[2]=
        if test -z "$name"
            printf '%s%s\t%s\n' "$before" $fields[2] $fields[4]
        else if test $fields[2] = $name
            switch $fields[3]
                case DIR
                    printf '%s\n' "$before$name"(__fish_complete_directories "$value" '')
                case FILE
                    printf '%s\n' "$before$name"(__fish_complete_path "$value" '')
                case '* *'
                    printf '%s\n' "$before$name"(string split ' ' -- $fields[3])
            end
        end
    end
end

# Completes a value of the kind that comes first, in the way of complete(1) that follows.
function __zfec_fs_complete_value
    set -l rest -c zfec-fs $argv[2..]
    switch $argv[1]
        case -
            complete $rest
        case DIR
            complete $rest -x -a '(__fish_complete_directories)'
        case FILE
            complete $rest -r -F
        case NN=DIR
            complete $rest -x -a '(__zfec_fs_places)'
        case 'OPT*'
            complete $rest -x -a '(__zfec_fs_mount_options)'
        case '* *'
            complete $rest -x -a $argv[1]
        case '*'
            complete $rest -x
    end
end

set -g __zfec_fs_commands
complete -c zfec-fs -f
complete -c zfec-fs -n '__zfec_fs_is mount' -a '(__fish_complete_directories)'
for line in (command zfec-fs --completion 2>/dev/null)
    set -l fields (string split \t -- $line)
    set -l of -c zfec-fs -n "__zfec_fs_is $fields[1]"
    switch $fields[1]
        case commands
            set -a __zfec_fs_commands $fields[2]
            complete -c zfec-fs -n __zfec_fs_is_first -a $fields[2] -d $fields[4]
            set of -c zfec-fs -n "__zfec_fs_is $fields[2]"
            switch $fields[3]
                case DIR
                    complete $of -a '(__fish_complete_directories)'
                case FILE
                    complete $of -F
                case SET
                    complete $of -a '(__zfec_fs_sets)'
            end
        case -o
        case '*'
            set -l names
            for name in (string split , -- $fields[2])
                string match -q -- '--*' $name
                and set -a names -l (string sub -s 3 -- $name)
                or set -a names -s (string sub -s 2 -- $name)
            end
            __zfec_fs_complete_value $fields[3] -n "__zfec_fs_is $fields[1]" $names -d $fields[4]
    end
end
