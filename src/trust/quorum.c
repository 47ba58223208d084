/* SPDX-License-Identifier: MIT */
#include "trust/quorum.h"

/* Different shares of which stores have files of this k, MOSTLY: most of their files. */
static unsigned count_shares(const struct store_voice voices[], size_t count, unsigned k,
                             bool mostly)
{
    bool seen[256] = {false};
    unsigned shares = 0;

    for (size_t i = 0; i < count; i++)
        shares += voices[i].share >= 0 && (mostly ? voices[i].required == k : voices[i].uses[k]) &&
                  is_first_of(seen, voices[i].share);
    return shares;
}

void quorum_settle(const struct store_voice voices[], size_t count, unsigned given,
                   struct quorum *ret)
{
    struct quorum quorum = {.required = given, .given = given > 0};
    unsigned most = 0;
    bool seen[256] = {false};

    for (size_t i = 0; i < count; i++) {
        quorum.found += voices[i].share < 0 && voices[i].has_files;
        quorum.votes += voices[i].share >= 0 && is_first_of(seen, voices[i].share);
        quorum.with_names += voices[i].has_names;
        quorum.with_files += voices[i].has_files;
        quorum.with_vote += voices[i].share >= 0;
    }
    for (unsigned k = 1; k < 256; k++) {
        unsigned shares = count_shares(voices, count, k, true);
        quorum.found += shares;
        if (shares > 0 && shares >= most) {
            most = shares;
            quorum.commonest = k;
        }
        if (count_shares(voices, count, k, false) > 1)
            quorum.largest_k = k;
    }
    quorum.no_files = quorum.with_files == 0;
    if (quorum.no_files) {
        quorum.found = quorum.with_names;
        quorum.votes = (unsigned)quorum.with_names;
    }
    if (!given && quorum.no_files)
        quorum.required = quorum.votes / 2 + 1;
    else if (!given && 2 * quorum.with_vote > quorum.with_files)
        quorum.required = quorum.commonest;
    *ret = quorum;
}

/* The most different shares of one k that the stores hold in a format; ENOUGH: that reach their k,
 * which is above 1. */
static unsigned count_shares_as(const struct store_voice voices[], size_t count,
                                enum share_format format, bool enough)
{
    unsigned most = 0;

    for (unsigned k = enough ? 2 : 1; k < 256; k++) {
        bool seen[256] = {false};
        unsigned shares = 0;
        for (size_t i = 0; i < count; i++) {
            const struct format_voice *as = &voices[i].as[format];
            /* Bytes that look like headers without checks come by chance: most files have to. */
            bool says = as->share >= 0 && as->required == k &&
                        (formats[format]->has_checks || 2 * as->agreeing > voices[i].looked_at);
            shares += says && is_first_of(seen, as->share);
        }
        if ((shares >= k || !enough) && shares > most)
            most = shares;
    }
    return most;
}

enum share_format quorum_format(const struct store_voice voices[], size_t count,
                                enum share_format format)
{
    unsigned most = count_shares_as(voices, count, format, false);
    enum share_format best = format;

    for (enum share_format other = 0; other < SHARE_FORMATS_READ; other++) {
        unsigned shares = other == format ? 0 : count_shares_as(voices, count, other, true);
        if (shares > most) {
            most = shares;
            best = other;
        }
    }
    return best;
}

int quorum_voter(const struct quorum *quorum, const struct store_voice *voice, size_t place)
{
    if (quorum->no_files)
        return voice->has_names ? VOTER_NAMELESS + (int)place : NO_VOTE;
    return voice->share;
}

unsigned quorum_need(const struct quorum *quorum, unsigned own)
{
    return quorum->required > own ? quorum->required : own;
}

static bool is_same(const struct one_mode *one, const struct stat *status, mode_t bits)
{
    return one->uid == status->st_uid && one->gid == status->st_gid &&
           ((one->mode ^ status->st_mode) & bits) == 0;
}

void one_mode_note(struct one_mode *one, const struct stat *status)
{
    if (!one->any)
        *one =
            (struct one_mode){true, false, status->st_mode & 07777, status->st_uid, status->st_gid};
    one->differ |= !is_same(one, status, 07777);
}

bool store_voice_keeps_no_modes(const struct store_voice *voice, const struct stat *status)
{
    const struct one_mode *one = S_ISDIR(status->st_mode) ? &voice->directories : &voice->files;

    /* The mode of a symlink is the same everywhere. */
    return one->any && !voice->files.differ && !voice->directories.differ &&
           is_same(one, status, S_ISLNK(status->st_mode) ? 0 : 07777);
}
