# SPDX-License-Identifier: MIT
# Completion of zfec-fs for fish.

# Whether the command is one of these. It is one only as the first word.
function __zfec_fs_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __zfec_fs_is_mount
    not __zfec_fs_is encode decode check repair info sync bench
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
    switch "$name"
        case source= store=
            printf '%s\n' "$before$name"(__fish_complete_directories "$value" '')
        case exclude_from=
            printf '%s\n' "$before$name"(__fish_complete_path "$value" '')
        case format=
            printf '%s\n' "$before$name"{checked,classic,fec}
        case block_size=
            printf '%s\n' "$before$name"{4K,8K,16K,32K,64K,128K,256K,512K,1M}
        case cache=
            printf '%s\n' "$before$name"{yes,no}
        case torn=
            printf '%s\n' "$before$name"{allow,error}
        case ''
            printf "$before%s\t%s\n" \
                required= 'shares that are enough to restore' \
                shares= 'shares to show' \
                source= 'the same as the argument SOURCE or STORES' \
                restore 'show the files of the shares in STORES' \
                rebuild 'show shares, made from those in STORES' \
                store= 'one more store' \
                store_timeout= 'seconds until a store is set aside' \
                unconfirmed 'also show names that too few stores have' \
                format= 'format of the shares' \
                block_size= 'block size of the checked format' \
                exclude= 'leave out what matches' \
                exclude_from= 'leave out what matches a line of a file' \
                xdev 'other file systems are empty directories' \
                torn= 'files that change while they are read' \
                attr_timeout= 'seconds that the kernel may keep attributes' \
                cache= 'whether the kernel keeps what was read' \
                io_uring 'take requests by io_uring, if the kernel can' \
                allow_other 'other users may look' \
                allow_root 'root may look' \
                auto_unmount 'unmount when the process ends' \
                default_permissions 'the kernel checks modes' \
                fsname= 'name in the table of mounts'
    end
end

complete -c zfec-fs -f

complete -c zfec-fs -n __zfec_fs_is_first -a encode -d 'make the shares of a directory tree'
complete -c zfec-fs -n __zfec_fs_is_first -a decode -d 'restore files from shares'
complete -c zfec-fs -n __zfec_fs_is_first -a check -d 'say what is damaged, missing or old'
complete -c zfec-fs -n __zfec_fs_is_first -a repair -d 'make missing, damaged and old shares anew'
complete -c zfec-fs -n __zfec_fs_is_first -a info -d 'say what share files are'
complete -c zfec-fs -n __zfec_fs_is_first -a sync -d 'bring the nodes of sets up to date'
complete -c zfec-fs -n __zfec_fs_is_first -a bench \
    -d 'measure the code and the hash of this machine'
complete -c zfec-fs -n 'not __zfec_fs_is info sync bench' -a '(__fish_complete_directories)'
complete -c zfec-fs -n '__zfec_fs_is info' -F

complete -c zfec-fs -n __zfec_fs_is_mount -s o -x -a '(__zfec_fs_mount_options)' \
    -d 'options of the mount'
complete -c zfec-fs -n __zfec_fs_is_mount -s f -d 'stay in the foreground, log to standard error'
complete -c zfec-fs -n __zfec_fs_is_mount -s d -d 'show every request'
complete -c zfec-fs -n __zfec_fs_is_mount -s s -d 'serve one request at a time'
complete -c zfec-fs -n __zfec_fs_is_mount -s V -l version -d 'the version'
complete -c zfec-fs -s h -l help -d help

set -l of_shares '__zfec_fs_is encode decode check repair info bench'
complete -c zfec-fs -n $of_shares -s k -l required -x -d 'shares that are enough to restore'
complete -c zfec-fs -n $of_shares -l format -x -a 'checked classic fec' -d 'format of the shares'
complete -c zfec-fs -n $of_shares -s j -l jobs -x -d threads

set -l all '__zfec_fs_is encode decode check repair info sync bench'
complete -c zfec-fs -n $all -s q -l quiet -d 'only errors'
complete -c zfec-fs -n $all -s v -l verbose -d 'each file'
complete -c zfec-fs -n $all -l json -d 'results as JSON'
complete -c zfec-fs -n $all -l log-file -r -F -d 'write messages to a file as well'

set -l encode '__zfec_fs_is encode'
set -l counting '__zfec_fs_is encode bench'
complete -c zfec-fs -n $counting -s n -l count -x -d 'shares that there are'
complete -c zfec-fs -n $encode -l shares -x -d 'make only these, like 00,03-05'
complete -c zfec-fs -n $encode -l to -x -a '(__zfec_fs_places)' -d 'make share NN in DIR: NN=DIR'
complete -c zfec-fs -n $counting -l block-size -x -a '4K 8K 16K 32K 64K 128K 256K 512K 1M' \
    -d 'block size of the checked format'
complete -c zfec-fs -n $encode -l exclude -x -d 'leave out what matches'
complete -c zfec-fs -n $encode -l exclude-from -r -F -d 'leave out what matches a line of a file'
complete -c zfec-fs -n $encode -s x -l one-file-system -d 'other file systems are empty directories'
complete -c zfec-fs -n $encode -l torn -x -a 'allow error' -d 'files that change while they are read'

complete -c zfec-fs -n '__zfec_fs_is encode decode' -s c -l checksum -d 'compare contents as well'
complete -c zfec-fs -n '__zfec_fs_is encode decode repair' -l delete \
    -d 'remove what should not be there'
complete -c zfec-fs -n '__zfec_fs_is encode decode repair sync' -l dry-run -d 'say what would be done'
complete -c zfec-fs -n '__zfec_fs_is decode check repair' -l store -x \
    -a '(__fish_complete_directories)' -d 'one more store'
complete -c zfec-fs -n '__zfec_fs_is decode check repair' -l store-timeout -x \
    -d 'seconds until a store is set aside'

complete -c zfec-fs -n '__zfec_fs_is decode' -l unconfirmed \
    -d 'also restore names that too few stores have'
complete -c zfec-fs -n '__zfec_fs_is decode' -l older -d 'take an older version of what is damaged'
complete -c zfec-fs -n '__zfec_fs_is decode' -l salvage -d 'write what can be read to NAME.partial'

complete -c zfec-fs -n '__zfec_fs_is check' -l quick -d 'look at presence, sizes and headers only'
complete -c zfec-fs -n '__zfec_fs_is check' -l sample -x -d 'read only a random part of the blocks'
complete -c zfec-fs -n '__zfec_fs_is check' -l report -r -F -d 'write what was found as a web page'

complete -c zfec-fs -n '__zfec_fs_is repair' -l add -x -a '(__zfec_fs_places)' \
    -d 'make share NN in DIR, a new store: NN=DIR'

set -l sync '__zfec_fs_is sync'
complete -c zfec-fs -n $sync -a '(__zfec_fs_sets)'
complete -c zfec-fs -n $sync -s c -l config -r -F -d 'the file of sets'
complete -c zfec-fs -n $sync -l checksum -d 'compare contents, not sizes and times'
complete -c zfec-fs -n $sync -l verify -x -d 'then compare a random part of the files'
complete -c zfec-fs -n $sync -s j -l jobs -x -d 'nodes at once'
