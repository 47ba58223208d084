/* SPDX-License-Identifier: MIT */
#include "seal/key_search.h"

#include "base/array.h"
#include "base/bytes.h"
#include "share/secret.h"

#include <string.h>

/* Files that agree on everything that the files of one secret have in common. */
struct voice {
    const struct key_share *first;
    size_t count;                                        /* of distinct files */
    const struct key_share *members[KEY_SHARES_MAX + 1]; /* no two have the same index and value */
    unsigned indices;                                    /* distinct ones */
};

struct hunt {
    const struct key_search *terms;
    struct found_key *files;
    size_t count;
    unsigned required;
    struct passphrase passphrase; /* from ASK */
    bool asked;
    struct master_key *found;
    size_t found_shares; /* distinct shares that gave the key */
    uint64_t found_cost;
    int worst; /* the error to report if nothing opens */
};

static bool is_alike(const struct key_share *a, const struct key_share *b)
{
    return a->required == b->required && a->has_passphrase == b->has_passphrase &&
           memcmp(a->set_id, b->set_id, SET_ID_SIZE) == 0 &&
           memcmp(&a->stretch, &b->stretch, sizeof a->stretch) == 0 &&
           seal_equal(a->check, b->check, SECRET_CHECK_SIZE);
}

static bool is_wanted(const struct hunt *hunt, const struct found_key *file)
{
    const uint8_t *id = hunt->terms->set_id;

    return file->read && (!id || memcmp(id, file->share.set_id, SET_ID_SIZE) == 0);
}

/* Adds SHARE, unless an equal one is there, or there is no room: more are never needed. */
static void add_member(struct voice *voice, const struct key_share *share)
{
    bool same_index = false;

    for (size_t i = 0; i < voice->count; i++) {
        if (voice->members[i]->index != share->index)
            continue;
        same_index = true;
        if (seal_equal(voice->members[i]->value, share->value, KEY_SIZE))
            return;
    }
    if (voice->count == COUNT_OF(voice->members))
        return;
    voice->members[voice->count++] = share;
    voice->indices += !same_index;
}

/* Collects the files that agree with FIRST. Returns false if an earlier file did so already. */
static bool hear(const struct hunt *hunt, size_t first, struct voice *ret)
{
    const struct key_share *share = &hunt->files[first].share;

    *ret = (struct voice){.first = share};
    for (size_t i = 0; i < hunt->count; i++) {
        if (!is_wanted(hunt, &hunt->files[i]) || !is_alike(&hunt->files[i].share, share))
            continue;
        if (i < first)
            return false;
        add_member(ret, &hunt->files[i].share);
    }
    return true;
}

/* Sets K: the given one, or what most files say. */
static int count_required(struct hunt *hunt)
{
    size_t votes[KEY_SHARES_MAX + 1] = {0}, most = 0;
    unsigned second = 0;

    for (size_t i = 0; i < hunt->count; i++) {
        if (is_wanted(hunt, &hunt->files[i]))
            votes[hunt->files[i].share.required]++;
    }
    hunt->required = hunt->terms->required;
    if (hunt->required > 0)
        return 0;
    for (unsigned k = 1; k <= KEY_SHARES_MAX; k++) {
        if (votes[k] == 0 || votes[k] < most)
            continue;
        second = votes[k] == most ? hunt->required : 0;
        most = votes[k];
        hunt->required = k;
    }
    return most == 0 ? -ENODATA : second > 0 ? -EDOM : 0;
}

/* Interpolates the secret of the CHOSEN members. Returns true if it matches its check. */
static bool try_choice(const struct voice *voice, const uint16_t chosen[], uint8_t *secret)
{
    const unsigned required = voice->first->required;
    const uint8_t *values[KEY_SHARES_MAX];
    uint8_t xs[KEY_SHARES_MAX], check[SECRET_CHECK_SIZE];
    static const char label[] = "zfec-fs sealed 1 secret";

    for (unsigned s = 0; s < required; s++) {
        const struct key_share *share = voice->members[chosen[s]];
        if (!share)
            return false;
        xs[s] = (uint8_t)(share->index + 1);
        values[s] = share->value;
    }
    return secret_combine(required, xs, values, KEY_SIZE, secret) == 0 &&
           seal_expand(secret, label, strlen(label), check, sizeof check) == 0 &&
           seal_equal(check, voice->first->check, sizeof check);
}

/* Moves to the next choice of COUNT of TOTAL, in ascending order. Returns false after the last. */
static bool next_choice(uint16_t chosen[], unsigned count, size_t total)
{
    unsigned at = count;

    while (at > 0 && chosen[at - 1] == total - count + at - 1)
        at--;
    if (at == 0)
        return false;
    chosen[at - 1]++;
    for (; at < count; at++)
        chosen[at] = (uint16_t)(chosen[at - 1] + 1);
    return true;
}

/* Chooses COUNT of TOTAL, in random order. */
static void random_choice(uint16_t chosen[], unsigned count, size_t total, uint64_t *state)
{
    uint16_t all[KEY_SHARES_MAX + 1];

    for (size_t i = 0; i < total; i++)
        all[i] = (uint16_t)i;
    for (unsigned i = 0; i < count && i < total; i++) {
        const size_t other = i + (size_t)(mix_bits(++*state) % (total - i));
        chosen[i] = all[other];
        all[other] = all[i];
    }
}

/* Returns C(TOTAL, COUNT), or KEY_SEARCH_TRIES + 1 if that is more. */
static unsigned choices(size_t total, unsigned count)
{
    uint64_t number = 1;

    for (unsigned i = 1; i <= count && number <= KEY_SEARCH_TRIES; i++)
        number = number * (total - count + i) / i;
    return number > KEY_SEARCH_TRIES ? KEY_SEARCH_TRIES + 1 : (unsigned)number;
}

/*
 * Finds the secret that the CHOSEN members agree on. -EBADMSG: there is none, or it was not found.
 */
static int find_secret(const struct voice *voice, uint16_t chosen[KEY_SHARES_MAX], uint8_t *secret)
{
    const unsigned required = voice->first->required, number = choices(voice->count, required);
    uint64_t state;

    int r = seal_random((uint8_t *)&state, sizeof state);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < required; i++)
        chosen[i] = (uint16_t)i;
    for (unsigned tries = 0; tries < KEY_SEARCH_TRIES; tries++) {
        if (number > KEY_SEARCH_TRIES)
            random_choice(chosen, required, voice->count, &state);
        if (try_choice(voice, chosen, secret))
            return 0;
        if (number <= KEY_SEARCH_TRIES && !next_choice(chosen, required, voice->count))
            break;
    }
    return -EBADMSG;
}

/* Derives P from the passphrase, and removes it from the secret. */
static int take_passphrase(struct hunt *hunt, const struct voice *voice, struct master_key *key)
{
    int r = 0;

    if (!hunt->asked) {
        r = hunt->terms->ask ? hunt->terms->ask(hunt->terms->context, &hunt->passphrase) : -ENOKEY;
        hunt->asked = r == 0;
    }
    if (r == 0)
        r = stretch_passphrase(&voice->first->stretch, &hunt->passphrase, key->passphrase_key);
    key->has_passphrase = true;
    key->stretch = voice->first->stretch;
    for (size_t i = 0; i < KEY_SIZE; i++)
        key->master[i] ^= key->passphrase_key[i];
    return r;
}

/* Opens the key of VOICE. Returns as key_search does. */
static int open_voice(struct hunt *hunt, const struct voice *voice, struct master_key **ret)
{
    cleanup_secret struct master_key *key = seal_alloc(sizeof *key);
    uint16_t chosen[KEY_SHARES_MAX];
    uint8_t id[SET_ID_SIZE];

    if (!key)
        return -ENOMEM;
    if (!voice->first->has_passphrase &&
        (hunt->terms->passphrase_given || voice->first->required == 1))
        return -EPERM;
    int r = find_secret(voice, chosen, key->master);
    if (r == 0 && voice->first->has_passphrase)
        r = take_passphrase(hunt, voice, key);
    if (r == 0)
        r = master_key_id(key, id);
    if (r == 0 && !seal_equal(id, voice->first->set_id, SET_ID_SIZE))
        r = voice->first->has_passphrase ? -EKEYREJECTED : -EBADMSG;
    if (r == 0)
        *ret = steal_pointer(key);
    return r;
}

/* Returns the cost of trying a passphrase: 0 if none is needed. */
static uint64_t cost_of(const struct voice *voice)
{
    const struct stretch *stretch = &voice->first->stretch;

    return (uint64_t)stretch->memory_kib * stretch->passes;
}

/*
 * Returns true if VOICE need not be tried any more. If it has fewer shares than the one that
 * opened, it gets no more time than that took, and the user is not asked for a passphrase if that
 * needed none: fewer than K liars could have made it up.
 */
static bool is_decided(const struct hunt *hunt, const struct voice *voice)
{
    return hunt->found && cost_of(voice) > hunt->found_cost &&
           (voice->indices < hunt->found_shares || hunt->found_cost > 0);
}

/* Marks the files of VOICE as opened. */
static void mark_opened(struct hunt *hunt, const struct voice *voice)
{
    for (size_t i = 0; i < hunt->count; i++)
        hunt->files[i].opens |=
            is_wanted(hunt, &hunt->files[i]) && is_alike(&hunt->files[i].share, voice->first);
}

/* Keeps the key of VOICE, if it has one. Of two of one set, the one with more files is kept. */
static int take_voice(struct hunt *hunt, const struct voice *voice)
{
    cleanup_secret struct master_key *key = NULL;

    int r = open_voice(hunt, voice, &key);
    if (r == -EBADMSG || r == -EPERM || r == -EKEYREJECTED) {
        /* A wrong passphrase is the one error that the user can correct. */
        if (hunt->worst != -EKEYREJECTED)
            hunt->worst = r;
        return 0;
    }
    if (r < 0)
        return r;
    mark_opened(hunt, voice);
    if (hunt->found && !seal_equal(hunt->found->master, key->master, KEY_SIZE))
        return -ENOTUNIQ;
    if (!hunt->found) {
        hunt->found = steal_pointer(key);
        hunt->found_shares = voice->indices;
        hunt->found_cost = cost_of(voice);
    }
    return 0;
}

/* Finds, among the voices that have enough files, the largest that is not TAKEN yet; of several as
 * large, the one that is cheapest to try. */
static bool loudest(const struct hunt *hunt, bool *taken, struct voice *scratch, struct voice *ret)
{
    size_t best = hunt->count;

    for (size_t i = 0; i < hunt->count; i++) {
        if (taken[i] || !is_wanted(hunt, &hunt->files[i]) ||
            hunt->files[i].share.required != hunt->required)
            continue;
        if (!hear(hunt, i, scratch) || scratch->indices < hunt->required) {
            taken[i] = true;
            continue;
        }
        if (best == hunt->count || scratch->indices > ret->indices ||
            (scratch->indices == ret->indices && cost_of(scratch) < cost_of(ret))) {
            best = i;
            *ret = *scratch;
        }
    }
    if (best < hunt->count)
        taken[best] = true;
    return best < hunt->count;
}

static int hunt_all(struct hunt *hunt)
{
    cleanup_free bool *taken = calloc(hunt->count + 1, sizeof *taken);
    cleanup_free struct voice *voices = calloc(2, sizeof *voices);
    unsigned stretched = 0;

    if (!taken || !voices)
        return -ENOMEM;
    int r = count_required(hunt);
    while (r == 0 && loudest(hunt, taken, &voices[0], &voices[1])) {
        if (is_decided(hunt, &voices[1]))
            continue;
        stretched += voices[1].first->has_passphrase;
        if (!voices[1].first->has_passphrase || stretched <= KEY_SEARCH_SETS)
            r = take_voice(hunt, &voices[1]);
    }
    return r < 0 || hunt->found ? r : hunt->worst;
}

static void judge(const struct master_key *key, struct found_key *file)
{
    uint8_t id[SET_ID_SIZE];
    const struct key_share *share = &file->share;

    if (!file->read || master_key_id(key, id) < 0)
        return;
    if (memcmp(id, share->set_id, SET_ID_SIZE) != 0)
        file->verdict = KEY_OTHER_SET;
    else if (key_share_is_of(share, key))
        file->verdict = KEY_RIGHT;
    else if (share->has_passphrase != key->has_passphrase ||
             memcmp(&share->stretch, &key->stretch, sizeof share->stretch) != 0)
        file->verdict = KEY_OTHER_TERMS;
    else
        file->verdict = KEY_WRONG;
}

int key_search(const struct key_search *search, struct found_key *files, size_t count,
               struct master_key **ret)
{
    struct hunt hunt = {.terms = search, .files = files, .count = count, .worst = -ENODATA};

    for (size_t i = 0; i < count; i++) {
        files[i].opens = false;
        files[i].verdict = KEY_UNKNOWN;
    }
    int r = hunt_all(&hunt);
    passphrase_clear(&hunt.passphrase);
    for (size_t i = 0; r == 0 && i < count; i++)
        judge(hunt.found, &files[i]);
    if (r == 0)
        *ret = hunt.found;
    else
        seal_free(hunt.found);
    return r;
}

/* Evaluates the polynomial through the CHOSEN members at share INDEX. */
static int value_at(const struct voice *voice, const uint16_t chosen[], uint8_t index,
                    uint8_t ret[KEY_SIZE])
{
    const uint8_t *values[KEY_SHARES_MAX], x = (uint8_t)(index + 1);
    uint8_t xs[KEY_SHARES_MAX];

    for (unsigned s = 0; s < voice->first->required; s++) {
        const struct key_share *share = voice->members[chosen[s]];
        if (share->index == index) {
            memcpy(ret, share->value, KEY_SIZE);
            return 0;
        }
        xs[s] = (uint8_t)(share->index + 1) ^ x;
        values[s] = share->value;
    }
    return secret_combine(voice->first->required, xs, values, KEY_SIZE, ret);
}

/* Finds the only complete voice: sets RET, and the CHOSEN members that give its secret. */
static int find_complete(struct hunt *hunt, struct voice voices[2], struct voice *ret,
                         uint16_t chosen[KEY_SHARES_MAX])
{
    cleanup_free bool *taken = calloc(hunt->count + 1, sizeof *taken);
    cleanup_secret uint8_t *secret = seal_alloc(KEY_SIZE);
    uint16_t found[KEY_SHARES_MAX] = {0};
    int result = -ENODATA;

    if (!taken || !secret)
        return -ENOMEM;
    int r = count_required(hunt);
    while (r == 0 && loudest(hunt, taken, &voices[0], &voices[1])) {
        r = find_secret(&voices[1], found, secret);
        if (r == 0 && result == 0)
            return -ENOTUNIQ;
        if (r == 0) {
            memcpy(chosen, found, sizeof found);
            *ret = voices[1];
        }
        if (result < 0)
            result = r;
        r = r == -EBADMSG ? 0 : r;
    }
    return r < 0 ? r : result;
}

int key_search_rebuild(const struct found_key *files, size_t count, uint8_t index,
                       uint8_t ret[KEY_SHARE_SIZE])
{
    static const struct key_search any = {0};
    struct hunt hunt = {.terms = &any, .files = (struct found_key *)files, .count = count};
    cleanup_free struct voice *voices = calloc(3, sizeof *voices);
    uint16_t chosen[KEY_SHARES_MAX] = {0};
    uint8_t value[KEY_SIZE];

    if (!voices)
        return -ENOMEM;
    if (index >= KEY_SHARES_MAX) /* at KEY_SHARES_MAX lies the secret itself */
        return -EINVAL;
    int r = find_complete(&hunt, voices, &voices[2], chosen);
    if (r == 0)
        r = value_at(&voices[2], chosen, index, value);
    if (r == 0)
        key_share_like(voices[2].first, index, value, ret);
    explicit_bzero(value, sizeof value);
    return r;
}

/*
 * Returns true if the files of VOICE, which has a passphrase, were made with MASTER: only MASTER
 * gives the polynomial's other terms. With k = 1 there are none.
 */
static bool is_made_with(const struct voice *voice, const uint8_t master[KEY_SIZE])
{
    cleanup_secret struct master_key *made = seal_alloc(sizeof *made);
    uint16_t chosen[KEY_SHARES_MAX];

    if (!made || voice->first->required < 2 || voice->indices < voice->first->required ||
        find_secret(voice, chosen, made->passphrase_key) < 0)
        return false;
    memcpy(made->master, master, KEY_SIZE);
    made->has_passphrase = true;
    made->stretch = voice->first->stretch;
    for (size_t i = 0; i < KEY_SIZE; i++)
        made->passphrase_key[i] ^= master[i];
    return key_share_is_of(voice->members[chosen[0]], made);
}

/* Takes a k that is proven. */
static int take_required(unsigned required, unsigned *ret, unsigned *other)
{
    if (*ret > 0 && *ret != required) {
        *other = required;
        return -EDOM;
    }
    *ret = required;
    return 0;
}

/* Finds k by the files that KEY itself makes. */
static int required_by_files(const struct hunt *hunt, const struct master_key *key, unsigned *ret,
                             unsigned *other)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < hunt->count; i++) {
        const struct found_key *file = &hunt->files[i];
        if (file->read && key_share_is_of(&file->share, key))
            r = take_required(file->share.required, ret, other);
    }
    return r;
}

int key_search_required(const struct found_key *files, size_t count, const struct master_key *key,
                        unsigned *ret, unsigned *other)
{
    cleanup_secret struct master_key *open = seal_alloc(sizeof *open);
    cleanup_free struct voice *voice = malloc(sizeof *voice);
    uint8_t id[SET_ID_SIZE];
    const struct key_search terms = {.set_id = id};
    struct hunt hunt = {.terms = &terms, .files = (struct found_key *)files, .count = count};

    *ret = 0;
    if (!open || !voice)
        return -ENOMEM;
    memcpy(open->master, key->master, KEY_SIZE);
    int r = master_key_id(key, id);
    if (r == 0)
        r = required_by_files(&hunt, key, ret, other);
    if (r < 0 || *ret > 0)
        return r;
    r = required_by_files(&hunt, open, ret, other);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (is_wanted(&hunt, &files[i]) && files[i].share.has_passphrase && hear(&hunt, i, voice) &&
            is_made_with(voice, key->master))
            r = take_required(voice->first->required, ret, other);
    }
    return r < 0 || *ret > 0 ? r : -ENODATA;
}

const char *key_search_error(int error)
{
    switch (error) {
    case -ENODATA:
        return "too few stores have a part of one key: all that are needed have to be there";
    case -EDOM:
        return "the stores do not agree on how many are enough: say it with --required";
    case -EBADMSG:
        return "enough stores have parts of a key, but these do not fit together: leave out the "
               "stores that are wrong";
    case -EPERM:
        return "the stores' key is open to all, though a passphrase was given or one store alone "
               "would have it: they may be forged";
    case -EKEYREJECTED:
        return "the passphrase is wrong";
    case -ENOTUNIQ:
        return "the stores are of two sets, and both can be opened";
    case -ENOKEY:
        return "the key needs a passphrase";
    default:
        return strerrordesc_np(-error);
    }
}
