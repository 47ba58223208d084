/* SPDX-License-Identifier: MIT */
#include "trust/quorum.h"

/* Returns true if no store before this one says the same share and k. */
static bool is_first(const struct store_voice voices[], size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (voices[i].share == voices[place].share && voices[i].required == voices[place].required)
            return false;
    }
    return true;
}

/* How many different shares say each k. */
static void count_shares(const struct store_voice voices[], size_t count, unsigned shares[256])
{
    for (size_t i = 0; i < count; i++)
        shares[voices[i].required] += voices[i].share >= 0 && is_first(voices, i);
}

static unsigned count_votes(const struct store_voice voices[], size_t count)
{
    bool seen[256] = {false};
    unsigned votes = 0;

    for (size_t i = 0; i < count; i++) {
        if (voices[i].share < 0 || seen[voices[i].share])
            continue;
        seen[voices[i].share] = true;
        votes++;
    }
    return votes;
}

/* Returns true if stores of two different shares have files of this k. */
static bool is_used_twice(const struct store_voice voices[], size_t count, unsigned k)
{
    int first = NO_VOTE;

    for (size_t i = 0; i < count; i++) {
        if (voices[i].share < 0 || !voices[i].uses[k] || voices[i].share == first)
            continue;
        if (first != NO_VOTE)
            return true;
        first = voices[i].share;
    }
    return false;
}

void quorum_settle(const struct store_voice voices[], size_t count, unsigned given,
                   struct quorum *ret)
{
    struct quorum quorum = {.required = given, .given = given > 0};
    unsigned shares[256] = {0}, most = 0;

    for (size_t i = 0; i < count; i++) {
        quorum.found += voices[i].share < 0 ? voices[i].has_files : is_first(voices, i);
        quorum.with_names += voices[i].has_names;
        quorum.with_files += voices[i].has_files;
        quorum.with_vote += voices[i].share >= 0;
    }
    quorum.no_files = quorum.with_files == 0;
    quorum.found = quorum.no_files ? quorum.with_names : quorum.found;
    quorum.votes = quorum.no_files ? (unsigned)quorum.with_names : count_votes(voices, count);
    count_shares(voices, count, shares);
    for (unsigned k = 1; k < 256; k++) {
        if (shares[k] > 0 && shares[k] >= most) {
            most = shares[k];
            quorum.commonest = k;
        }
        if (is_used_twice(voices, count, k))
            quorum.largest_k = k;
    }
    if (!given && quorum.no_files)
        quorum.required = quorum.votes / 2 + 1;
    else if (!given && 2 * quorum.with_vote > quorum.with_files)
        quorum.required = quorum.commonest;
    *ret = quorum;
}

/*
 * Returns true if the store says that it holds shares of that format and k: one intact header does
 * where a format has checks; bytes that look like the others come by chance, and most files have
 * to.
 */
static bool says(const struct store_voice *voice, enum share_format format, unsigned k)
{
    const struct format_voice *own = &voice->as[format];

    return own->share >= 0 && own->required == k &&
           (formats[format]->has_checks || 2 * own->agreeing > voice->looked_at);
}

/* The most different shares of one k that the stores hold in a format, of those k that are LEAST or
 * more; ENOUGH: and that they reach. */
static unsigned count_shares_as(const struct store_voice voices[], size_t count,
                                enum share_format format, unsigned least, bool enough)
{
    unsigned most = 0;

    for (unsigned k = least; k < 256; k++) {
        bool seen[256] = {false};
        unsigned shares = 0;
        for (size_t i = 0; i < count; i++) {
            if (!says(&voices[i], format, k) || seen[voices[i].as[format].share])
                continue;
            seen[voices[i].as[format].share] = true;
            shares++;
        }
        if ((shares >= k || !enough) && shares > most)
            most = shares;
    }
    return most;
}

enum share_format quorum_format(const struct store_voice voices[], size_t count,
                                enum share_format format)
{
    unsigned most = count_shares_as(voices, count, format, 1, false);
    enum share_format best = format;

    for (enum share_format other = 0; other < SHARE_FORMATS; other++) {
        unsigned shares = other == format ? 0 : count_shares_as(voices, count, other, 2, true);
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

static bool is_same_owner(const struct one_mode *one, const struct stat *status)
{
    return one->uid == status->st_uid && one->gid == status->st_gid;
}

static bool is_same_mode(const struct one_mode *one, const struct stat *status)
{
    return is_same_owner(one, status) && one->mode == (status->st_mode & 07777);
}

void one_mode_note(struct one_mode *one, const struct stat *status)
{
    if (!one->any)
        *one =
            (struct one_mode){true, false, status->st_mode & 07777, status->st_uid, status->st_gid};
    one->differ |= !is_same_mode(one, status);
}

bool store_voice_keeps_no_modes(const struct store_voice *voice, const struct stat *status)
{
    const struct one_mode *one = S_ISDIR(status->st_mode) ? &voice->directories : &voice->files;

    if (!one->any || voice->files.differ || voice->directories.differ)
        return false;
    /* The mode of a symlink is the same everywhere. */
    return S_ISLNK(status->st_mode) ? is_same_owner(one, status) : is_same_mode(one, status);
}
